"""Conversion of the columns of a user's table to one type, with errors that name the file, the row and the fix."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.errors import DataError, RowError

MISSING_NUMBERS = ("null", "nan", "na", "n/a", "none")
"""Texts that stand for a missing number, like an empty cell; upper and lower case are equal."""
WITH_DECIMAL_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"
WITH_THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"
FILL_IN = "Fill it in or drop the row."


def parse_identifiers(values: pd.Series, source: str, allow_empty: bool = False) -> np.ndarray:
    """Returns identifiers as text, object array `(rows,)`: 12, "12" and 12.0 all become "12".

    Raises:
        DataError: a cell is empty and `allow_empty` is False.
    """
    text = [_format_identifier(value) for value in values.astype(object).where(values.notna(), "")]
    if not allow_empty:
        empty = np.array([not identifier.strip() for identifier in text], bool)
        raise_where_empty(empty, values, source)
    return np.array(text, object)


def parse_numbers(values: pd.Series, source: str, allow_empty: bool) -> np.ndarray:
    """Returns finite numbers, float64 `(rows,)`; an empty cell becomes NaN if `allow_empty` is True.

    A comma is a decimal comma if every number of the column can be read so (12,50 and 1.234,56). It separates thousands if every
    number with a comma can be read so, and not every number of the column has a decimal comma (1,234.50 and 12).

    Raises:
        DataError: a cell is not a finite number, its commas are ambiguous, or it is empty (or "null", "nan", "n/a" and the like)
            and `allow_empty` is False.
    """
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    text = text.where(~text.str.lower().isin(MISSING_NUMBERS), "")
    text = _without_commas(text, values, source)
    numbers = pd.to_numeric(text.where(text != "", np.nan), errors="coerce")
    invalid = numbers.isna() & (text != "") | np.isinf(numbers)
    raise_where(invalid, values, source, "expected a finite number")
    if not allow_empty:
        raise_where_empty(numbers.isna(), values, source)
    return numbers.to_numpy(np.float64)


def _without_commas(text: pd.Series, values: pd.Series, source: str) -> pd.Series:
    """Returns numbers in Python's notation if their commas consistently separate decimals or thousands."""
    has_comma = text.str.contains(",", regex=False)
    if not has_comma.any():
        return text
    decimal = text[text != ""].str.fullmatch(WITH_DECIMAL_COMMA).all()
    thousands = bool(text[has_comma].str.fullmatch(WITH_THOUSANDS).all())
    if decimal and thousands:
        problem = "the comma may separate decimals or thousands. Write the number with a point, or without the comma"
        raise_where(has_comma, values, source, problem)
    if decimal:
        return text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return text.str.replace(",", "", regex=False) if thousands else text


def parse_json_lines(lines: Sequence[str], columns: Sequence[str]) -> pd.DataFrame:
    """Returns lines, each a JSON object, as a table.

    Raises:
        DataError: a line is not a JSON object, or lacks one of the columns.
    """
    example = json.dumps(dict.fromkeys(columns, "…"), ensure_ascii=False)
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f'line {number}: "{line[:40]}" is not JSON ({error}). Expected: {example}') from error
        missing = [column for column in columns if not isinstance(record, dict) or column not in record]
        if missing:
            raise DataError(f'line {number}: no "{missing[0]}". Expected: {example}')
        records.append(record)
    return pd.DataFrame(records)


def raise_where(invalid: Any, values: pd.Series, source: str, problem: str) -> None:
    """Raises a `RowError` for the rows where `invalid` is True.

    Args:
        invalid: boolean array `(rows,)`.
        values: column with these values.
        source: file, for the message.
        problem: what is wrong or expected, such as "expected a finite number"; it follows `column "x" is "value": `.
    """
    positions = np.flatnonzero(np.asarray(invalid))
    if len(positions):
        raise RowError(source, positions, lambda row: f'column "{values.name}" is "{values.iloc[row]}": {problem}.')


def raise_where_empty(empty: Any, values: pd.Series, source: str, fix: str = FILL_IN) -> None:
    """Raises a `RowError` for the rows where `empty` is True.

    Args:
        empty: boolean array `(rows,)`.
        values: column with these values; "null" and the like are quoted in the message.
        source: file, for the message.
        fix: sentence on what to do.
    """

    def describe(row: int) -> str:
        text = "" if pd.isna(values.iloc[row]) else str(values.iloc[row]).strip()
        problem = f'is "{text}", which counts as empty' if text else "is empty"
        return f'column "{values.name}" {problem}. {fix}'

    positions = np.flatnonzero(np.asarray(empty))
    if len(positions):
        raise RowError(source, positions, describe)


def _format_identifier(value: Any) -> str:
    """Returns an identifier as text, without ".0" if its column has floats because of a missing value."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
