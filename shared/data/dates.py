"""Dates and times as people, banks and exchanges write them: ISO 8601, 05/24/2024 1:05 PM, 24.05.2024, 24 May 2024, 20240524, seconds
since 1970.

The whole column decides whether the day or the month comes first. Only different cells are parsed.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from shared.data.columns import raise_where, raise_where_empty
from shared.data.month_names import have_months, parse_month_names
from shared.data.notices import add_notice
from shared.data.time_numbers import ParsedCells, distinct_cells, in_seconds, parse_epoch, parse_time_numbers
from shared.data.times_of_day import CLOCK, TIME_OF_DAY, seconds_of_day

ZONE_HOURS = {"EST": -5, "EDT": -4, "CST": -6, "CDT": -5, "MST": -7, "MDT": -6, "PST": -8, "PDT": -7} | {
    "WET": 0,
    "WEST": 1,
    "CET": 1,
    "CEST": 2,
    "MEZ": 1,
    "MESZ": 2,
    "EET": 2,
    "EEST": 3,
    "JST": 9,
    "KST": 9,
}
"""Hours from UTC of time zones with a name: those of RFC 5322, of Europe, Japan and Korea."""
ZONE = rf"(?:(?:UTC|GMT)?[+-]\d\d:?(?:\d\d)?|Z|UTC|GMT|{'|'.join(ZONE_HOURS)})"
TIME_END = r":\d\d(?:\.\d+)?(?:\s*[AaPp]\.?[Mm]\.?)?"
UTC_OFFSET = rf"^(?P<time>.*{TIME_END})\s*(?P<zone>{ZONE})$"  # after a time of day
NUMERIC = r"(?P<a>\d{1,4})(?P<mark>[./-])(?P<b>\d{1,2})[./-](?P<c>\d{2,4})"
MONTH_OF_YEAR = r"(?P<month>0?[1-9]|1[0-2])[./-](?P<year>(?:19|20)\d\d)"
EAST_ASIAN = (
    r"^(?P<year>\d{4})\s*(?:[年년]|\.(?=\s|.*\.$))\s*(?P<month>\d{1,2})\s*[月월.]\s*(?P<day>\d{1,2})\s*[日일.]?"
)
"""A date such as 2024年1月5日, 2024년 1월 5일 or 2024. 1. 5."""
UNCLEAR = "unclear"
FIRST_TIME = pd.Timestamp("1000-01-01")  # an earlier one is no time, but has no year, or was not known
SAMPLE_CELLS = 1_000  # that decide whether the cells are numbers


@dataclass(frozen=True)
class Times:
    """Times of the rows of a table, datetime64[s] `(rows,)`; NaT where a cell is empty."""

    local: pd.Series
    """Time as written; UTC for numbers since 1970."""
    instant: pd.Series
    """Time in UTC where the cell has an offset, else the same as `local`."""
    time_format: str | None
    """Format of the dates if the order of day and month follows from comparing the cells, such as %m/%d/%Y, or the one that was given."""


def parse_times(
    values: pd.Series,
    source: str,
    time_format: str | None = None,
    *,
    option: str,
    likely_format: str | None = None,
    allow_empty: bool = False,
    empty_texts: Sequence[str] = ("",),
    allow_mixed_zones: bool = True,
) -> Times:
    """Returns the times of a column of a table.

    Args:
        values: dates, text or numbers.
        source: file, for messages.
        time_format: format that the user named; it may leave out a time of day that the cells have.
        option: command-line option that names the format, for messages.
        likely_format: format of similar files; it is used if it fits all cells.
        allow_empty: True if a cell may be empty.
        empty_texts: texts in lower case that count as an empty cell.
        allow_mixed_zones: True if only some of the cells may have a UTC offset.

    Raises:
        DataError: a cell is empty or no time, or the order of day and month is not clear.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna() & (not allow_empty), values, source)
        zone = getattr(values.dtype, "tz", None)
        local = values.dt.tz_localize(None) if zone is not None else values
        instant = values.dt.tz_convert("UTC").dt.tz_localize(None) if zone is not None else values
        return Times(in_seconds(local), in_seconds(instant), time_format)
    if time_format is None and (epoch := parse_epoch(values, source)) is not None:
        return Times(epoch, epoch, None)
    codes, cells = distinct_cells(values)
    is_empty = cells.str.lower().isin(empty_texts)
    raise_where_empty(_at_rows(is_empty, codes, True) & (not allow_empty), values, source)
    known, offsets, has_zone = _split_offsets(cells[~is_empty])
    if has_zone.any() and not has_zone.all() and not allow_mixed_zones:
        problem = "no time zone, but other rows have one. Give all times a time zone, or none"
        raise_where(_at_rows((~has_zone).reindex(cells.index, fill_value=False), codes, False), values, source, problem)
    parsed = _parse(known, values.name, source, option, time_format, likely_format)
    parsed = replace(parsed, times=parsed.times.where(parsed.times >= FIRST_TIME))
    if parsed.time_format == UNCLEAR:
        problem = f"the day or the month may come first. Name the format, for example {option} %d/%m/%Y"
        raise_where(_at_rows(cells.str.match(NUMERIC), codes, False), values, source, problem)
    local, instant = (
        pd.Series(_at_rows(part.reindex(cells.index), codes, np.datetime64("NaT", "s")), values.index)
        for part in (parsed.times, parsed.times - offsets)
    )
    expected = f"a time in the format {time_format}" if time_format else parsed.expected
    hint = f'Name the format of your times, for example {option} "%d/%m/%Y %H:%M"'
    is_wrong = local.isna().to_numpy() & ~_at_rows(is_empty, codes, True)
    raise_where(is_wrong, values, source, f"expected {expected}. {hint}")
    return Times(local, instant, parsed.time_format)


