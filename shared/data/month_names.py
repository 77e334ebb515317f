"""Dates with names of months, such as 31 Oct 2025, Oct 31, 2025, 31. Oktober 2025, 31 de octubre de 2025 and Mar-09."""

from __future__ import annotations

import re
import unicodedata

import pandas as pd

from shared.data.notices import add_notice
from shared.data.time_numbers import ParsedCells, in_seconds
from shared.data.times_of_day import seconds_of_day

NAMES = """
jan january januar janvier janv enero ene gennaio gen janeiro januari
feb february februar février févr febrero febbraio fevereiro fev februari
mar march märz maerz mär mrz mars marzo março maart mrt
apr april avril avr abril abr aprile
may mai mayo maggio mag maio mei
jun june juni juin junio giugno giu junho
jul july juli juillet juil julio luglio lug julho
aug august août agosto ago augustus
sep sept september septembre septiembre setiembre settembre setembro set
oct october oktober okt octobre octubre ottobre ott outubro out
nov november novembre noviembre novembro
dec december dezember dez décembre déc diciembre dic dicembre dezembro
"""
"""Names of the months, one month per line: English, German, French, Spanish, Italian, Portuguese and Dutch."""


def _without_accents(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(c))


MONTHS = {_without_accents(name): k for k, line in enumerate(NAMES.split("\n")) for name in line.split()}
"""Number of a month, from 1, by its name in lower case without accents."""
_LISTED = "|".join(sorted({*MONTHS, *NAMES.split()}, key=len, reverse=True))
_MONTH = rf"(?i)(?:^|[^a-z])(?:{_LISTED})(?:$|[^a-z])"
_NAME = rf"(?P<month>{'|'.join(sorted(MONTHS, key=len, reverse=True))})(?![^\W\d_])\.?"
_DAY = r"(?P<day>\d{1,2})(?!\d)(?:st|nd|rd|th|er|o|°|\.)?"
_YEAR = r"(?P<year>\d{4}|\d\d)(?!\d)"
_MARK, _OF = r"[\s./,-]*", r"(?:(?:de|del|of)\s+)?"
_WEEKDAY = r"(?:[^\W\d_]+\.?,?\s+)?(?:(?:den|le|el|il)\s+)?"
_CLOCK = r"(?:[\s,]*(?:(?:at|um|a)\s+)?t?(?P<clock>\d{1,2}:\d\d.*?)(?:\s*uhr)?)?$"
DATES = [
    re.compile(pattern)
    for pattern in (
        rf"^{_WEEKDAY}{_DAY}{_MARK}{_OF}{_NAME}{_MARK}{_OF}['’]?{_YEAR}{_CLOCK}",
        rf"^{_WEEKDAY}{_NAME}{_MARK}{_DAY}(?:\s*,\s*|\s+|-)(?P<year>\d{{4}})(?!\d){_CLOCK}",
        rf"^(?P<year>\d{{4}}){_MARK}{_NAME}{_MARK}{_DAY}{_CLOCK}",
        rf"^{_WEEKDAY}{_NAME}\s+{_DAY}\s+(?P<clock>\d{{1,2}}:\d\d\S*)\s+(?P<year>\d{{4}})$",
        rf"^{_NAME}{_MARK}{_OF}['’]?{_YEAR}$",
        rf"^(?P<year>\d{{4}}){_MARK}{_NAME}$",
    )
]
EXPECTED = "a date with a year, such as 9 Mar 2024 or Mar 2024; the format of months with years of two digits, such as Mar-09, is %b-%y"


def have_months(text: pd.Series) -> pd.Series:
    """Returns a mask of the texts that have the name of a month."""
    return text.str.normalize("NFC").str.contains(_MONTH)


def parse_month_names(text: pd.Series, name: object, source: str) -> ParsedCells:
    """Returns the times of different cells with names of months; a month without a day is its first day.

    A year of two digits counts from 1969 to 2068. A cell such as Mar-09 is a month and a year only if the months of successive cells
    change more often than these numbers, which may be days otherwise.

    Args:
        text: different cells without UTC offsets, in the order of the file.
        name: name of the column, for a notice.
        source: file, for a notice.
    """
    dates = pd.DataFrame(
        [_find_date(_without_accents(cell)) for cell in text], index=text.index, columns=["date", "clock", "is_short"]
    )
    is_short = dates["is_short"].astype(bool)
    time_format = None
    if is_short.any():
        months = dates["date"][is_short]
        if not _are_months(months):
            dates.loc[is_short, "date"] = None
        else:
            example = f"{text[is_short].iloc[0]} is {months.iloc[0][:7]}"
            add_notice(f'{source}: the dates in column "{name}" are read as month and year: {example}.')
            is_fitting = pd.to_datetime(text, format="%b-%y", errors="coerce").notna().all()
            time_format = "%b-%y" if is_fitting else None
    days = in_seconds(pd.to_datetime(dates["date"], format="%Y-%m-%d", errors="coerce"))
    seconds = seconds_of_day(dates["clock"].astype("str"))
    return ParsedCells(in_seconds(days + pd.to_timedelta(seconds, unit="s")), time_format, EXPECTED)


def _find_date(cell: str) -> tuple[str | None, str, bool]:
    """Returns the date of a cell as YYYY-MM-DD or None, its time of day, and whether it has only a month and a year of two digits."""
    match = next((match for match in (pattern.match(cell) for pattern in DATES) if match), None)
    if match is None:
        return None, "00:00", False
    fields = match.groupdict()
    year, day = fields["year"], fields.get("day")
    number = int(year) if len(year) == 4 else int(year) + (2000 if int(year) < 69 else 1900)
    date = f"{number:04d}-{MONTHS[fields['month']]:02d}-{int(day or 1):02d}"
    return date, fields.get("clock") or "00:00", day is None and len(year) == 2 and not re.search("['’]", cell)


def _are_months(dates: pd.Series) -> bool:
    """Returns True if the months of successive dates differ more often than their years."""
    parts = dates.str.split("-")
    months, years = parts.str[1], parts.str[0]
    return int((months != months.shift()).sum()) > int((years != years.shift()).sum())
