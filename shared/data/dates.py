"""Dates and times as people and exchanges write them: ISO 8601, 05/24/2024, 24.05.2024, 24 May 2024, 20240524, seconds since 1970.

The whole column decides whether the day or the month comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
import pandas as pd

from shared.data.columns import raise_where, raise_where_empty
from shared.data.notices import add_notice

UTC_OFFSET = r"(?<=:\d\d)(?:\.\d+)?\s*(?P<zone>Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)$"  # after a time of day
NUMERIC = r"(?P<a>\d{1,4})(?P<mark>[./-])(?P<b>\d{1,2})[./-](?P<c>\d{2,4})(?P<rest>[ T,].*)?"
TIME_OF_DAY = (
    r"\s*,?\s*T?(?P<hour>\d{1,2}):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?:\.\d+)?)?\s*(?P<half>[AaPp]\.?[Mm]\.?)?"
)
MONTH = re.compile(r"\b(?:Jan|Feb|Mar|Apr|May|Jun|Jul|Aug|Sep|Oct|Nov|Dec)[a-z]*", re.IGNORECASE)
UNCLEAR = "unclear"
EPOCH_UNITS = {"s": (1e8, 1e11), "ms": (1e11, 1e14), "us": (1e14, 1e17), "ns": (1e17, 1e20)}
"""Numbers that are seconds, milliseconds … since 1970, from 1973 on."""
UNIT_NAMES = {"s": "seconds", "ms": "milliseconds", "us": "microseconds", "ns": "nanoseconds"}
SPREADSHEET_DAYS = (20_000, 60_000)  # days since 1899-12-30, from 1954 to 2064


@dataclass(frozen=True)
class Times:
    """Times of the rows of a table, datetime64[s] `(rows,)`; NaT where a cell is empty."""

    local: pd.Series
    """Time as written; UTC for numbers since 1970."""
    instant: pd.Series
    """Time in UTC where the cell has an offset, else the same as `local`."""
    time_format: str | None
    """Format of the dates if it follows from comparing the cells, such as %m/%d/%Y, or the one that was given."""


def parse_times(
    values: pd.Series,
    source: str,
    time_format: str | None = None,
    *,
    option: str,
    likely_format: str | None = None,
    allow_empty: bool = False,
) -> Times:
    """Returns the times of a column of a table.

    Args:
        values: dates, text or numbers.
        source: file, for messages.
        time_format: format that the user named; it may leave out a time of day that the cells have.
        option: command-line option that names the format, for messages.
        likely_format: format of similar files; it is used if it fits all cells.
        allow_empty: True if a cell may be empty.

    Raises:
        DataError: a cell is empty or no time, or the order of day and month is not clear.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna() & (not allow_empty), values, source)
        zone = getattr(values.dtype, "tz", None)
        local = values.dt.tz_localize(None) if zone is not None else values
        instant = values.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else values
        return Times(_in_seconds(local), _in_seconds(instant), time_format)
    text = _as_text(values)
    is_empty = text == ""
    raise_where_empty(is_empty & (not allow_empty), values, source)
    codes, unique = pd.factorize(text[~is_empty])
    cells, offsets = _without_offsets(pd.Series(unique, dtype=object))
    parsed, cell_format = _parse(cells, values.name, source, time_format, likely_format)
    if cell_format == UNCLEAR:
        problem = f"the day or the month may come first. Name the format, for example {option} %d/%m/%Y"
        raise_where(text.str.fullmatch(NUMERIC), values, source, problem)
    rows = text.index[~is_empty]
    local, instant = (part.iloc[codes].set_axis(rows).reindex(text.index) for part in (parsed, parsed - offsets))
    expected = f"expected a day in the format {time_format}" if time_format else "expected a day such as 2016-01-29"
    hint = f"Name the format of your days, for example {option} %d/%m/%Y"
    raise_where(local.isna() & ~is_empty, values, source, f"{expected}. {hint}")
    return Times(local, instant, cell_format)


