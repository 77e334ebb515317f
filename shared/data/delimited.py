"""Text tables: separator and quotes are recognized by the content, so that every record has the fields of the header."""

from __future__ import annotations

import csv
import itertools
import re
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from shared.data import files
from shared.data.notices import add_notice

DEFAULT_SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
"""Usual separator of the fields by suffix."""
SEPARATORS = ",;\t|"
SAMPLE_RECORDS = 200
HEADER_NAMES = frozenset(
    "id text label labels class category categories target sentiment polarity intent topic tag tags stars rating score title "
    "review reviews sentence comment comments content message body tweet question answer v1 v2 "
    "date time timestamp day datetime ticker symbol open high low close volume price amount "
    "card customer account terminal merchant fraud isfraud is_fraud file path speaker".split()
)
"""Names of columns, in lower case, that a record hardly contains as values."""
MAX_NAME_LENGTH = 40
SEPARATOR_HINT = re.compile(r"sep=([,;|\t])\s*")
"""First line of a file for Excel that names the separator."""
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")

csv.field_size_limit(sys.maxsize)  # a text may be longer than 128 KiB


@dataclass(frozen=True)
class Dialect:
    """Separator of the fields, whether double quotes enclose fields, and the number of lines before the header."""

    separator: str
    is_quoted: bool
    skipped_lines: int = 0

    @property
    def quoting(self) -> Literal[0, 3]:
        """`csv.QUOTE_MINIMAL` or `csv.QUOTE_NONE`."""
        return csv.QUOTE_MINIMAL if self.is_quoted else csv.QUOTE_NONE


def read_delimited(
    path: Path, suffix: str, headerless: bool, preamble_lines: int = 0, repeats_names: bool = False
) -> pd.DataFrame:
    """Reads all fields of a text table as strings.

    Args:
        path: file, compressed or not.
        suffix: one of `DEFAULT_SEPARATORS`.
        headerless: True if the file has no header; the columns are then named "0", "1" and so on. A first line that looks like a
            header is left out with a notice.
        preamble_lines: number of lines before the header (see `shared.data.preambles`).
        repeats_names: True if names may occur more than once, as in a header of several lines; otherwise a notice names them.

    Returns:
        Table of strings; fields that a short record lacks are NaN.

    Raises:
        ValueError: a record has more fields than the header, or a quote is never closed.
        DataError: the file is not text, or its encoding cannot be decided.
    """
    dialect = find_dialect(path, suffix, preamble_lines)
    if not headerless and not repeats_names:
        _notice_duplicate_names(path, next(read_records(path, dialect), (0, []))[1])
    frame = _read(path, dialect, headerless)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would use the first field as the index
        if frame.index.nlevels > 1 or not (frame.iloc[:, -1].fillna("") == "").all():
            raise _too_many_fields(path, dialect)
        names = [*map(str, frame.columns), "empty"]  # a separator ends each record
        frame = _read(path, dialect, headerless, names).drop(columns="empty")
    frame.columns = frame.columns.map(str)
    if headerless and has_header(frame):
        header = ", ".join(frame.iloc[0].astype(str))
        add_notice(
            f"{path}: the first line ({header}) looks like a header and is not a record; it was left out.",
            hint="Name the columns by these names instead of positions.",
        )
        frame = frame.iloc[1:].reset_index(drop=True)
    return frame


def find_dialect(path: Path, suffix: str, preamble_lines: int = 0) -> Dialect:
    """Returns the separator and the quoting that give the records of a file the number of fields of its header.

    The usual separator of the suffix comes first. In files that tabs usually separate, double quotes are ordinary characters unless
    only quoted fields give consistent records, or contain doubled quotes.
    """
    with files.open_text(path) as file:
        hint = SEPARATOR_HINT.fullmatch(file.readline())
    if hint is not None:
        return Dialect(hint[1], True, max(1, preamble_lines))
    default = DEFAULT_SEPARATORS[suffix]
    separator = _find_separator(path, default, preamble_lines)
    is_quoted = (suffix == ".csv" and separator != "\t") or _is_quoted(path, separator, preamble_lines)
    return Dialect(separator, is_quoted, preamble_lines)


