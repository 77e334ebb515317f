"""Lines before the header of a text table, such as a title, a source or a comment."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

from shared.data import files
from shared.data.dialects import DEFAULT_SEPARATORS
from shared.data.notices import add_notice
from shared.data.tables import require_table
from shared.errors import DataError

MAX_LINES = 30  # lines of a preamble at most
BODY_LINES = 30  # further lines that show how many fields a record has
SEPARATORS = ",;\t|"
SEPARATOR_LINE = re.compile(r"^\s*\"?sep=.\"?\s*$", re.IGNORECASE)


def count_preamble_lines(source: str) -> int:
    """Returns the number of lines before the header of a text table, 0 for other files, and adds a notice that quotes the first one.

    A line belongs to the preamble if it has fewer fields than the records, or fields that are empty but for one, or is a comment.
    """
    path = Path(source).expanduser()
    if not path.is_file() or require_table(path) not in DEFAULT_SEPARATORS:
        return 0
    lines = _first_lines(path)
    width, separator = _find_width(lines)
    count = 0
    while count < min(len(lines) - 1, MAX_LINES) and _is_preamble(lines[count], separator, width):
        count += 1
    if width < 2 or count in (0, MAX_LINES):
        return 0
    written = [line.strip() for line in lines[:count] if line.strip()]
    if written:
        add_notice(f'{source}: skipped lines before the header: {count}, from "{written[0][:60]}".')
    return count


def _first_lines(path: Path) -> list[str]:
    try:
        with files.open_text(path) as file:
            content = [file.readline() for _ in range(MAX_LINES + BODY_LINES)]
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


def _is_preamble(line: str, separator: str, width: int) -> bool:
    fields = _fields(line, separator)
    filled = sum(bool(field.strip()) for field in fields)
    is_comment = line.lstrip().startswith("#") and len(fields) < width
    return is_comment or bool(SEPARATOR_LINE.match(line)) or len(fields) < width or (filled <= 1 and width > 2)


def _fields(line: str, separator: str) -> list[str]:
    return next(csv.reader(io.StringIO(line), delimiter=separator), [])