def find_time_format(values: pd.Series, source: str, likely_format: str | None = None) -> str | None:
    """Returns the format of a column if its cells show it, such as %m/%d/%Y, None otherwise (see `parse_times`)."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return None
    text = _as_text(values)
    cells, _ = _without_offsets(pd.Series(text[text != ""].unique(), dtype=object))
    cell_format = _parse(cells, values.name, source, None, likely_format)[1]
    return None if cell_format == UNCLEAR else cell_format


def are_times(values: pd.Series) -> pd.Series:
    """Returns a mask of the cells that look like a date or a time: a date, a number, or text that begins with or contains a date."""
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.notna()
    codes, unique = pd.factorize(_as_text(values))
    cells = pd.Series(unique, dtype=object)
    are_dates = cells.str.match(r"\d") | (cells.str.contains(MONTH) & cells.str.contains(r"\d"))
    return are_dates.iloc[codes].set_axis(values.index)


def are_times_of_day(values: pd.Series) -> bool:
    """Returns True if all cells are times of day without a date, such as 09:30, 9:30 PM or 093000."""
    text = _as_text(values)
    return bool(len(text)) and bool(text.str.fullmatch(TIME_OF_DAY).all())


def _as_text(values: pd.Series) -> pd.Series:
    if pd.api.types.is_float_dtype(values):
        values = values.astype("Int64") if (values.dropna() % 1 == 0).all() else values
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    return text.str.replace(r"[年月](?=\d)", "-", regex=True).str.removesuffix("日")


def _in_seconds(values: pd.Series) -> pd.Series:
    return values.astype("datetime64[s]")


def _without_offsets(cells: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Returns cells without the UTC offset after a time of day, such as "+09:00", and the offset of each as timedelta64."""
    zones = cells.str.extract(UTC_OFFSET, expand=False)
    cells = cells.where(zones.isna(), cells.str.replace(r"\s*(?:Z|UTC|GMT|[+-]\d\d:?(?:\d\d)?)$", "", regex=True))
    parts = zones.fillna("").str.extract(r"(?P<sign>[+-])(?P<hour>\d\d):?(?P<minute>\d\d)?").fillna("0")
    seconds = parts["hour"].astype(int) * 3600 + parts["minute"].astype(int) * 60
    return cells, pd.to_timedelta(seconds.where(parts["sign"] != "-", -seconds), unit="s").astype("timedelta64[s]")


def _parse(
    text: pd.Series, name: object, source: str, time_format: str | None, likely_format: str | None
) -> tuple[pd.Series, str | None]:
    """Returns the times of different cells, NaT where they cannot be read, and their format if the cells show it; `UNCLEAR` if the day
    or the month may come first."""
    if time_format:
        return _parse_with_format(text, time_format), time_format
    if likely_format and (parsed := _parse_with_format(text, likely_format)).notna().all():
        return parsed, likely_format
    numbers = pd.to_numeric(text, errors="coerce")
    if numbers.notna().mean() > 0.5:
        return _parse_numbers(text, numbers, name, source), None
    parsed = _in_seconds(pd.to_datetime(text, errors="coerce", format="ISO8601"))
    if parsed.notna().all():
        return parsed, None
    fields = text.str.extract(f"^{NUMERIC}$")
    if fields["a"].notna().mean() > 0.5:
        order = _find_order(text, fields)
        return (parsed, UNCLEAR) if order is None else (_parse_with_format(text, order), order)
    if text.str.contains(MONTH).mean() > 0.5:
        text = text.str.replace(r"^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,?\s+", "", regex=True, flags=re.IGNORECASE)
        return _in_seconds(pd.to_datetime(text, errors="coerce", format="mixed", dayfirst=True)), None
    return parsed, None