def find_time_format(values: pd.Series, source: str, option: str, likely_format: str | None = None) -> str | None:
    """Returns the format of a column if its cells show it, such as %m/%d/%Y, None otherwise (see `parse_times`)."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return None
    _, cells = distinct_cells(values)
    known, _, _ = _split_offsets(cells[cells != ""])
    time_format = _parse(known, values.name, source, option, None, likely_format).time_format
    return None if time_format == UNCLEAR else time_format


def have_order(values: pd.Series) -> bool:
    """Returns True if the cells are dates such as 05/04/2024, in which the day or the month comes first."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return False
    first = _extract(distinct_cells(values.iloc[:SAMPLE_CELLS])[1], f"^{NUMERIC}")["a"]
    return bool((first.str.len() < 3).mean() > 0.5)


def are_times(values: pd.Series) -> pd.Series:
    """Returns a mask of the cells that look like a date or a time: a date, a number, or text that begins with or contains a date."""
    if pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_numeric_dtype(values):
        return values.notna()
    codes, cells = distinct_cells(values)
    are_dates = cells.str.match(r"\d") | (have_months(cells) & cells.str.contains(r"\d"))
    return pd.Series(_at_rows(are_dates, codes, False), values.index)


def are_times_of_day(values: pd.Series) -> bool:
    """Returns True if all cells are times of day without a date, such as 09:30, 9:30 PM or 093000."""
    codes, cells = distinct_cells(values)
    return bool(len(cells)) and -1 not in codes and bool(cells.str.fullmatch(TIME_OF_DAY).all())


def _at_rows(cells: pd.Series, codes: np.ndarray, missing: object) -> np.ndarray:
    """Returns the values of different cells at the rows of the table, and `missing` for rows without a value."""
    values = cells.to_numpy()
    return np.append(values, np.array([missing], values.dtype))[codes]


def _extract(text: pd.Series, pattern: str) -> pd.DataFrame:
    """Returns the named groups of a regular expression (RE2) as columns, missing where it does not match; many times as fast as
    `Series.str.extract`."""
    groups = pc.extract_regex(pa.array(text, pa.string()), pattern)
    names = [field.name for field in groups.type]
    return pd.DataFrame({name: pc.struct_field(groups, name).to_pandas() for name in names}).set_index(text.index)


