"""Rows above the header of a table, such as a title, as text files and spreadsheets have them."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

MAX_ROWS = 30  # rows above a header at most
VALUE = re.compile(r"[\W_]*\d[\d\W_]*")  # a number or a date


def count_rows_before_header(
    rows: Sequence[Sequence[str]], width: int, is_remark: Callable[[int], bool] = lambda position: False
) -> int:
    """Returns the number of rows above the header, 0 if there are `MAX_ROWS` or more, or the table has one column.

    A row stands above the header if it has fewer fields than the records, or fields that are empty but for one, or is a remark, or ends
    with an empty field above a row whose fields all are names.

    Args:
        rows: fields of the first rows of a file.
        width: number of fields of a record.
        is_remark: function that returns True for the position of a row that belongs to no table, whatever its fields are.
    """
    header = _find_full_header(rows, width)
    count = 0
    while count < min(len(rows) - 1, MAX_ROWS):
        filled = sum(bool(field.strip()) for field in rows[count])
        is_short = len(rows[count]) < width or (filled <= 1 and width > 2)
        is_padded = count < header and not "".join(rows[count][-1:]).strip()
        if not (is_short or is_padded or is_remark(count)):
            break
        count += 1
    return 0 if width < 2 or count == MAX_ROWS else count


def find_columns(rows: Sequence[Sequence[str]], columns: Sequence[str]) -> int | None:
    """Returns the position of the first of `MAX_ROWS` rows that has all columns; None if there is none, or no column is needed."""
    return next((k for k, row in enumerate(rows[:MAX_ROWS]) if columns and set(columns) <= set(row)), None)


def _find_full_header(rows: Sequence[Sequence[str]], width: int) -> int:
    """Returns the position of the first row whose fields all are names, above a row with a number or a date; 0 if there is none."""
    for position, (row, following) in enumerate(pairwise(rows[: MAX_ROWS + 1])):
        is_header = len(row) == width and all(field.strip() and not VALUE.fullmatch(field) for field in row)
        if is_header and any(VALUE.fullmatch(field) for field in following):
            return position
    return 0
