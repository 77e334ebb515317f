"""Numbers that stand for dates and times: 20240524, seconds since 1970 and other units, days of a spreadsheet; and the cells of a column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.data.notices import add_notice

COMPACT_DATES = {  # pattern of numbers that are dates: their format
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])": "%Y%m%d",
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d": "%Y%m%d%H%M",
    r"(?:19|20)\d{2}(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01])(?:[01]\d|2[0-3])[0-5]\d[0-5]\d": "%Y%m%d%H%M%S",
}
COMPACT_POWERS = (6, 10, 12)
"""Powers of ten of the least digit of the century in `COMPACT_DATES`."""
EPOCH_UNITS = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
"""Numbers that are seconds, milliseconds … since 1970, from 1973 on."""
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SAMPLE_ROWS = 100  # whose type decides whether a whole column can be numbers
SPREADSHEET_DAYS = (20_000, 60_000)  # days since 1899-12-30, from 1954 to 2064
EXPECTED = "a time such as 2016-01-29 or 2016-01-29 13:45:00"


@dataclass(frozen=True)
class ParsedCells:
    """Times of different cells."""

    times: pd.Series
    """datetime64[s] with the index of the cells; NaT where a cell cannot be read."""
    time_format: str | None = None
    """Format of the dates if the cells show it; "unclear" if the day or the month may come first."""
    expected: str = EXPECTED
    """What a cell must be, for messages."""


def are_compact_dates(values: pd.Series) -> bool:
    """Returns True if all cells are dates without separators, such as 20180725 or 201807251345."""
    codes, cells = distinct_cells(values)
    cells = cells.str.removesuffix(".0")
    patterns = [pattern for pattern in COMPACT_DATES if cells.iloc[:1].str.fullmatch(pattern).all()]
    return bool(len(cells)) and -1 not in codes and any(bool(cells.str.fullmatch(p).all()) for p in patterns)


def parse_epoch(values: pd.Series, source: str) -> pd.Series | None:
    """Returns a column of numbers, or texts of numbers, that all are since 1970 in one unit as datetime64[s]; None for any other column. It is a fast path of
    `parse_time_numbers`."""
    if pd.api.types.is_bool_dtype(values) or pd.to_numeric(values.iloc[:SAMPLE_ROWS], errors="coerce").isna().any():
        return None
    values = pd.to_numeric(values, errors="coerce")
    if values.hasnans:
        return None
    sizes = values.abs().to_numpy(np.float64)
    if not len(sizes) or any(((sizes >= 19 * 10**k) & (sizes < 21 * 10**k)).any() for k in COMPACT_POWERS):
        return None
    for unit, (low, high) in EPOCH_UNITS.items():
        if low <= sizes.min() and sizes.max() < high:
            _add_notice_of_unit(unit, values.name, source)
            return in_seconds(pd.to_datetime(values, unit=unit))
    return None


def _add_notice_of_unit(unit: str, name: object, source: str) -> None:
    add_notice(f'{source}: column "{name}" is read as {UNIT_NAMES[unit]} since 1970, in UTC.')


def parse_time_numbers(text: pd.Series, numbers: pd.Series, name: object, source: str) -> ParsedCells:
    """Returns the times of numbers: 20240524 with or without a time of day, or since 1970 in the unit that most of them have, or days of
    a spreadsheet."""
    digits = text.str.removesuffix(".0")
    result = pd.Series(np.datetime64("NaT", "s"), index=text.index)
    for pattern, compact in COMPACT_DATES.items():
        is_compact = digits.str.fullmatch(pattern)
        if is_compact.any():
            result[is_compact] = in_seconds(pd.to_datetime(digits[is_compact], format=compact, errors="coerce"))
    sizes = numbers.abs().where(result.isna())
    masks = {unit: (sizes >= low) & (sizes < high) for unit, (low, high) in EPOCH_UNITS.items()}
    masks["serial"] = (sizes >= SPREADSHEET_DAYS[0]) & (sizes < SPREADSHEET_DAYS[1])
    unit = max(masks, key=lambda unit: int(masks[unit].sum()))
    mask = masks[unit]
    if not mask.any():
        return ParsedCells(result)
    if unit == "serial":
        seconds = pd.to_timedelta((numbers[mask] * 86_400).round(), unit="s")
        result[mask] = in_seconds(pd.Timestamp("1899-12-30") + seconds)
        add_notice(f'{source}: column "{name}" is read as days of a spreadsheet, where 45000 is 2023-03-15.')
        return ParsedCells(result)
    result[mask] = in_seconds(pd.to_datetime(pd.to_numeric(digits[mask]), unit=unit))
    _add_notice_of_unit(unit, name, source)
    expected = f"a number of the same size as in the other rows, which are {UNIT_NAMES[unit]} since 1970, or {EXPECTED}"
    return ParsedCells(result, expected=expected)


def distinct_cells(values: pd.Series) -> tuple[np.ndarray, pd.Series]:
    """Returns the position of the text of each cell, -1 for a missing value, int64 `(rows,)`, and the different texts, without spaces
    around them."""
    codes, unique = pd.factorize(values.array)
    cells = pd.Series(unique)
    if pd.api.types.is_float_dtype(cells) and (cells % 1 == 0).all():
        cells = cells.astype("Int64")
    return codes, cells.astype(object).astype(str).astype("str").str.strip()


def in_seconds(values: pd.Series) -> pd.Series:
    """Returns times as datetime64[s]."""
    return values.astype("datetime64[s]")
