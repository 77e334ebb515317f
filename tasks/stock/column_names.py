"""Recognizes the columns of a file of prices by well-known names, where the user did not name them."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
from collections.abc import Mapping, Sequence

import pandas as pd

from shared.config import option
from shared.data.dates import are_times_of_day
from shared.data.notices import add_notice
from shared.data.tables import require_columns
from shared.errors import DataError
from tasks.stock.config import ColumnsConfig
from tasks.stock.well_known_names import ALIASES, DATES, PREFIXES, TIMES_OF_DAY

DATE_AND_TIME = "date and time of day"  # name of the column that joins them

REQUIRED = ("time", "close")


def resolve(frame: pd.DataFrame, columns: ColumnsConfig, trained: ColumnsConfig | None, source: str) -> ColumnsConfig:
    """Returns the columns with names that the file has.

    Args:
        frame: table of the file.
        columns: names from the options, or their defaults.
        trained: names that a model remembers; they are defaults too. None for those of the task.
        source: file, for messages.

    Raises:
        DataError: a column that the user named, a time or a close is missing, or several columns may be meant.
    """
    defaults = trained or ColumnsConfig()
    names = [str(name) for name in frame.columns]
    resolved: dict[str, str | None] = {}
    notes = []
    for field in ("time",) if columns.layout == "wide" else ALIASES:
        name = getattr(columns, field)
        if name is None or name in names:
            resolved[field] = name
            continue
        if name != getattr(defaults, field):
            require_columns(source, names, [name], {name: option(columns, field)})
        match = _find(field, _free_names(field, names, columns, resolved), len(names), columns, source)
        if match is not None:
            resolved[field] = match
            notes.append(f'"{match}" is the {field.replace("_", " ")}')
    if resolved.get("adjusted_close") == resolved.get("close"):
        resolved["adjusted_close"] = None
    _require(resolved, columns, names, source)
    if notes:
        hint = "Name other columns with --columns.close and similar options."
        add_notice(f"{source}: columns are recognized by their names: {', '.join(notes)}.", hint=hint)
    return dataclasses.replace(columns, **resolved)  # type: ignore[arg-type]


def join_date_and_time(frame: pd.DataFrame, columns: ColumnsConfig) -> pd.DataFrame:
    """Returns a table with one column `DATE_AND_TIME` if the file has a column of dates, and one of times of day that nobody named."""
    date = next((name for name in frame.columns if _key(name) in DATES), None)
    time = next((name for name in frame.columns if _key(name) in TIMES_OF_DAY), None)
    if date is None or time is None or (columns.time in (date, time) and columns.time != ColumnsConfig().time):
        return frame
    if not are_times_of_day(frame[time]):
        return frame
    joined = (
        frame[date].astype(str).str.strip()
        + " "
        + frame[time].astype(str).str.strip().str.replace(r"^(\d\d)(\d\d)(\d\d)$", r"\1:\2:\3", regex=True)
    )
    return frame.drop(columns=[date, time]).assign(**{DATE_AND_TIME: joined})


def _key(name: object) -> str:
    """Returns a name in lower case without accents, brackets, numbering such as "1. open", underscores and footnotes."""
    decomposed = unicodedata.normalize("NFD", str(name).strip().lower())
    plain = "".join(c for c in decomposed if not "\u0300" <= c <= "\u036f")
    key = re.sub(r"^<(.*)>$", r"\1", unicodedata.normalize("NFC", plain))
    key = re.sub(r"^\d+[a-z]?\. ?", "", key)
    key = re.sub(r"[_\s]+", " ", key).strip(" .*:#").replace(". ", " ")
    return re.sub(r" ?\((?:usd|eur|gbp|\$|€|local|shares|utc|est|et)\)$", "", key)


def _free_names(
    field: str, names: Sequence[str], columns: ColumnsConfig, resolved: Mapping[str, str | None]
) -> list[str]:
    """Returns the columns that no other field uses; an adjusted close may be the close if there is no other."""
    others = {getattr(columns, other) for other in ALIASES if other not in resolved and other != field}
    used = {*resolved.values(), *others} - ({columns.adjusted_close} if field == "close" else set())
    return [name for name in names if name not in used]


def _find(field: str, names: Sequence[str], count: int, columns: ColumnsConfig, source: str) -> str | None:
    """Returns the column that has a well-known name, or the only column beside the dates for the close, or None.

    Raises:
        DataError: several columns have one.
    """
    groups = [[name for name in names if _key(name) in aliases] for aliases in ALIASES[field]]
    if field == "time":
        groups.insert(0, [name for name in names if name == DATE_AND_TIME])
    if field in PREFIXES:
        groups.append([name for name in names if _key(name).startswith(PREFIXES[field])][:1])
    for group in groups:
        if len(group) > 1:
            listed = " and ".join(f'"{name}"' for name in group)
            raise DataError(
                f"{source}: the {field.replace('_', ' ')} may be {listed}. Name the right column with {option(columns, field)}."
            )
        if group:
            return group[0]
    is_series = field == "close" and len(names) == 1 and count == 2  # the close has the name of the series
    return names[0] if is_series else None


def _require(resolved: Mapping[str, str | None], columns: ColumnsConfig, names: Sequence[str], source: str) -> None:
    for field in REQUIRED:
        if field in resolved:
            continue
        if columns.layout == "wide" and field == "close":
            continue
        hint = (
            " For one column per ticker, add --columns.layout wide."
            if field == "close"
            else f" For a file without dates, add {option(columns, 'time')} None."
        )
        name = str(getattr(columns, field))
        try:
            require_columns(source, names, [name], {name: option(columns, field)})
        except DataError as error:
            raise DataError(f"{error}{hint}") from error
