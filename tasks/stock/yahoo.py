"""Daily prices from Yahoo Finance by way of yfinance, adjusted for splits and dividends, kept as Parquet for a day."""

from __future__ import annotations

import datetime
import logging
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from shared.errors import DataError
from tasks.stock import fetch

PREFIX = "yahoo:"
ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache" / "yahoo"
PAUSES = (2.0, 10.0, 30.0)  # seconds before each new attempt; Yahoo limits rates


def download(source: str, period: str, folder: Path = CACHE) -> pd.DataFrame:
    """Returns the prices of some tickers: Ticker, Date, Open, High, Low, Close, Volume.

    What was fetched today is taken from `folder`, one file a ticker, period and day; without a network an older file is
    taken, with a warning that names its day.

    Args:
        source: such as "yahoo:AAPL,MSFT,^GSPC".
        period: how far back, such as 2y, 10y or max.
        folder: of the kept files.

    Raises:
        DataError: no ticker is named, one does not exist, or it can be neither fetched nor found.
    """
    tickers = [ticker.strip().upper() for ticker in source.removeprefix(PREFIX).split(",") if ticker.strip()]
    if not tickers:
        raise DataError(f"{source}: names no ticker. Write for example {PREFIX}AAPL,MSFT.")
    return pd.concat([_one(ticker, period, folder).assign(Ticker=ticker) for ticker in tickers], ignore_index=True)


def _one(ticker: str, period: str, folder: Path) -> pd.DataFrame:
    stem = f"{quote(ticker, safe='')}-{period}"
    path = folder / f"{stem}-{datetime.date.today().isoformat()}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    try:
        _fetch(ticker, period, path)
    except ConnectionError as error:
        older = sorted(folder.glob(f"{stem}-????-??-??.parquet"))
        if not older:
            raise DataError(
                f"{PREFIX}{ticker}: could not be fetched from Yahoo Finance ({error}). Check the network and try again "
                "later, or give a CSV file of prices as --data."
            ) from error
        logging.getLogger(__name__).warning(
            "%s%s: no answer from Yahoo Finance (%s); taking the prices fetched on %s.",
            PREFIX, ticker, error, older[-1].stem[-10:],
        )  # fmt: skip
        path = older[-1]
    return pd.read_parquet(path)


def _fetch(ticker: str, period: str, path: Path) -> None:
    """Writes one ticker's prices to a file that appears whole, after some attempts where that takes them.

    Raises:
        DataError: Yahoo knows no such ticker or period.
        ConnectionError: there was no answer, or none but "too many requests".
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(".tmp")
    for pause in (*PAUSES, None):
        status, reason = _run(ticker, period, aside)
        if status == 0:
            aside.replace(path)
            return
        if status == fetch.UNKNOWN:
            raise DataError(
                f"{PREFIX}{ticker}: Yahoo Finance has no such prices ({reason}). Check the spelling, whether it is still "
                "listed, and --table.period."
            )
        if pause is None:
            raise ConnectionError(reason)
        logging.getLogger(__name__).warning("%s%s: %s; trying again in %g s.", PREFIX, ticker, reason, pause)
        time.sleep(pause)


def _run(ticker: str, period: str, path: Path) -> tuple[int, str]:
    """Runs `tasks.stock.fetch` in a process of its own and returns its exit status and last word."""
    command = [sys.executable, "-m", "tasks.stock.fetch", ticker, period, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1][:200] if lines else "no further word"
