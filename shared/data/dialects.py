"""Dialects of text tables: separator, quotes and header are recognized by the content, so that every record has the fields of the header."""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TextIO

from shared.data import files
from shared.data.notices import add_notice
from shared.data.preambles import MAX_LINES, SEPARATOR_HINT, SEPARATORS, count_preamble_lines

DEFAULT_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Usual separator of the fields by suffix."""
SAMPLE_RECORDS = 200

csv.field_size_limit(sys.maxsize)  # a text may be longer than 128 KiB


@dataclass(frozen=True)
class Dialect:
    """How the fields of a file are separated and quoted, and the number of lines before the header."""

    separator: str
    is_quoted: bool
    """Whether double quotes enclose fields."""
    skipped_lines: int = 0
    escape: str | None = None
    """Character before a double quote that belongs to a quoted field; None if such a quote is doubled."""

    @property
    def quoting(self) -> Literal[0, 3]:
        """`csv.QUOTE_MINIMAL` or `csv.QUOTE_NONE`."""
        return csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE

    def reader(self, file: TextIO, strict: bool = False) -> Any:
        """Returns a `csv.reader` of a file from its first line."""
        return csv.reader(file, delimiter=self.separator, quoting=self.quoting, escapechar=self.escape, strict=strict)


def find_dialect(path: Path, suffix: str, columns: Sequence[str] = (), skips_titles: bool = False) -> Dialect:
    """Returns the separator and the quoting that give the records of a file the number of fields of its header.

    The usual separator of the suffix comes first. In files that tabs usually separate, double quotes are ordinary characters unless
    only quoted fields give consistent records, or contain doubled quotes. A notice names the lines before the header.

    Args:
        path: file, compressed or not.
        suffix: one of `DEFAULT_SEPARATORS`.
        columns: names of the columns that are needed; empty if the file has no header.
        skips_titles: True to recognize titles before the header without the columns (see `shared.data.preambles`).
    """
    with files.open_text(path) as file:
        lines = [line.rstrip("\r\n") for line in itertools.islice(file, MAX_LINES)]
    skipped = count_preamble_lines(lines, columns, skips_titles)
    titles = [line.strip() for line in lines[:skipped] if line.strip() and not SEPARATOR_HINT.fullmatch(line)]
    if titles:
        add_notice(f'{path}: skipped lines before the header: {skipped}, from "{titles[0][:60]}".')
    hint = SEPARATOR_HINT.fullmatch(lines[0]) if lines else None
    if hint is not None:
        return Dialect(hint[1], True, max(1, skipped))
    separator = _find_separator(path, DEFAULT_SEPARATORS[suffix], skipped)
    return _find_quotes(path, Dialect(separator, suffix == ".csv" and separator != "\t", skipped))


def notice_duplicate_names(path: Path, header: Sequence[str]) -> None:
    """Adds a notice on a name that several columns have."""
    duplicates = [name for name, count in Counter(header).items() if count > 1 and name]
    if duplicates:
        add_notice(f'{path}: several columns have the name "{duplicates[0]}"; the first one is used.')


def distinct_names(header: Sequence[str]) -> list[str]:
    """Returns the names of a header; a name that occurs again gets a number, as in pandas."""
    names: list[str] = []
    for k, name in enumerate(header):
        name = name or f"Unnamed: {k}"
        new, number = name, 0
        while new in names:
            number += 1
            new = f"{name}.{number}"
        names.append(new)
    return names


def read_records(path: Path, dialect: Dialect, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yields the line where a record ends and its fields, without empty lines."""
    with files.open_text(path) as file:
        reader = dialect.reader(file, strict)
        for record in itertools.islice(reader, dialect.skipped_lines, None):
            if record:
                yield reader.line_num, record


