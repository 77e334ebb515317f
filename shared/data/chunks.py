"""Reads user files in chunks, so that memory does not grow with the file, and leaves out rows that cannot be used."""

from __future__ import annotations

import codecs
import csv
import io
import itertools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import numpy as np
import pandas as pd

from shared.data import delimited, dialects, encodings, files, json_tables, tables
from shared.errors import DataError, RowError

T = TypeVar("T")

ROWS_PER_CHUNK = 4096
INDEX_COLUMN = "__index_level_"  # prefix of an index without a name in a Parquet file

csv.field_size_limit(sys.maxsize)  # a text may be longer than 128 KiB


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file."""

    frame: pd.DataFrame
    """The rows with all columns of the file, with the index 0, 1, …"""
    first_row: int
    """Position of the first row in the file, counted from 0."""
    progress: float | None
    """Fraction of the file that was read up to the end of these rows; None if it is unknown."""
    errors: Mapping[int, str] = field(default_factory=dict)
    """What is wrong with the rows that are no record of the table, by position in `frame`; cells that could not be read are empty."""


Record = tuple[Any, str | None]
"""A record of a file, and what is wrong with it, None if it can be used."""


def read_chunks(
    source: str, columns: Sequence[str], options: Mapping[str, str], skips_errors: bool = False
) -> Iterator[Chunk]:
    """Reads a table in chunks with all of its columns.

    Args:
        source: path of a table (see `shared.data.tables.read_table`).
        columns: names of the columns that must exist.
        options: command-line option that names each column, for the error message.
        skips_errors: True to return records that cannot be read in `Chunk.errors`.

    Raises:
        DataError: as in `shared.data.tables.read_table`.
    """
    path = Path(source).expanduser()
    suffix = tables.require_table(path)
    with tables.read_errors(path, suffix):
        if suffix == ".parquet":
            chunks = _read_parquet(path)
        elif suffix in tables.JSON_SUFFIXES and json_tables.has_lines(path):
            chunks = _read_json_lines(path, skips_errors)
        elif suffix not in dialects.DEFAULT_SEPARATORS:
            headerless = all(column.isdigit() for column in columns)
            chunks = split_frame(tables.read_all(str(path), headerless, columns))
        else:
            chunks = _read_delimited(path, suffix, columns, skips_errors)
        count = 0
        for chunk in chunks:
            if not count:
                tables.require_columns(str(path), chunk.frame.columns, columns, options)
            count += len(chunk.frame)
            yield chunk
    if not count:
        raise tables.no_records_error(path)


def read_line_chunks(source: str, column: str) -> Iterator[Chunk]:
    """Reads the lines of a file in chunks, as tables with one column; bytes that are not UTF-8 become surrogate escapes.

    Raises:
        DataError: the file is missing, damaged or empty.
    """
    path = Path(source).expanduser()
    files.require_file(path)
    first_row = 0
    with tables.read_errors(path, ".txt"), files.open_file(path) as file:
        encoding = files.line_encoding(path)
        is_utf8 = encoding == encodings.UTF8
        binary: Iterable[bytes] = file if is_utf8 else _encode_lines(file, encoding)
        for lines in _batched(binary, ROWS_PER_CHUNK):
            content = b"".join(lines)
            content = (
                content if first_row == 0 else codecs.BOM_UTF8 + content
            )  # only the file may start with such a mark
            texts = files.split_lines(content)
            yield Chunk(pd.DataFrame({column: texts}, dtype=object), first_row, _fraction_read(file, path))
            first_row += len(texts)
    if not first_row:
        raise DataError(f"{path}: the file is empty. Write at least one line.")


def split_frame(frame: pd.DataFrame) -> Iterator[Chunk]:
    """Yields the rows of a table in chunks."""
    for start in range(0, len(frame), ROWS_PER_CHUNK):
        rows = frame.iloc[start : start + ROWS_PER_CHUNK].reset_index(drop=True)
        yield Chunk(rows, start, (start + len(rows)) / len(frame))


def convert_rows(
    frame: pd.DataFrame,
    convert: Callable[[pd.DataFrame], T],
    skips_errors: bool,
    first_row: int = 0,
    known_errors: Mapping[int, str] | None = None,
) -> tuple[T | None, np.ndarray, dict[int, str]]:
    """Converts a table, and leaves out the rows for which the conversion raises a `RowError`.

    Args:
        frame: table with the index 0, 1, …
        convert: function of some of its rows, with the index 0, 1, …
        skips_errors: False to raise the error.
        first_row: position of the first row in the file, for the error message.
        known_errors: what is wrong with rows that are left out anyway, by position.

    Returns:
        The result, None if every row was left out; the positions of the other rows, int64; and what is wrong with each row that was
        left out, by position.

    Raises:
        RowError: a row cannot be converted, and `skips_errors` is False.
    """
    errors = dict(known_errors or {})
    positions = np.setdiff1d(np.arange(len(frame)), list(errors)).astype(np.int64)
    while len(positions):
        try:
            return convert(frame.iloc[positions].reset_index(drop=True)), positions, errors
        except RowError as error:
            if not skips_errors:
                raise error.after(first_row) from error
            errors |= {int(positions[k]): error.describe(int(k)) for k in error.positions}
            positions = np.delete(positions, error.positions)
    return None, positions, errors


def _read_parquet(path: Path) -> Iterator[Chunk]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        first_row = 0
        for batch in file.iter_batches(batch_size=ROWS_PER_CHUNK):
            frame = batch.to_pandas(ignore_metadata=True, integer_object_nulls=True)
            frame = frame[[name for name in frame if not str(name).startswith(INDEX_COLUMN)]]
            yield Chunk(frame, first_row, (first_row + len(frame)) / file.metadata.num_rows)
            first_row += len(frame)


def _read_delimited(path: Path, suffix: str, columns: Sequence[str], skips_errors: bool) -> Iterator[Chunk]:
    headerless = all(column.isdigit() for column in columns)
    dialect = dialects.find_dialect(path, suffix, columns=() if headerless else columns)
    with files.open_text(path) as file:
        lines = itertools.islice(dialect.reader(file), dialect.skipped_lines, None)
        records: Iterator[list[str]] = (record for record in lines if record)  # without empty lines
        first = next(records, [])
        if any("\x00" in name for name in first):
            raise ValueError("binary content")
        names = list(map(str, range(len(first)))) if headerless else dialects.distinct_names(first)
        if headerless and _is_header(first, path, dialect):
            first = next(records, [])
        if headerless:
            records = itertools.chain([first], records)
        fitted = (_fit_record(record, len(names)) for record in records)
        yield from _make_chunks(fitted, names, lambda: _fraction_read(file, path), skips_errors)


def _is_header(first: list[str], path: Path, dialect: dialects.Dialect) -> bool:
    """Returns True if the first record of a table that is read by position looks like a header (see `delimited.has_header`)."""
    sample = itertools.islice(dialects.read_records(path, dialect), 1, dialects.SAMPLE_RECORDS)
    rows = [[*record[: len(first)], *[""] * (len(first) - len(record))] for _, record in sample]
    return delimited.has_header(pd.DataFrame([first, *rows]))


def _read_json_lines(path: Path, skips_errors: bool) -> Iterator[Chunk]:
    names: dict[str, None] = {}
    with files.open_text(path) as file:  # a record may have keys that the first ones lack
        for record, _ in _json_records(file):
            names |= dict.fromkeys(record)
    with files.open_text(path) as file:
        rows = (([record.get(name) for name in names], problem) for record, problem in _json_records(file))
        yield from _make_chunks(rows, list(names), lambda: _fraction_read(file, path), skips_errors)


def _make_chunks(
    records: Iterable[Record], names: Sequence[str], progress: Callable[[], float | None], skips_errors: bool
) -> Iterator[Chunk]:
    first_row = 0
    for batch in _batched(records, ROWS_PER_CHUNK):
        errors = {k: problem for k, (_, problem) in enumerate(batch) if problem is not None}
        if errors and not skips_errors:
            row, problem = next(iter(errors.items()))
            raise ValueError(f"row {first_row + row + 1}: {problem}")
        frame = pd.DataFrame([values for values, _ in batch], columns=names, dtype=object)
        yield Chunk(frame, first_row, progress(), errors)
        first_row += len(batch)


def _encode_lines(file: BinaryIO, encoding: str) -> Iterator[bytes]:
    """Yields the lines of a file in another encoding as UTF-8."""
    text = io.TextIOWrapper(file, encoding=encoding, errors="replace", newline="\n")
    for line in text:
        yield line.removeprefix("\ufeff").encode()
    text.detach()  # otherwise the file would be closed with it


def _batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    iterator = iter(items)
    while batch := list(itertools.islice(iterator, size)):
        yield batch


def _fit_record(record: list[str], count: int) -> Record:
    """Returns the fields of a record of a text table, as many as the header has; fields that it lacks are None, others are left out."""
    if any(record[count:]):
        return record[
            :count
        ], f"{len(record)} fields, but the header has {count}; put a field with a separator in quotes"
    return [*record[:count], *[None] * (count - len(record))], None


def _json_records(lines: Iterable[str]) -> Iterator[tuple[dict[str, Any], str | None]]:
    for line in lines:
        text = line.strip()
        if not text:
            continue
        try:
            record = json.loads(text)
            if "\\u" in text:
                json.dumps(record, ensure_ascii=False).encode()
        except json.JSONDecodeError as error:
            yield {}, f"character {error.pos + 1}: {error.msg}"
        except UnicodeEncodeError:
            yield {}, "it contains half a character, a lone surrogate such as \\ud83d"
        else:
            yield (record, None) if isinstance(record, dict) else ({}, "it is not an object such as {...}")


def _fraction_read(file: Any, path: Path) -> float | None:
    """Returns the fraction of a file that was read; None if its decompression does not tell."""
    file = getattr(file, "buffer", file)
    raw = getattr(file, "fileobj", None) or getattr(file, "raw", None)  # of gzip, or of an uncompressed file
    return raw.tell() / path.stat().st_size if raw is not None else None
