"""Lines before the header of a text table, such as a title, a source or a comment."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence

from shared.data.header_rows import MAX_ROWS, count_rows_before_header, find_columns

MAX_LINES = MAX_ROWS + 30
"""Lines that are looked at: those before a header, and records that show how many fields they have."""
SEPARATORS = ",;\t|"
SEPARATOR_HINT = re.compile(r"\s*\"?sep=([,;|\t])\"?\s*", re.IGNORECASE)
"""Line of a file for Excel that names the separator."""


def count_preamble_lines(lines: Sequence[str], columns: Sequence[str] = (), skips_titles: bool = False) -> int:
    """Returns the number of lines before the header of a text table.

    The first line that has all columns is the header. If there is none, the lines before the header are those that
    `count_rows_before_header` describes, comments and lines such as sep=;.

    Args:
        lines: first `MAX_LINES` lines of a file.
        columns: names of the columns that are needed; may be empty.
        skips_titles: False to look for the columns only.
    """
    for separator in SEPARATORS:
        header = find_columns([_fields(line, separator) for line in lines[:MAX_ROWS]], columns)
        if header is not None:
            return header
    return _count_titles(lines) if skips_titles and lines else 0


def _count_titles(lines: Sequence[str]) -> int:
    width, separator = _find_width(lines)
    rows = [_fields(line, separator) for line in lines]

    def is_remark(position: int) -> bool:
        is_comment = lines[position].lstrip().startswith("#") and len(rows[position]) < width
        return is_comment or bool(SEPARATOR_HINT.fullmatch(lines[position]))

    return count_rows_before_header(rows, width, is_remark)


def _find_width(lines: Sequence[str]) -> tuple[int, str]:
    """Returns the number of fields of the records, from the last of the lines, and their separator."""
    body = [line for line in lines[len(lines) // 2 :] if line.strip()]
    counts = {}
    for separator in SEPARATORS:
        widths = [len(_fields(line, separator)) for line in body]
        width = max(set(widths), key=widths.count, default=1)
        count = sum(len(_fields(line, separator)) == width for line in lines)  # the header counts too
        counts[separator] = (count if width > 1 else 0, width)
    separator = max(SEPARATORS, key=lambda s: counts[s])
    return counts[separator][1], separator


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader([line], delimiter=separator), [])
