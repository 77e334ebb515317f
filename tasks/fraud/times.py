"""Times of transactions: dates, numbers since 1970 or in a named unit, and times over several columns, as seconds."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from typing import get_args

import numpy as np
import pandas as pd

from shared.data import dates
from shared.data.columns import raise_where, raise_where_empty
from shared.data.notices import add_notice
from shared.data.time_numbers import are_compact_dates
from shared.errors import DataError
from tasks.fraud.cells import EMPTY_TEXTS
from tasks.fraud.config import ColumnsConfig, TimeUnit

UNIT_SECONDS = {
    "microseconds": 1e-6,
    "milliseconds": 1e-3,
    "seconds": 1.0,
    "minutes": 60.0,
    "hours": 3_600.0,
    "days": 86_400.0,
}
SINCE_1970 = 1e8
"""Smallest number that counts from 1970: seconds, in March 1973."""
SAMPLE_ROWS = 100
MAX_NUMBER = 1e20
RELATIVE_LIMIT = 100_000_000
"""Seconds, a little over three years; times below count from day 0 and not from 1970."""
DAY = 86_400
MIDNIGHT = r"[ T]0?0:00(?::00(?:\.0+)?)?$"
OPTION, FORMAT_OPTION = "--columns.time-unit", "--columns.time-format"


def parse_times(
    frame: pd.DataFrame,
    names: Sequence[str],
    source: str,
    time_format: str | None,
    unit: str | None,
    likely_format: str | None = None,
) -> np.ndarray:
    """Returns the times in one or several columns as seconds, int64 `(rows,)` (see `parse_seconds`).

    Several columns are a date and a time, or year, month and day, then a time or hour, minute and second.

    Raises:
        DataError: a time is empty or has another format, or several columns have a unit.
    """
    if len(names) > 1 and unit is not None:
        raise DataError(f"{OPTION} {unit} needs one column with numbers. Received: --columns.time {' '.join(names)}")
    return parse_seconds(join_columns(frame, names, source), source, time_format, unit, likely_format)


def parse_seconds(
    values: pd.Series, source: str, time_format: str | None, unit: str | None = None, likely_format: str | None = None
) -> np.ndarray:
    """Returns seconds, int64 `(rows,)`, from dates, from numbers, or from text (see `shared.data.dates`).

    Dates and numbers without a unit become seconds since 1970 (UTC); numbers in a unit become seconds since the start of day 0.

    Raises:
        DataError: a time is empty or has another format.
    """
    if pd.api.types.is_timedelta64_dtype(values):
        raise_where_empty(values.isna(), values, source)
        return values.to_numpy("timedelta64[s]").astype(np.int64)
    if not len(values):
        return np.zeros(0, np.int64)
    if unit is None and time_format is None:
        _require_clear_unit(values, source)
    if unit is not None:
        text = _as_text(values)
        raise_where_empty(text.str.lower().isin(EMPTY_TEXTS), values, source)
        return _in_unit(text, values, source, unit)
    times = dates.parse_times(
        values,
        source,
        time_format,
        option=FORMAT_OPTION,
        likely_format=likely_format,
        empty_texts=EMPTY_TEXTS,
        allow_mixed_zones=False,
    )
    return times.instant.to_numpy("datetime64[s]").astype(np.int64)


def find_time_format(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> str | None:
    """Returns the format of the dates in the columns of the time: the one that the user named, or that the cells show; else None."""
    if columns.time_format is not None or columns.time_unit is not None:
        return columns.time_format
    values = join_columns(frame, columns.time, source)
    is_number = _as_numbers(values) is not None or pd.api.types.is_timedelta64_dtype(values)
    return None if is_number else dates.find_time_format(values, source, FORMAT_OPTION)


def find_relative_unit(values: pd.Series, source: str, time_format: str | None) -> str | None:
    """Returns "seconds" for a whole column of numbers that are too small to count from 1970, and cover at least a day as seconds.

    Returns None for dates and for numbers since 1970.

    Raises:
        DataError: the numbers cover less than a day as seconds, so that their unit is not clear.
    """
    numbers = None if time_format is not None else _as_numbers(values)
    is_small = numbers is not None and len(numbers) and np.abs(numbers).max() < SINCE_1970
    if numbers is None or not is_small or are_compact_dates(values):
        return None
    if numbers.max() - numbers.min() < DAY:
        raise _unclear_unit(values, source, numbers.min(), numbers.max())
    days = (numbers.max() - numbers.min()) / DAY
    add_notice(
        f'{source}: the numbers in column "{values.name}", {numbers.min():,.10g} to {numbers.max():,.10g}, are read as seconds since '
        f"the start of day 0: {days:,.1f} days.",
        hint=f"If they have another unit, name it with {OPTION} {'|'.join(get_args(TimeUnit))}.",
    )
    return "seconds"


def format_day(day: float) -> str:
    """Returns a day since 1970 as YYYY-MM-DD, or as "day N" where times count from day 0."""
    return f"day {int(day)}" if day * DAY < RELATIVE_LIMIT else str(np.datetime64(int(day), "D"))


def _unclear_unit(values: pd.Series, source: str, low: float, high: float) -> DataError:
    spans = ", ".join(f"{(high - low) * UNIT_SECONDS[unit] / DAY:,.3g} days as {unit}" for unit in get_args(TimeUnit))
    return DataError(
        f'{source}: column "{values.name}" has the numbers {low:,.10g} to {high:,.10g}, which are too small for seconds since 1970. '
        f"Name their unit with {OPTION} {'|'.join(get_args(TimeUnit))}. They cover {spans}."
    )


def _require_clear_unit(values: pd.Series, source: str) -> None:
    """Raises a `DataError` for a column of numbers that are too small to count from 1970."""
    numbers = _as_numbers(values)
    if numbers is not None and np.median(np.abs(numbers)) < SINCE_1970 and not are_compact_dates(values):
        raise _unclear_unit(values, source, numbers.min(), numbers.max())


def _in_unit(text: pd.Series, values: pd.Series, source: str, unit: str) -> np.ndarray:
    numbers = pd.to_numeric(text, errors="coerce").to_numpy(np.float64)
    problem = f"expected a number of {unit}. If the times are dates, leave {OPTION} out or set it to None"
    raise_where(~np.isfinite(numbers) | (np.abs(numbers) > MAX_NUMBER), values, source, problem)
    seconds = numbers * UNIT_SECONDS[unit]
    raise_where(
        np.abs(seconds) > 1e11, values, source, f"too large for a number of {unit}. Name the unit with {OPTION}"
    )
    return np.floor(seconds + 1e-6).astype(np.int64)


def _as_numbers(values: pd.Series) -> np.ndarray | None:
    """Returns finite numbers, or None if a value is none."""
    if pd.api.types.is_bool_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return None
    if pd.to_numeric(values.iloc[:SAMPLE_ROWS], errors="coerce").isna().any():  # fast where the cells are text
        return None
    numbers = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
    return numbers if np.isfinite(numbers).all() else None


def _as_text(values: pd.Series) -> pd.Series:
    return values.astype(object).where(values.notna(), "").astype(str).str.strip()


def join_columns(frame: pd.DataFrame, names: Sequence[str], source: str) -> pd.Series:
    """Returns one column as it is, and several as one column of text: a date and a time in ISO 8601, or the texts with a space between
    them."""
    if len(names) == 1:
        return frame[names[0]]
    parts = []
    for name in names:
        values = frame[name]
        text = _date_text(values) if _is_date(values) else _as_text(values).str.removesuffix(".0")
        raise_where_empty(text.str.lower().isin(EMPTY_TEXTS), values, source)
        parts.append(text)
    label = " ".join(names)
    if parts[0].str.contains(MIDNIGHT).all():  # of a date that was written as a time
        parts[0] = parts[0].str.replace(MIDNIGHT, "", regex=True)
    if len(parts) >= 3 and all(part.str.fullmatch(r"\d{1,4}").all() for part in parts[:3]):
        date = parts[0].str.zfill(4) + "-" + parts[1].str.zfill(2) + "-" + parts[2].str.zfill(2)
        parts = [date, *parts[3:]]
    if len(parts) > 2 and all(part.str.fullmatch(r"\d{1,2}").all() for part in parts[1:]):  # hour, minute, second
        clock = parts[1].str.zfill(2)
        for part in parts[2:]:
            clock = clock + ":" + part.str.zfill(2)
        parts = [parts[0], clock]
    elif len(parts) == 2 and parts[1].str.fullmatch(r"\d{1,2}").all():
        parts[1] = parts[1].str.zfill(2) + ":00"
    parts = [parts[0], *(part.str.replace(r"^(\d):", r"0\1:", regex=True) for part in parts[1:])]
    joined = parts[0]
    for part in parts[1:]:
        joined = joined + " " + part
    return joined.rename(label)


def _is_date(values: pd.Series) -> bool:
    """Returns True for a column of dates without a time of day, whatever type the file gave them."""
    if pd.api.types.is_datetime64_any_dtype(values):
        known = values.dropna()
        return bool((known == known.dt.normalize()).all())
    first = values.dropna().iloc[:1]
    return len(first) > 0 and type(first.iloc[0]) is datetime.date


def _date_text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_datetime64_any_dtype(values):
        return values.dt.strftime("%Y-%m-%d").fillna("")
    return _as_text(values)
