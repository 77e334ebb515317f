"""The embedded sample: real daily S&P 500 and NASDAQ Composite prices, 1999 to 2018, from the `arch` package."""

from __future__ import annotations

import pandas as pd

LICENCE = "NCSA, the licence of the arch package"
LOCATION = "arch.data: sp500 and nasdaq, from Yahoo Finance"


def prices() -> pd.DataFrame:
    """Returns a table in the form of a user's file: Ticker, Date, Open, High, Low, Close, Adj Close, Volume."""
    from arch.data import nasdaq, sp500

    tables = [data.load().reset_index().assign(Ticker=name) for name, data in (("^GSPC", sp500), ("^IXIC", nasdaq))]
    return pd.concat(tables, ignore_index=True)
