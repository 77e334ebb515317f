"""Lines before the header of a text table, such as a title, a source or a comment."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from shared.data import files
from shared.data.delimited import DEFAULT_SEPARATORS
from shared.data.header_rows import MAX_ROWS, count_rows_before_header
from shared.data.notices import add_notice
from shared.data.tables import require_table
from shared.errors import DataError

BODY_LINES = 30  # further lines that show how many fields a record has
SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r"^\s*\"?sep=.\"?\s*$", re.IGNORECASE)


def count_preamble_lines(source: str) -> int:
    """Returns the number of lines before the header of a text table, 0 for other files, and adds a notice that quotes the first one.

    Comments and lines such as sep=; belong to the preamble, and what `count_rows_before_header` describes.
    """
    path = Path(source).expanduser()
    if not path.is_file() or require_table(path) not in DEFAULT_SEPARATORS:
        return 0
    lines = _first_lines(path)
    width, separator = _find_width(lines)
    rows = [_fields(line, separator) for line in lines]

    def is_remark(position: int) -> bool:
        is_comment = lines[position].lstrip().startswith("#") and len(rows[position]) < width
        return is_comment or bool(SEPARATOR_LINE.match(lines[position]))

    count = count_rows_before_header(rows, width, is_remark)
    written = [line.strip() for line in lines[:count] if line.strip()]
    if written:
        add_notice(f'{source}: skipped lines before the header: {count}, from "{written[0][:60]}".')
    return count


def _first_lines(path: Path) -> list[str]:
    try:
        with files.open_text(path) as file:
            content = [file.readline() for _ in range(MAX_ROWS + BODY_LINES)]
    except (DataError, UnicodeError, *files.READ_ERRORS):  # `read_all` reports it
        return []
    return [line.rstrip("\r\n") for line in content if line]


def _find_width(lines: list[str]) -> tuple[int, str]:
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
    return next(csv.reader(io.StringIO(line), delimiter=separator), [])
