"""Rows of one ticker at the same time, and intraday bars, which become one bar per day."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.errors import DataError, RowError

MIN_BARS_PER_DAY = 1.5  # mean number of times on a day of a ticker with intraday bars
MIN_LONG_STEP = 5  # days between the rows of a ticker from which they are weeks or months, not days
TOLERANCE = 1e-6  # relative difference of prices that are equal but for rounding
PRICES = ("open", "high", "low", "close")
ROW = "row of the file"
POSITION = "position among the rows"
FILE_CLOSE = "close in the file"


def one_row_per_time(frame: pd.DataFrame, source: str, has_ticker: bool, is_wide: bool) -> pd.DataFrame:
    """Returns a table with one row per ticker and time, sorted by ticker and time; rows with equal prices become one, with a notice.

    Args:
        frame: table with `ticker`, `time`, `instant`, `day`, prices, volume and `ROW`; each row has a close.
        source: file, for messages.
        has_ticker: True if the file has a column with the ticker.
        is_wide: True if the file has one column per ticker, so that `POSITION` is no row of the file.

    Raises:
        DataError: two rows of a ticker and time have different prices; a `RowError` if the file is not wide.
    """
    frame = frame.sort_values(["ticker", "instant", ROW], kind="stable", ignore_index=True)
    times = frame.groupby("ticker")["instant"].nunique()
    days = frame["time"].dt.normalize().groupby(frame["ticker"]).nunique()
    is_intraday = frame["ticker"].map(times >= MIN_BARS_PER_DAY * days)
    key = frame["instant"].where(is_intraday, frame["day"])
    is_repeated = pd.DataFrame({"ticker": frame["ticker"], "key": key}).duplicated(keep=False)
    if not is_repeated.any():
        return frame
    repeated = frame[is_repeated]
    groups = repeated.groupby([repeated["ticker"], key[is_repeated]], sort=False)
    differs = np.zeros(len(repeated), bool)
    for name in PRICES:
        low, high = groups[name].transform("min"), groups[name].transform("max")
        differs |= (high - low > TOLERANCE * high.abs()).to_numpy()
    if differs.any():
        raise _contradiction(repeated[differs], groups.ngroup().to_numpy()[differs], source, has_ticker, is_wide)
    volumes = groups["volume"].agg(["min", "max"])
    different = int((volumes["max"] > volumes["min"]).sum())
    note = f" Days with different volumes: {different}; the larger one is used." if different else ""
    dropped = len(repeated) - groups.ngroups
    add_notice(
        f"{source}: dropped {dropped} of {len(frame)} rows, because another row has the same prices for the same day.{note}",
        rows=repeated[ROW],
    )
    for name in (*PRICES, "volume"):
        frame.loc[is_repeated, name] = groups[name].transform("max")
    return frame[~pd.DataFrame({"ticker": frame["ticker"], "key": key}).duplicated()].reset_index(drop=True)


def join_daily(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Returns one bar per ticker and day: first open, highest high, lowest low, last close, and the sum of the volumes, with a notice.

    Args:
        frame: table from `one_row_per_time`.
        source: file, for the notice.
    """
    counts = frame.groupby(["ticker", "day"], sort=False)["close"].transform("size")
    if (counts == 1).all():
        return frame
    last = {name: "last" for name in frame.columns if name not in ("ticker", "day", "open", "high", "low", "volume")}
    grouped = frame.groupby(["ticker", "day"], sort=False, as_index=False)
    bars = grouped.agg({**last, "open": "first", "high": "max", "low": "min"})
    bars["volume"] = grouped["volume"].sum(min_count=1)["volume"]
    count = int(counts.max())
    message = f"{source}: {len(frame):,} bars become {len(bars):,} daily bars, in the time zone of the file."
    newest = frame[frame["day"] == frame["day"].max()].groupby("ticker").size().min()
    if newest < count:
        message += (
            f" The last day, {str(frame['day'].max())[:10]}, has {newest} of up to {count} bars; it may be incomplete."
        )
    add_notice(message, hint="To keep the bars, with horizons in bars, add --columns.bars original.")
    return bars[frame.columns]


def add_notice_of_interval(frame: pd.DataFrame, source: str) -> None:
    """Adds a notice if the rows are weeks or months apart."""
    if not np.issubdtype(frame["day"].dtype, np.datetime64):
        return
    gaps = frame.groupby("ticker")["day"].diff().dropna()
    if len(gaps) and gaps.median() >= pd.Timedelta(days=MIN_LONG_STEP):
        days = gaps.median() / pd.Timedelta(days=1)
        add_notice(f"{source}: the rows are {days:.0f} days apart. The horizons count rows, not days.")


def _contradiction(rows: pd.DataFrame, groups: np.ndarray, source: str, has_ticker: bool, is_wide: bool) -> DataError:
    """Returns the error that names the first two rows of a day with different prices; `predict` can skip the rows of all such days.

    Args:
        rows: all rows of these days, sorted by ticker and time.
        groups: number of the day of each row.
        source: file, for the message.
        has_ticker, is_wide: see `one_row_per_time`.
    """
    order = np.argsort(rows[POSITION].to_numpy(), kind="stable")
    positions = rows[POSITION].to_numpy()[order]
    numbers = dict(zip(positions.tolist(), groups[order].tolist(), strict=True))
    hint = "" if has_ticker else " If the file has several tickers, name their column with --columns.ticker."
    if is_wide:
        return DataError(f"{source}, {_describe_day(rows[groups == groups[0]])}{hint}")

    def describe(position: int) -> str:
        return _describe_day(rows[groups == numbers[position]])

    return _ContradictionError(source, positions, describe, f"{source}, {describe(int(rows[POSITION].iloc[0]))}{hint}")


def _describe_day(rows: pd.DataFrame) -> str:
    """Returns a description of two rows of one day with different prices."""
    for name in PRICES:
        values = rows[name].dropna()
        others = [k for k in values.index if abs(values[k] - values.iloc[0]) > TOLERANCE * abs(values[k])]
        if others:
            break
    first, second = sorted((values.index[0], others[0]), key=lambda k: int(rows[ROW][k]))
    return (
        f"rows {rows[ROW][first]} and {rows[ROW][second]}: {rows['ticker'][first]} has two rows for {str(rows['day'][first])[:10]} with "
        f"the {name} {rows[name][first]:g} and {rows[name][second]:g}. Keep one of the rows."
    )


class _ContradictionError(RowError):
    """Rows of the same ticker and day have different prices. The message names two rows."""

    def __init__(self, source: str, positions: np.ndarray, describe: Callable[[int], str], message: str) -> None:
        super().__init__(source, positions, describe)
        self.args = (message,)

    def after(self, first_row: int) -> RowError:
        """Returns this error, because the message has the rows of the file."""
        return self
