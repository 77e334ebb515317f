"""Columns of a user's table brought to one type, or refused with the file, the row and the remedy."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.errors import DataError

NOTHING = ("null", "nan", "na", "n/a", "none")
"""How files write a number that is not there, besides an empty cell; in any case."""
WITH_DECIMAL_COMMA = r"[+-]?(\d+|\d{1,3}(\.\d{3})+)(,\d+)?"
WITH_THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+(\.\d+)?"


def parse_identifiers(values: pd.Series, source: str, allow_empty: bool = False) -> np.ndarray:
    """Returns names as text, `(rows,)` of objects: 12 in one file is "12" in another, and 12.0 in a third.

    Raises:
        DataError: a cell is empty, unless that is fine.
    """
    text = [_identifier(value) for value in values.astype(object).where(values.notna(), "")]
    if not allow_empty:
        missing = np.array([not word.strip() for word in text], bool)
        raise_where_empty(missing, values, source)
    return np.array(text, object)


def parse_numbers(values: pd.Series, source: str, allow_empty: bool) -> np.ndarray:
    """Returns finite numbers, float64 `(rows,)`; an empty cell, where that is fine, is not a number.

    Decimal commas are understood where the whole column has them (12,50 and 1.234,56), and commas between thousands where the
    whole column can be read so, and not otherwise (1,234.50 and 12).

    Raises:
        DataError: a cell is no finite number, commas may mean one or the other, or is empty (or says "null", "nan", "n/a" or the like).
    """
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    text = text.where(~text.str.lower().isin(NOTHING), "")
    text = _without_commas(text, values, source)
    found = pd.to_numeric(text.where(text != "", np.nan), errors="coerce")
    wrong = found.isna() & (text != "") | np.isinf(found)
    raise_where(wrong, values, source, "is no finite number")
    if not allow_empty:
        raise_where_empty(found.isna(), values, source)
    return found.to_numpy(np.float64)


def _without_commas(text: pd.Series, values: pd.Series, source: str) -> pd.Series:
    """Returns numbers as Python writes them, where commas stand for the decimal point or between thousands throughout."""
    commas = text.str.contains(",", regex=False)
    if not commas.any():
        return text
    filled = text[text != ""]
    decimal = filled.str.fullmatch(WITH_DECIMAL_COMMA).all()
    thousands = bool((text[commas].str.fullmatch(WITH_THOUSANDS)).all())
    if decimal and thousands:
        raise_where(
            commas, values, source, "may have a decimal comma or thousands; write it without the comma, or with a point"
        )
    if decimal:
        return text.str.replace(".", "", regex=False).str.replace(",", ".", regex=False)
    return text.str.replace(",", "", regex=False) if thousands else text


def parse_json_lines(lines: Sequence[str], wanted: Sequence[str]) -> pd.DataFrame:
    """Returns lines, a JSON object each, as a table.

    Raises:
        DataError: a line is no JSON object, or lacks one of the columns wanted.
    """
    example = json.dumps(dict.fromkeys(wanted, "…"), ensure_ascii=False)
    records = []
    for number, line in enumerate(lines, 1):
        try:
            record = json.loads(line)
        except ValueError as error:
            raise DataError(f'line {number}: "{line[:40]}" is not JSON ({error}). Give {example}.') from error
        missing = [column for column in wanted if not isinstance(record, dict) or column not in record]
        if missing:
            raise DataError(f'line {number}: no "{missing[0]}". Give {example}.')
        records.append(record)
    return pd.DataFrame(records)


def raise_where(wrong: Any, values: pd.Series, source: str, complaint: str) -> None:
    """Raises a `DataError` that names the first row for which `wrong` is True; 1 is the first record."""
    if np.any(wrong):
        row = int(np.argmax(np.asarray(wrong)))
        raise DataError(f'{source}, row {row + 1}: column "{values.name}" is "{values.iloc[row]}": it {complaint}.')


def raise_where_empty(missing: Any, values: pd.Series, source: str, wanted: str = "a value") -> None:
    """Raises a `DataError` that names the first row for which `missing` is True: it needs what is `wanted`."""
    if np.any(missing):
        row = int(np.argmax(np.asarray(missing)))
        said = "" if pd.isna(values.iloc[row]) else str(values.iloc[row]).strip()
        empty = f'is "{said}", which counts as empty' if said else "is empty"
        raise DataError(f'{source}, row {row + 1}: column "{values.name}" {empty}; give it {wanted} or drop the row.')


def _identifier(value: Any) -> str:
    """Returns an identifier as text, the same whether its column came as integers, or as floats because of a gap."""
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)
