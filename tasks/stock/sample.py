"""The sample: the real daily S&P 500 and NASDAQ Composite, 1999 to 2018, that the `arch` package carries."""

from __future__ import annotations

import pandas as pd

LICENCE = "that of the arch package, NCSA"
LOCATION = "arch.data: sp500 and nasdaq, from Yahoo Finance"


def prices() -> pd.DataFrame:
    """Returns a table as a user would have it: Ticker, Date, Open, High, Low, Close, Adj Close, Volume."""
    from arch.data import nasdaq, sp500

    tables = [data.load().reset_index().assign(Ticker=name) for name, data in (("^GSPC", sp500), ("^IXIC", nasdaq))]
    return pd.concat(tables, ignore_index=True)
