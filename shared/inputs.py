"""Inputs of `predict` from files whose records are independent of each other, such as texts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from shared.config import PredictOptions
from shared.data.chunks import convert_rows, read_chunks, read_line_chunks, split_frame
from shared.data.labelled_texts import read_plain_texts
from shared.data.tables import is_table
from shared.task import INPUT_COLUMN, Inputs


def read_independent_inputs(
    source: str,
    column: str,
    option: str,
    convert: Callable[[pd.Series], Any],
    options: PredictOptions,
    has_lines: bool | None = None,
) -> Iterator[Inputs]:
    """Reads one column of a table, the files of a folder, or the lines of any other file, in chunks.

    Args:
        source: path of the file.
        column: name of the column.
        option: command-line option that names the column, for error messages.
        convert: function from the cells of a chunk to records in the same order; it raises a `RowError` for cells that cannot be used.
            Lines are records as they are.
        options: options of `predict`.
        has_lines: True if each line of the file is an input; None to let `shared.data.tables.is_table` decide.

    Raises:
        DataError: the file cannot be read, the column is missing, or a row cannot be used and errors are not skipped.
    """
    texts = read_plain_texts(Path(source).expanduser()) if has_lines is None else None
    if texts is not None or has_lines or (has_lines is None and not is_table(source, column)):
        lines = read_line_chunks(source, INPUT_COLUMN)
        for chunk in lines if texts is None else split_frame(texts.rename(columns={"text": INPUT_COLUMN})):
            yield Inputs(chunk.frame, chunk.frame[INPUT_COLUMN].tolist(), progress=chunk.progress)
        return
    for chunk in read_chunks(source, [column], {column: option}, options.skips_errors):
        records, positions, errors = convert_rows(
            chunk.frame, lambda rows: convert(rows[column]), options.skips_errors, chunk.first_row, chunk.errors
        )
        yield Inputs(chunk.frame, records, positions, errors, chunk.progress)
