"""Downloads the daily prices of one ticker with yfinance, in its own process: `python -m tasks.stock.fetch AAPL 10y out.parquet`.

In a process that has loaded TensorFlow, the library that yfinance uses (curl_cffi 0.16) picks up symbols of TensorFlow, and every
request fails with "Impersonating chrome… is not supported".
"""

from __future__ import annotations

import sys

import pandas as pd

NOT_FOUND, NO_RESPONSE = 3, 4
"""Exit statuses other than 0: Yahoo has no such ticker or period; the request failed."""
COLUMNS = ("Open", "High", "Low", "Close", "Volume")


def fetch(ticker: str, period: str) -> pd.DataFrame:
    """Returns Date and `COLUMNS`; prices are adjusted for splits and dividends.

    Raises:
        LookupError: Yahoo has no such ticker or period.
        ConnectionError: the request failed, or Yahoo limits the rate of requests.
    """
    import yfinance
    from yfinance.exceptions import YFInvalidPeriodError, YFPricesMissingError, YFTzMissingError

    def request(period: str) -> pd.DataFrame:
        return yfinance.Ticker(ticker).history(period=period, auto_adjust=True, actions=False, raise_errors=True)

    try:
        try:
            frame = request(period)
        except YFTzMissingError:  # an unknown ticker or no network; a short period distinguishes them
            frame = request("5d")
            raise ConnectionError("Yahoo Finance did not return the time zone of the exchange") from None
    except (YFInvalidPeriodError, YFPricesMissingError, YFTzMissingError) as error:
        raise LookupError(str(error)) from error
    except Exception as error:  # rate limits, and errors of several network libraries
        raise ConnectionError((str(error).strip() or type(error).__name__).splitlines()[0][:200]) from error
    if frame.empty or not set(COLUMNS) <= set(frame.columns):
        raise LookupError("no prices found")
    days = pd.DatetimeIndex(frame.index).tz_localize(None).normalize()
    return frame[list(COLUMNS)].set_index(days.rename("Date")).reset_index()


def main(ticker: str, period: str, path: str) -> int:
    """Writes a Parquet file, or the reason for a failure to standard error, and returns the exit status."""
    try:
        fetch(ticker, period).to_parquet(path)
    except (LookupError, ConnectionError) as error:
        sys.stderr.write(f"\n{error}")
        return NOT_FOUND if isinstance(error, LookupError) else NO_RESPONSE
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