def _split_offsets(cells: pd.Series) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Returns cells without the UTC offset after a time of day, such as "+09:00", the offset of each as timedelta64, and a mask of the
    cells that have one."""
    if not cells.str.contains(rf"{TIME_END}\s*{ZONE}$").any():  # several times as fast
        nothing = pd.Series(False, cells.index)
        return cells, pd.Series(np.timedelta64(0, "s"), cells.index), nothing
    parts = _extract(cells, UTC_OFFSET)
    codes, zones = pd.factorize(parts["zone"])
    offsets_of_names = {name: f"{hours:+03d}:00" for name, hours in ZONE_HOURS.items()}
    fields = (
        pd.Series(zones, dtype="str")
        .replace(offsets_of_names)
        .str.extract(r"(?P<sign>[+-])(?P<hour>\d\d):?(?P<minute>\d\d)?")
        .fillna("0")
    )
    seconds = fields["hour"].astype(int) * 3600 + fields["minute"].astype(int) * 60
    seconds = seconds.where(fields["sign"] != "-", -seconds)
    offsets = pd.Series(_at_rows(seconds, codes, 0), cells.index)
    has_zone = pd.Series(codes >= 0, cells.index)
    cells = cells.where(~has_zone, parts["time"]) if has_zone.any() else cells
    return cells, pd.to_timedelta(offsets, unit="s").astype("timedelta64[s]"), has_zone


def _parse(
    text: pd.Series, name: object, source: str, option: str, time_format: str | None, likely_format: str | None
) -> ParsedCells:
    """Returns the times of different cells without UTC offsets."""
    if time_format:
        time_format = re.sub(r"\s*%[zZ]", "", time_format)  # the offsets are removed
        return ParsedCells(_parse_with_format(text, time_format), time_format)
    if likely_format and (parsed := _parse_with_format(text, likely_format)).notna().all():
        return ParsedCells(parsed, likely_format)
    text = _to_year_first(text)
    sample = text.iloc[:: max(1, len(text) // SAMPLE_CELLS)]
    if pd.to_numeric(sample, errors="coerce").notna().mean() > 0.5:
        return parse_time_numbers(text, pd.to_numeric(text, errors="coerce"), name, source)
    if text.iloc[:1].str.match(r"\d{4}-?\d").all():
        parsed = in_seconds(pd.to_datetime(text, errors="coerce", format="ISO8601"))
        if parsed.notna().all():
            return ParsedCells(parsed)
    dates = pd.Series(_extract(text, r"^(?P<date>[^ T,]+)")["date"].dropna().unique(), dtype="str")
    fields = _extract(dates, f"^{NUMERIC}$")
    if fields["a"].notna().mean() > 0.5:
        order = _find_order(dates, fields.dropna())
        if order is None:
            return ParsedCells(pd.Series(np.datetime64("NaT", "s"), text.index), UNCLEAR)
        is_certain = pd.to_numeric(fields[["a", "b"]].stack()).max() > 12
        _add_notice_of_order(order, is_certain, name, source, option)
        return ParsedCells(_parse_with_format(text, order), None if order.startswith("%Y") else order)
    if have_months(text).mean() > 0.5:
        return parse_month_names(text, name, source)
    return ParsedCells(in_seconds(pd.to_datetime(text, errors="coerce", format="ISO8601")))


def _to_year_first(text: pd.Series) -> pd.Series:
    """Returns cells in which a date such as 2024年1月5日 or 2024. 1. 5. is 2024-1-5, and 03/2009 is 2009-03-01."""
    if text.iloc[:1].str.match(r"\d{4}\s*[年년.]").any():
        text = text.str.replace(EAST_ASIAN, r"\g<year>-\g<month>-\g<day>", regex=True)
    if len(text) and text.str.fullmatch(MONTH_OF_YEAR).all():
        parts = _extract(text, f"^{MONTH_OF_YEAR}$")
        text = parts["year"] + "-" + parts["month"].str.zfill(2) + "-01"
    return text


def _parse_with_format(text: pd.Series, time_format: str) -> pd.Series:
    """Returns times in a format; a time of day that the format does not name may follow."""
    parsed = pd.Series(np.datetime64("NaT", "s"), text.index)
    if pd.to_datetime(text.iloc[:10], errors="coerce", format=time_format).notna().any():
        parsed = in_seconds(pd.to_datetime(text, errors="coerce", format=time_format))
    if parsed.notna().all():
        return parsed
    parts = _extract(text, rf"^(?P<date>.*?)(?P<clock>{CLOCK})$")
    codes, dates = pd.factorize(parts["date"])
    days = pd.to_datetime(pd.Series(dates, dtype="str").str.strip(" ,T"), errors="coerce", format=time_format)
    day = pd.Series(_at_rows(in_seconds(days), codes, np.datetime64("NaT", "s")), text.index)
    codes, clocks = pd.factorize(parts["clock"])
    seconds = pd.Series(_at_rows(seconds_of_day(pd.Series(clocks, dtype="str")), codes, np.nan), text.index)
    return parsed.fillna((day + pd.to_timedelta(seconds, unit="s")).astype("datetime64[s]"))


def _find_order(dates: pd.Series, fields: pd.DataFrame) -> str | None:
    """Returns the format of dates that consist of numbers, or None if the day or the month may come first."""
    first, second = (pd.to_numeric(fields[name]) for name in ("a", "b"))
    if fields["a"].str.len().max() == 4:
        return "%Y{0}%m{0}%d".format(fields["mark"].iloc[0])
    if (first > 12).any() != (second > 12).any():
        return _format(fields, day_first=bool((first > 12).any()))
    if (first > 12).any():
        return None
    steps = {}
    for day_first in (True, False):
        days = pd.to_datetime(dates, errors="coerce", format=_format(fields, day_first)).dropna().sort_values()
        gaps = days.diff().dropna() / np.timedelta64(1, "D")
        steps[day_first] = float(gaps.max()) if len(gaps) > 1 else np.inf
    if min(steps.values()) <= 10 < max(steps.values()):  # days of one series follow each other
        return _format(fields, day_first=steps[True] < steps[False])
    return _format(fields, True) if (fields["mark"] == ".").any() else None


def _format(fields: pd.DataFrame, day_first: bool) -> str:
    mark = fields["mark"].iloc[0]
    year = "%Y" if fields["c"].str.len().max() == 4 else "%y"
    return mark.join(("%d", "%m", year) if day_first else ("%m", "%d", year))


def _add_notice_of_order(time_format: str, is_certain: bool, name: object, source: str, option: str) -> None:
    if time_format.startswith("%Y"):
        return
    order, other = "the day", "the month"
    if time_format.startswith("%m"):
        order, other = other, order
    add_notice(
        f'{source}: the dates in column "{name}" are read as {time_format}, with {order} first.',
        hint="" if is_certain else f"If {other} comes first, name the format with {option}.",
    )