def _find_separator(path: Path, default: str, skipped_lines: int) -> str:
    candidates = [default, *(separator for separator in SEPARATORS if separator != default)]
    counts = {separator: _count_fields(path, separator, skipped_lines) for separator in candidates}
    consistent = {separator: fields for separator, (fields, is_consistent) in counts.items() if is_consistent}
    if default in consistent or not consistent:
        alternatives = [separator for separator in candidates if counts[separator][0] > 1]
        if default in consistent or counts[default][0] > 1 or not alternatives:
            return default
        return max(alternatives, key=lambda separator: counts[separator][0])
    return max(consistent, key=lambda separator: consistent[separator])


def _count_fields(path: Path, separator: str, skipped_lines: int) -> tuple[int, bool]:
    """Returns the number of fields of the first record, and whether it is above 1 and the same in the first records."""
    fields = 0
    for is_quoted in (True, False):
        sample = itertools.islice(read_records(path, Dialect(separator, is_quoted, skipped_lines)), SAMPLE_RECORDS)
        counts = [len(record) for _, record in sample]
        fields = max(fields, counts[0] if counts else 0) if is_quoted else fields
        if counts and counts[0] > 1 and set(counts) == {counts[0]}:
            return counts[0], True
    return fields, False


def _find_quotes(path: Path, usual: Dialect) -> Dialect:
    """Returns a dialect with the quoting that gives the most consistent records; `usual` if several do.

    A closing quote before other text shows that a file is not quoted, or that its quotes are wrong, which a notice says.
    """
    if not _contains(path, '"'):
        return usual
    quoted, unquoted = replace(usual, is_quoted=True), replace(usual, is_quoted=False)
    wrong_quoted, line = _count_wrong_records(path, quoted)
    if wrong_quoted == 0 and usual.is_quoted:
        return usual
    escaped = replace(quoted, escape="\\")
    if wrong_quoted != 0 and _contains(path, '\\"') and _count_wrong_records(path, escaped)[0] == 0:
        return escaped
    wrong_unquoted, _ = _count_wrong_records(path, unquoted)
    if wrong_quoted == wrong_unquoted == 0:
        return quoted if _has_doubled_quotes(path, unquoted) else usual
    if wrong_quoted is None and usual.is_quoted:
        _notice_wrong_quote(path, line, is_quoted=wrong_unquoted != 0)
        return usual if wrong_unquoted else unquoted
    if wrong_quoted is None or wrong_unquoted is None:
        return quoted if wrong_unquoted is None else unquoted
    return quoted if wrong_quoted < wrong_unquoted or (wrong_quoted == wrong_unquoted and usual.is_quoted) else unquoted


def _notice_wrong_quote(path: Path, line: int, is_quoted: bool) -> None:
    problem = "a double quote closes a field before its end, or is never closed"
    result = "the field may have swallowed lines" if is_quoted else "all quotes were read as ordinary characters"
    add_notice(
        f"{path}, line {line}: {problem}; {result}.",
        hint="Enclose such a text in quotes, and double the quotes in it.",
    )


def _contains(path: Path, characters: str) -> bool:
    with files.open_text(path) as file:
        return any(characters in line for line in file)


def _count_wrong_records(path: Path, dialect: Dialect) -> tuple[int | None, int]:
    """Returns the number of records that do not have the fields of the header, and the line of the last record.

    The number is None if quotes are not closed, or followed by text; the line is then that of this record.
    """
    wrong, fields, last_line = 0, None, 0
    try:
        for line, record in read_records(path, dialect, strict=True):
            last_line = line
            fields = fields or len(record)
            wrong += len(record) != fields
    except csv.Error:
        return None, last_line + 1
    return wrong, last_line


def _has_doubled_quotes(path: Path, unquoted: Dialect) -> bool:
    """Returns True if each field has no quote or is enclosed in quotes with doubled quotes in it, and one has doubled quotes."""
    has_doubled = False
    for _, record in read_records(path, unquoted):
        for field in record:
            if '"' in field and not re.fullmatch(r'"([^"]|"")*"', field):
                return False
            has_doubled |= len(field) > 2 and '""' in field[1:-1]
    return has_doubled
