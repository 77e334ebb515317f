"""Conversion of the columns of a user's table to one type, with errors that name the file, the row and the fix."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.data.numbers import clean_cells, count_currencies, shows_thousands, to_plain_text
from shared.errors import DataError, RowError

SCIENTIFIC = re.compile(r"\d\.\d+[eE]\+\d{2,}")  # as spreadsheets write large numbers
WHOLE = re.compile(r"-?\d+\.0")
MAX_EXACT = 2**53  # larger whole numbers are not exact in float64
FILL_IN = "Fill it in or drop the row."


def parse_identifiers(values: pd.Series, source: str, allow_empty: bool = False) -> np.ndarray:
    """Returns identifiers as text, object array `(rows,)`: 12, "12" and 12.0 all become "12"; so does "12.0" if all cells have this form.

    Raises:
        DataError: a cell is empty and `allow_empty` is False, or a number has lost digits: one of more than 15 digits that was stored as
            a floating-point number, or text such as 4.51238E+15.
    """
    text = [_format_identifier(value) for value in values.astype(object).where(values.notna(), "")]
    is_whole = [bool(WHOLE.fullmatch(identifier)) for identifier in text if identifier.strip()]
    if is_whole and all(is_whole):
        text = [identifier.removesuffix(".0") for identifier in text]
    has_lost = np.array([bool(SCIENTIFIC.fullmatch(identifier.strip())) for identifier in text], bool)
    if pd.api.types.is_float_dtype(values):
        has_lost |= (values.abs() > MAX_EXACT).fillna(False).to_numpy(bool)
    problem = (
        "digits of the identifier were lost when the file was written. Store the column as text or as whole numbers"
    )
    raise_where(has_lost, values, source, problem)
    if not allow_empty:
        empty = np.array([not identifier.strip() for identifier in text], bool)
        raise_where_empty(empty, values, source)
    return np.array(text, object)


def parse_numbers(values: pd.Series, source: str, allow_empty: bool, decimal_mark: str | None = None) -> np.ndarray:
    """Returns finite numbers, float64 `(rows,)`; an empty cell becomes NaN if `allow_empty` is True.

    Reads 1,234.50, 1.234,50, 1 234,50 and 1'234.50; a currency before or after the number; K, M, B, T and % as a factor; and
    parentheses as a minus sign. The whole column decides what a comma or point means (see `shared.data.numbers`).

    Args:
        values: column of a table.
        source: file, for error messages.
        allow_empty: True if a cell may be empty, or "null", "nan", "n/a", "-" and the like.
        decimal_mark: decimal mark of the file, from `shared.data.numbers.find_decimal_mark`; it counts where the column shows none.

    Raises:
        DataError: a cell is not a finite number, its commas are ambiguous, or it is empty and `allow_empty` is False.
    """
    is_bool = pd.api.types.is_bool_dtype(values)
    if decimal_mark != "," and not is_bool:  # a short cut for plain numbers, several times as fast
        plain = pd.to_numeric(values, errors="coerce").to_numpy(np.float64, na_value=np.nan)
        if np.isfinite(plain).all() and (
            pd.api.types.is_numeric_dtype(values) or not shows_thousands(clean_cells(values))
        ):
            return plain
    if pd.api.types.is_numeric_dtype(values) and not is_bool:
        text, numbers = values, pd.Series(values.to_numpy(np.float64, na_value=np.nan), index=values.index)
        is_empty = numbers.isna()
    else:
        text, factor, is_ambiguous = to_plain_text(values, decimal_mark)
        problem = "the comma may separate decimals or thousands. Write the number with a point, or without the comma"
        raise_where(is_ambiguous, values, source, problem)
        is_empty = text == ""
        numbers = pd.to_numeric(text.where(~is_empty, np.nan), errors="coerce") * factor
        _add_notice_of_currencies(values, source)
    raise_where(numbers.isna() & ~is_empty | np.isinf(numbers), values, source, "expected a finite number")
    if not allow_empty:
        raise_where_empty(is_empty, values, source)
    return numbers.to_numpy(np.float64)


def _add_notice_of_currencies(values: pd.Series, source: str) -> None:
    counts = count_currencies(values)
    if len(counts) > 1:
        listed = ", ".join(f"{sign} ({count:,} rows)" for sign, count in counts.items())
        add_notice(
            f'{source}: column "{values.name}" has several currencies: {listed}. The amounts are not converted.',
            hint="Convert them to one currency.",
        )


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
