"""Fetches one ticker's daily prices by yfinance, as a program of its own: `python -m tasks.stock.fetch AAPL 10y out.parquet`.

Of its own, since in a process that has loaded TensorFlow the library beneath yfinance (curl_cffi 0.16) finds symbols of
TensorFlow's in place of its own, and every request ends in "Impersonating chrome… is not supported".
"""

from __future__ import annotations

import sys

import pandas as pd

UNKNOWN, NO_ANSWER = 3, 4
"""Exit statuses, beside 0: Yahoo knows no such ticker or period; it could not be asked."""
COLUMNS = ("Open", "High", "Low", "Close", "Volume")


def fetch(ticker: str, period: str) -> pd.DataFrame:
    """Returns Date and `COLUMNS`, prices adjusted for splits and dividends.

    Raises:
        LookupError: Yahoo knows no such ticker or period.
        ConnectionError: there was no answer, or none but "too many requests".
    """
    import yfinance
    from yfinance.exceptions import YFInvalidPeriodError, YFPricesMissingError, YFTzMissingError

    def asked(period: str) -> pd.DataFrame:
        return yfinance.Ticker(ticker).history(period=period, auto_adjust=True, actions=False, raise_errors=True)

    try:
        try:
            frame = asked(period)
        except YFTzMissingError:  # of an unknown ticker, or of no network: a short period tells which
            frame = asked("5d")
            raise ConnectionError("Yahoo Finance did not tell the time zone of the exchange") from None
    except (YFInvalidPeriodError, YFPricesMissingError, YFTzMissingError) as error:
        raise LookupError(str(error)) from error
    except Exception as error:  # rate limits, and the errors of several network libraries
        raise ConnectionError((str(error).strip() or type(error).__name__).splitlines()[0][:200]) from error
    if frame.empty or not set(COLUMNS) <= set(frame.columns):
        raise LookupError("no prices found")
    days = pd.DatetimeIndex(frame.index).tz_localize(None).normalize()
    return frame[list(COLUMNS)].set_index(days.rename("Date")).reset_index()


def main(ticker: str, period: str, path: str) -> int:
    """Writes a Parquet file, or says on standard error why not, and returns the exit status."""
    try:
        fetch(ticker, period).to_parquet(path)
    except (LookupError, ConnectionError) as error:
        sys.stderr.write(f"\n{error}")
        return UNKNOWN if isinstance(error, LookupError) else NO_ANSWER
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
