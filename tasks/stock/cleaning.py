"""Drops rows and tickers that cannot be used, each with a notice."""

from __future__ import annotations

import datetime
from collections.abc import Mapping

import numpy as np
import pandas as pd

from shared.config import is_default
from shared.data.notices import add_notice
from shared.errors import DataError
from tasks.stock.bars import FILE_CLOSE, ROW
from tasks.stock.config import ColumnsConfig, StockConfig

CLOSE_COLUMN = "column of the close"
MAX_INVALID = 0.05  # fraction of closes of 0 or less up to which the days are dropped; above, the ticker cannot be used
MAX_LISTED_TICKERS = 6
MAX_FUTURE_ROWS = 31  # rows after today that are dropped; more of them stay, as in a simulation


def drop_rows_without_close(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Drops rows with an empty close, and the few with a close of 0 or less, with notices."""
    is_empty = frame["close"].isna()
    if is_empty.any():
        rows = frame.loc[is_empty, ROW]
        message = f'{source}: dropped {len(rows)} of {len(frame)} rows, because column "{columns.close}" is empty.'
        add_notice(message, rows=rows)
    frame = frame[~is_empty]
    is_invalid = frame["close"] <= 0
    fraction = is_invalid.groupby(frame["ticker"]).transform("mean")
    is_dropped = is_invalid & (fraction <= MAX_INVALID)
    if is_dropped.any():
        rows, first = frame.loc[is_dropped, ROW], frame[is_dropped].iloc[0]
        add_notice(
            f"{source}: dropped {len(rows)} of {len(frame)} rows, because the close is 0 or less: {first['ticker']}, "
            f"{describe_close(first)}.",
            rows=rows,
        )
    return frame[~is_dropped]


def drop_future(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Drops rows after today with a notice, or keeps them with a notice if there are many."""
    tomorrow = np.datetime64(datetime.datetime.now(datetime.UTC).date()) + 1  # today in any time zone
    is_future = frame["day"] > tomorrow
    if not is_future.any():
        return frame
    rows, first = frame.loc[is_future, ROW], str(frame.loc[is_future, "day"].min())[:10]
    if len(rows) > MAX_FUTURE_ROWS:
        add_notice(
            f"{source}: {len(rows)} of {len(frame)} rows are after today, from {first}.", rows, "Check the dates."
        )
        return frame
    add_notice(f"{source}: dropped {len(rows)} of {len(frame)} rows, because they are after today, from {first}.", rows)
    return frame[~is_future]


def drop_unusable_tickers(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Drops the tickers that cannot be used, each with a notice.

    If all of them have too few days for the default horizons, those with enough days for the shortest horizon stay.
    """
    horizons, min_history = config.forecast.horizons, config.features.min_history
    problems = _find_problems(frame, min_history + max(horizons))
    if len(problems) == frame["ticker"].nunique() and is_default(horizons):
        problems = _find_problems(frame, min_history + min(horizons))
    if len(problems) == frame["ticker"].nunique():
        ticker, problem = next(iter(problems.items()), ("all rows", "no row has a close"))
        raise DataError(f"{source}: no ticker can be used. {ticker}: {problem}.")
    return drop_tickers(frame, problems, source)


def add_notice_of_similar_tickers(frame: pd.DataFrame, source: str) -> None:
    """Adds a notice if tickers differ only by upper and lower case."""
    names = pd.Series(frame["ticker"].unique(), dtype=object)
    similar = names[names.str.casefold().duplicated(keep=False)]
    if len(similar):
        listed = ", ".join(similar.head(MAX_LISTED_TICKERS)) + (", …" if len(similar) > MAX_LISTED_TICKERS else "")
        add_notice(
            f"{source}: {len(similar)} tickers differ only by upper and lower case: {listed}. They are read as different tickers.",
            hint="If they are the same, write them in one way.",
        )


def _find_problems(frame: pd.DataFrame, min_days: int) -> dict[str, str]:
    problems = {str(ticker): _find_problem(rows, min_days) for ticker, rows in frame.groupby("ticker", sort=False)}
    return {ticker: problem for ticker, problem in problems.items() if problem is not None}


def drop_tickers(frame: pd.DataFrame, problems: Mapping[str, str], source: str) -> pd.DataFrame:
    for ticker, problem in problems.items():
        add_notice(f"{source}: {ticker} is dropped: {problem}.")
    return frame[~frame["ticker"].isin(set(problems))].reset_index(drop=True)


def describe_close(row: pd.Series) -> str:
    """Returns a description of a close of 0 or less: its row, its column in the file and its value."""
    return f"row {row[ROW]}: {describe_cell(row)}"


def describe_cell(row: pd.Series) -> str:
    """Returns a description of a close of 0 or less: its column in the file and its value."""
    return f'column "{row[CLOSE_COLUMN]}" is {row["close"]:g}, expected a price greater than 0'


def find_invalid_close(rows: pd.DataFrame) -> str:
    """Returns a description of the closes of 0 or less of one ticker."""
    first = rows.iloc[0]
    hint = ". To read the prices without adjustment, add --columns.adjusted-close None" if first[FILE_CLOSE] > 0 else ""
    return f"{describe_close(first)}. Closes of 0 or less: {len(rows)}{hint}"


def _find_problem(rows: pd.DataFrame, min_days: int) -> str | None:
    """Returns a description of the problem with the rows of one ticker, or None."""
    if (rows["close"] <= 0).any():
        return find_invalid_close(rows[rows["close"] <= 0])
    if len(rows) < min_days:
        days = "1 day is" if len(rows) == 1 else f"{len(rows)} days are"
        return f"{days} too few; {min_days} are needed, or shorter --forecast.horizons"
    if rows["close"].nunique() == 1:
        return f"the close is {rows['close'].iloc[0]:g} on every day, so there is nothing to forecast"
    return None


def clear_impossible_values(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Replaces opens, highs and lows of 0 or less, and negative volumes, with NaN, with a notice."""
    for name in ("open", "high", "low", "volume"):
        is_impossible = frame[name] < 0 if name == "volume" else frame[name] <= 0
        is_impossible &= ~(frame["close"] <= 0)  # the row is dropped anyway
        if is_impossible.any():
            first = frame[is_impossible].iloc[0]
            value, others = f"{first['ticker']} is {first[name]:g}", is_impossible.sum() - 1
            add_notice(
                f'{source}, row {first[ROW]}: column "{getattr(columns, name)}" of {value}. This value and {others} similar ones are '
                "treated as unknown."
            )
            frame.loc[is_impossible, name] = np.nan
    is_swapped = frame["high"] < frame["low"]
    if is_swapped.any():
        add_notice(
            f'{source}: column "{columns.high}" is below column "{columns.low}" in {is_swapped.sum()} of {len(frame)} rows.',
            frame.loc[is_swapped, ROW],
            "Check --columns.high and --columns.low.",
        )
    return frame
