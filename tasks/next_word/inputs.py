"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pandas as pd

from shared.config import PredictOptions, option
from shared.inputs import read_independent_inputs
from shared.task import INPUT_COLUMN, Inputs, Readers
from tasks.next_word import data
from tasks.next_word.config import NextWordConfig


def read_records(config: NextWordConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a text file, a folder of text files, or the texts of a table into the column `text`.

    Raises:
        DataError: the file cannot be used.
    """
    frame, _ = data.read_texts(config, source)
    return frame


def read_inputs(
    config: NextWordConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the inputs of `predict`: the lines (`--text.join-lines`: paragraphs) of a text file, the files of a folder, or a table.

    Raises:
        DataError: the file cannot be used.
    """
    path, has_lines, column = Path(source).expanduser(), data.is_text(source), config.columns.text
    if path.is_dir() or (has_lines and config.text.join_lines):
        frame = data.read_folder(config, path) if path.is_dir() else data.read_texts(config, source)[0]
        return iter([Inputs(frame.rename(columns={"text": INPUT_COLUMN}), frame["text"].tolist())])

    def convert(values: pd.Series) -> list[str]:
        return data.join_lines(config, data.require_texts(values, source))

    return read_independent_inputs(source, column, option(config.columns, "text"), convert, options, has_lines)


READERS = Readers(read_inputs, read_records)
