"""Daily prices from Yahoo Finance through yfinance, adjusted for splits and dividends, cached as Parquet for a day."""

from __future__ import annotations

import datetime
import logging
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import pandas as pd

from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.stock import fetch

PREFIX = "yahoo:"
ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache" / "yahoo"
PAUSES = (2.0, 10.0, 30.0)  # seconds before each new attempt; Yahoo limits the rate of requests


def download(source: str, period: str, folder: Path = CACHE) -> pd.DataFrame:
    """Returns the prices of tickers: Ticker, Date, Open, High, Low, Close, Volume.

    `folder` caches one file per ticker, period and day. Without a network, an older file is used, with a warning that names its day.

    Args:
        source: such as "yahoo:AAPL,MSFT,^GSPC".
        period: period to download, such as 2y, 10y or max.
        folder: folder of the cached files.

    Raises:
        DataError: no ticker is named, or one does not exist or can be neither downloaded nor found in the cache.
    """
    tickers = [ticker.strip().upper() for ticker in source.removeprefix(PREFIX).split(",") if ticker.strip()]
    if not tickers:
        raise DataError(f"{source}: no ticker. Write for example {PREFIX}AAPL,MSFT.")
    return pd.concat(
        [_load_ticker(ticker, period, folder).assign(Ticker=ticker) for ticker in tickers], ignore_index=True
    )


def _load_ticker(ticker: str, period: str, folder: Path) -> pd.DataFrame:
    stem = f"{quote(ticker, safe='')}-{period}"
    path = folder / f"{stem}-{datetime.date.today().isoformat()}.parquet"
    if path.exists():
        return pd.read_parquet(path)
    try:
        _download(ticker, period, path)
    except ConnectionError as error:
        older = sorted(folder.glob(f"{stem}-????-??-??.parquet"))
        if not older:
            raise DataError(
                f"{PREFIX}{ticker}: the download from Yahoo Finance failed ({error}). Check the network and try again later, or "
                "use a CSV file of prices as --data."
            ) from error
        add_notice(
            f"{PREFIX}{ticker}: the download from Yahoo Finance failed ({error}). Using the prices downloaded on "
            f"{older[-1].stem[-10:]}."
        )
        path = older[-1]
    return pd.read_parquet(path)


def _download(ticker: str, period: str, path: Path) -> None:
    """Writes the prices of one ticker to a file atomically, with several attempts if needed.

    Raises:
        DataError: Yahoo has no such ticker or period.
        ConnectionError: the request failed, or Yahoo limits the rate of requests.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    staging = path.with_suffix(".tmp")
    for pause in (*PAUSES, None):
        status, reason = _run_process(ticker, period, staging)
        if status == 0:
            staging.replace(path)
            return
        if status == fetch.NOT_FOUND:
            raise DataError(
                f"{PREFIX}{ticker}: Yahoo Finance has no such prices ({reason}). Check the spelling, whether the ticker is still "
                "listed, and --yahoo-period."
            )
        if pause is None:
            raise ConnectionError(reason)
        logging.getLogger(__name__).warning("%s%s: %s. Trying again in %g s.", PREFIX, ticker, reason, pause)
        time.sleep(pause)


def _run_process(ticker: str, period: str, path: Path) -> tuple[int, str]:
    """Runs `tasks.stock.fetch` in its own process and returns its exit status and last message."""
    command = [sys.executable, "-m", "tasks.stock.fetch", ticker, period, str(path)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace", check=False)
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1][:200] if lines else "no message"
