"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pandas as pd

from shared.config import PredictOptions, option
from shared.inputs import read_independent_inputs
from shared.task import Inputs, Readers, text_inputs
from tasks.next_word import data
from tasks.next_word.config import NextWordConfig


def read_records(config: NextWordConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a text file, a folder of text files, or the texts of a table into the column `text`.

    Raises:
        DataError: the file cannot be used.
    """
    frame, _ = data.read_texts(config.columns, source)
    return frame


def read_inputs(
    config: NextWordConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the inputs of `predict`: the lines of a text file, the files of a folder, or the text column of a table.

    Raises:
        DataError: the file cannot be used.
    """
    column, convert = config.columns.text, partial(data.require_texts, source=source)
    if not Path(source).expanduser().is_dir():
        has_lines = data.is_text(source)
        return read_independent_inputs(source, column, option(config.columns, "text"), convert, options, has_lines)
    frame, _ = data.read_texts(config.columns, source)
    return iter([text_inputs(config, frame["text"].tolist(), metadata, options)])


READERS = Readers(read_inputs, read_records)