def _parse_numbers(text: pd.Series, numbers: pd.Series, name: object, source: str) -> pd.Series:
    """Returns the times of numbers: 20240524 with or without a time of day, or since 1970, or days of a spreadsheet."""
    digits = text.str.removesuffix(".0")
    result = pd.Series(np.datetime64("NaT", "s"), index=text.index)
    for length, compact in ((8, "%Y%m%d"), (12, "%Y%m%d%H%M"), (14, "%Y%m%d%H%M%S")):
        is_compact = digits.str.fullmatch(rf"(?:19|20)\d{{{length - 2}}}") & result.isna()
        if is_compact.any():
            result[is_compact] = _in_seconds(pd.to_datetime(digits[is_compact], format=compact, errors="coerce"))
    for unit, (low, high) in EPOCH_UNITS.items():
        is_unit = (numbers >= low) & (numbers < high) & result.isna() & (digits.str.len() > 8)
        if is_unit.any():
            exact = pd.to_numeric(digits[is_unit])
            result[is_unit] = _in_seconds(pd.to_datetime(exact, unit=unit))
            add_notice(f'{source}: column "{name}" is read as {UNIT_NAMES[unit]} since 1970, in UTC.')
    is_serial = (numbers >= SPREADSHEET_DAYS[0]) & (numbers < SPREADSHEET_DAYS[1]) & result.isna()
    if is_serial.any():
        seconds = pd.to_timedelta((numbers[is_serial] * 86_400).round(), unit="s")
        result[is_serial] = _in_seconds(pd.Timestamp("1899-12-30") + seconds)
        add_notice(f'{source}: column "{name}" is read as days of a spreadsheet, where 45000 is 2023-03-15.')
    return result


def _parse_with_format(text: pd.Series, time_format: str) -> pd.Series:
    """Returns times in a format; a time of day that the format does not name may follow."""
    parsed = _in_seconds(pd.to_datetime(text, errors="coerce", format=time_format))
    if parsed.notna().all():
        return parsed
    parts = text.str.extract(rf"^(?P<date>.*?){TIME_OF_DAY}$")
    day = _in_seconds(pd.to_datetime(parts["date"].str.strip(" ,T"), errors="coerce", format=time_format))
    hour, minute, second = (pd.to_numeric(parts[name]).fillna(0).astype(int) for name in ("hour", "minute", "second"))
    half = parts["half"].str[0].str.lower()
    hour = hour.where(half.isna(), hour % 12) + 12 * (half == "p")
    seconds = pd.to_timedelta(hour * 3600 + minute * 60 + second, unit="s")
    return parsed.fillna((day + seconds).astype("datetime64[s]"))


def _find_order(text: pd.Series, fields: pd.DataFrame) -> str | None:
    """Returns the format of dates that consist of numbers, or None if the day or the month may come first."""
    first, second = (pd.to_numeric(fields[name]) for name in ("a", "b"))
    if fields["a"].str.len().max() == 4:
        return f"%Y{fields['mark'].dropna().iloc[0]}%m{fields['mark'].dropna().iloc[0]}%d"
    if (first > 12).any() != (second > 12).any():
        return _format(fields, day_first=bool((first > 12).any()))
    if (first > 12).any():
        return None
    steps = {}
    for day_first in (True, False):
        days = _parse_with_format(text, _format(fields, day_first)).diff().dropna() / np.timedelta64(1, "D")
        steps[day_first] = (
            float(days.abs().max()) if len(days) > 1 and (days.ge(0).all() or days.le(0).all()) else np.inf
        )
    if min(steps.values()) <= 10 < max(steps.values()):  # days of one series follow each other
        return _format(fields, day_first=steps[True] < steps[False])
    return _format(fields, True) if (fields["mark"] == ".").any() else None


def _format(fields: pd.DataFrame, day_first: bool) -> str:
    mark = fields["mark"].dropna().iloc[0]
    year = "%Y" if fields["c"].str.len().max() == 4 else "%y"
    return mark.join(("%d", "%m", year) if day_first else ("%m", "%d", year))
