"""Reads user files in chunks, so that memory does not grow with the file, and leaves out rows that cannot be used."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
import pandas as pd

from shared.data import files, tables
from shared.errors import RowError

T = TypeVar("T")

ROWS_PER_CHUNK = 4096


@dataclass(frozen=True)
class Chunk:
    """Consecutive rows of a file."""

    frame: pd.DataFrame
    """The rows with all columns of the file, with the index 0, 1, …"""
    first_row: int
    """Position of the first row in the file, counted from 0."""
    progress: float
    """Fraction of the file that was read up to the end of these rows."""


def read_chunks(source: str, columns: Sequence[str], options: Mapping[str, str]) -> Iterator[Chunk]:
    """Reads a table in chunks with all of its columns.

    Args:
        source: path of a table (see `shared.data.tables.read_table`).
        columns: names of the columns that must exist.
        options: command-line option that names each column, for the error message.

    Raises:
        DataError: as in `shared.data.tables.read_table`.
    """
    frame = tables.read_table(source, columns, options=options, all_columns=True)
    yield from _slices(frame)


def read_line_chunks(source: str, column: str) -> Iterator[Chunk]:
    """Reads the lines of a file in chunks, as tables with one column; bytes that are not UTF-8 become surrogate escapes.

    Raises:
        DataError: the file is missing, damaged or empty.
    """
    lines = files.read_lines(Path(source).expanduser())
    yield from _slices(pd.DataFrame({column: lines}, dtype=object))


def _slices(frame: pd.DataFrame) -> Iterator[Chunk]:
    for start in range(0, len(frame), ROWS_PER_CHUNK):
        end = min(start + ROWS_PER_CHUNK, len(frame))
        yield Chunk(frame.iloc[start:end].reset_index(drop=True), start, end / len(frame))


def convert_rows(
    frame: pd.DataFrame, convert: Callable[[pd.DataFrame], T], skips_errors: bool, first_row: int = 0
) -> tuple[T | None, np.ndarray, dict[int, str]]:
    """Converts a table, and leaves out the rows for which the conversion raises a `RowError`.

    Args:
        frame: table with the index 0, 1, …
        convert: function of some of its rows, with the index 0, 1, …
        skips_errors: False to raise the error.
        first_row: position of the first row in the file, for the error message.

    Returns:
        The result, None if every row was left out; the positions of the other rows, int64; and what is wrong with each row that was
        left out, by position.

    Raises:
        RowError: a row cannot be converted, and `skips_errors` is False.
    """
    positions, errors = np.arange(len(frame)), dict[int, str]()
    while len(positions):
        try:
            return convert(frame.iloc[positions].reset_index(drop=True)), positions, errors
        except RowError as error:
            if not skips_errors:
                raise error.after(first_row) from error
            errors |= {int(positions[k]): error.describe(int(k)) for k in error.positions}
            positions = np.delete(positions, error.positions)
    return None, positions, errors