def has_header(frame: pd.DataFrame) -> bool:
    """Returns True if the first row of a table without a header looks like one.

    Its cells are short and different, none occurs again in its column, and one is a usual name of a column or stands above numbers
    only.

    Args:
        frame: strings, as from `read_delimited`.
    """
    if len(frame) < 2:
        return False
    first, rest = frame.iloc[0].fillna("").astype(str).str.strip(), frame.iloc[1:]
    if not first.is_unique or (first == "").any() or (first.str.len() > MAX_NAME_LENGTH).any():
        return False
    if any(NUMBER.fullmatch(cell) or (rest[column] == cell).any() for column, cell in first.items()):
        return False
    if any(cell.lower() in HEADER_NAMES for cell in first):
        return True
    return any(rest[column].fillna("").astype(str).str.fullmatch(NUMBER.pattern).all() for column in frame.columns)


def _read(path: Path, dialect: Dialect, headerless: bool, names: list[str] | None = None) -> pd.DataFrame:
    encoding = files.text_encoding(path)
    try:
        with files.open_file(path) as file:
            return pd.read_csv(
                file,
                sep=dialect.separator,
                header=None if headerless else 0,
                keep_default_na=False,
                dtype=str,
                encoding=encoding,
                quoting=dialect.quoting,
                skiprows=dialect.skipped_lines,
                names=names,
            )
    except pd.errors.ParserError as error:
        raise (_too_many_fields(path, dialect) if "fields" in str(error) else error) from error


def _notice_duplicate_names(path: Path, header: Sequence[str]) -> None:
    duplicates = [name for name, count in Counter(header).items() if count > 1 and name]
    if duplicates:
        add_notice(f'{path}: several columns have the name "{duplicates[0]}"; the first one is used.')


def _too_many_fields(path: Path, dialect: Dialect) -> ValueError:
    """Returns the error that names the first record with more fields than the header."""
    count = 0
    for row, (line, record) in enumerate(read_records(path, dialect)):
        if row == 0:
            count = len(record)
        elif len(record) > count:
            name = "a tab" if dialect.separator == "\t" else f'"{dialect.separator}"'
            return ValueError(
                f"row {row}, line {line}: {len(record)} fields, but the header has {count}; put a field that contains {name} in double "
                "quotes"
            )
    return ValueError("a record has more fields than the header")


def read_records(path: Path, dialect: Dialect, strict: bool = False) -> Iterator[tuple[int, list[str]]]:
    """Yields the line where a record ends and its fields, without empty lines."""
    with files.open_text(path) as file:
        reader = csv.reader(file, delimiter=dialect.separator, quoting=dialect.quoting, strict=strict)
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


def _is_quoted(path: Path, separator: str, skipped_lines: int) -> bool:
    """Returns True if quoted fields give more consistent records than ordinary quotes, or as consistent ones with doubled quotes."""
    with files.open_text(path) as file:
        if not any('"' in line for line in file):
            return False
    quoted = _count_wrong_records(path, Dialect(separator, True, skipped_lines))
    unquoted = _count_wrong_records(path, Dialect(separator, False, skipped_lines))
    if quoted == unquoted == 0:
        records = (record for _, record in read_records(path, Dialect(separator, False)))
        return all(map(_is_well_quoted, records)) and any('""' in field for field in _fields(path, separator))
    return quoted is not None and unquoted is not None and quoted < unquoted


def _count_wrong_records(path: Path, dialect: Dialect) -> int | None:
    """Returns the number of records that do not have the fields of the header; None if quotes are not closed or followed by text."""
    wrong, fields = 0, None
    try:
        for _, record in read_records(path, dialect, strict=True):
            fields = fields or len(record)
            wrong += len(record) != fields
    except csv.Error:
        return None
    return wrong


def _is_well_quoted(record: Sequence[str]) -> bool:
    """Returns True if each field has no quote, or is enclosed in quotes with doubled quotes in it."""
    return all('"' not in field or re.fullmatch(r'"([^"]|"")*"', field) for field in record)


def _fields(path: Path, separator: str) -> Iterator[str]:
    for _, record in read_records(path, Dialect(separator, False)):
        yield from (field[1:-1] for field in record if len(field) > 2)
