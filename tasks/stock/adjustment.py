"""Prices adjusted for splits and dividends, and changes that look like a split without adjustment."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from tasks.stock.config import ColumnsConfig

MAX_CHANGE = 0.4  # a larger relative change between two closes is unusual
MAX_LISTED = 5  # changes that are listed one by one
RATIOS = (
    (3, 2),
    (2, 1),
    (5, 2),
    (3, 1),
    (4, 1),
    (5, 1),
    (6, 1),
    (7, 1),
    (8, 1),
    (10, 1),
    (15, 1),
    (20, 1),
    (25, 1),
    (30, 1),
    (50, 1),
    (100, 1),
)
"""Usual ratios of splits, new to old shares; the opposite is a reverse split."""
RATIO_TOLERANCE = 0.02  # relative, beside the usual change of a day
TYPICAL_CHANGES = 8.0  # a split is larger than this number of typical changes of the ticker
MIN_SPLIT = 0.3  # log change; that of a 3:2 split is 0.41
SAME_FACTOR = 1e-4  # relative difference of factors that are equal but for rounding


def has_prices(adjusted: np.ndarray, columns: ColumnsConfig, source: str) -> bool:
    """Returns True if the column with the adjusted close has a price, and adds a notice that it is not used if it has none."""
    if (adjusted > 0).any():
        return True
    add_notice(
        f'{source}: column "{columns.adjusted_close}" has no price above 0. It is not used, so the prices are not adjusted.',
        hint="If it is empty on purpose, add --columns.adjusted-close None.",
    )
    return False


def adjustment_factors(frame: pd.DataFrame, adjusted: np.ndarray, row_numbers: np.ndarray, source: str) -> np.ndarray:
    """Returns adjusted close / close of each row, float64 `(rows,)`; where the adjusted close is unknown, that of a neighbouring day.

    If the factors before and after unknown rows differ, each row gets the one with which the adjusted price changes least.

    Args:
        frame: table with `ticker`, `time` and `close`.
        adjusted: adjusted closes, NaN if unknown.
        row_numbers: rows of the file, for the notice.
        source: file, for the notice.
    """
    close = frame["close"].to_numpy()
    is_known = (adjusted > 0) & (close > 0)
    factor = np.where(is_known, adjusted / np.where(is_known, close, 1.0), np.nan)
    is_missing = np.isnan(adjusted) & (close > 0)
    if is_missing.any():
        order = np.lexsort((frame["time"].to_numpy(), pd.factorize(frame["ticker"])[0]))
        order = order[is_known[order] | is_missing[order]]
        has_factor = frame["ticker"].isin(frame["ticker"][is_known]).to_numpy()
        groups = np.split(order, np.flatnonzero(np.diff(pd.factorize(frame["ticker"])[0][order])) + 1)
        for rows in groups:
            factor[rows] = _fill(factor[rows], close[rows])
        whole = int((is_missing & ~has_factor).sum())
        others = (
            f" {whole} of them belong to tickers without any adjusted close, and are not adjusted." if whole else ""
        )
        add_notice(
            f"{source}: the adjusted close is unknown in {is_missing.sum()} of {len(frame)} rows that have a close. They are adjusted "
            f"like the neighbouring days.{others}",
            rows=row_numbers[is_missing],
            hint="Fill the cells in, or add --columns.adjusted-close None to read all closes as they are.",
        )
    return np.where(np.isnan(factor), 1.0, factor)


def find_jumps(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Returns ticker, day and relative change of each close that differs from the previous one by more than 40 %, or as by a split."""
    change = frame["close"] / frame.groupby("ticker")["close"].shift() - 1
    logs = np.log1p(change)
    typical = logs.abs().groupby(frame["ticker"]).transform("median") * 1.5
    large = np.flatnonzero(logs.abs() > MIN_SPLIT)
    rows = [k for k in large if abs(change.iloc[k]) > MAX_CHANGE or _split_ratio(logs.iloc[k], typical.iloc[k])]
    return [(str(frame["ticker"].iloc[k]), str(frame["day"].iloc[k])[:10], float(change.iloc[k])) for k in rows]


def add_notices_of_jumps(frame: pd.DataFrame, source: str) -> None:
    """Adds a notice for each of the first changes that look like an error or a split, with the likely ratio."""
    jumps = find_jumps(frame)
    for name, day, change in jumps[:MAX_LISTED]:
        ratio = _split_ratio(np.log1p(change), 0.01)
        text, hint = "", "Check the prices of this day."
        if ratio is not None:
            new, old = ratio
            factor = (
                f"divide the earlier prices by {new / old:g}"
                if new > old
                else f"multiply the earlier prices by {old / new:g}"
            )
            text = f" This is what a split of {new}:{old} without adjustment looks like."
            hint = f"If it was one, {factor}, or add a column with adjusted closes (--columns.adjusted-close)."
        add_notice(f"{source}: {name} changes by {100 * change:+.0f} % on {day}.{text}", hint=hint)
    if len(jumps) > MAX_LISTED:
        add_notice(f"{source}: {len(jumps) - MAX_LISTED} more changes of this size.")


def _split_ratio(log_change: float, typical: float) -> tuple[int, int] | None:
    """Returns the ratio of the split, new to old, that a log change looks like, or None."""
    if not abs(log_change) > max(TYPICAL_CHANGES * typical, MIN_SPLIT):
        return None
    tolerance = RATIO_TOLERANCE + min(2 * typical, 0.05)
    for new, old in RATIOS:
        distance = abs(abs(log_change) - np.log(new / old))
        if distance < tolerance:
            return (new, old) if log_change < 0 else (old, new)
    return None


def _fill(factor: np.ndarray, close: np.ndarray) -> np.ndarray:
    """Returns the factors of one ticker in time order without gaps."""
    known = np.flatnonzero(np.isfinite(factor))
    if not len(known):
        return np.ones_like(factor)
    filled = pd.Series(factor).ffill().bfill().to_numpy().copy()
    for before, after in pairwise(known):
        if after - before > 1 and abs(np.log(factor[after] / factor[before])) > SAME_FACTOR:
            gap = after - before - 1
            choices = [np.r_[np.full(k, factor[before]), np.full(gap - k, factor[after])] for k in range(gap + 1)]
            span = close[before : after + 1]
            steps = [np.diff(np.log(span * np.r_[factor[before], choice, factor[after]])) for choice in choices]
            filled[before + 1 : after] = choices[int(np.argmin([np.sum(np.square(step)) for step in steps]))]
    return filled
