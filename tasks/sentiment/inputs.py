"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from shared.config import PredictOptions, option
from shared.data.classes import require_known_labels
from shared.inputs import read_independent_inputs
from shared.task import Inputs, Readers
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig


def read_records(config: SentimentConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads the labelled texts of a file into the columns `text` and `label`.

    Raises:
        DataError: the file cannot be used, or has a label that the model does not know.
    """
    frame = data.read_records(config, source)
    frame["label"] = data.match_labels(config, frame["label"], metadata["labels"])
    require_known_labels(frame["label"], metadata["labels"], source, option(config.columns, "label_matching"))
    return frame


def read_inputs(
    config: SentimentConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the texts of a file for `predict`, the text column of a table or the lines of any other file; labels are not needed.

    Raises:
        DataError: the file cannot be used.
    """
    columns = config.columns
    convert = partial(data.to_strings, source=source)
    return read_independent_inputs(source, columns.text, option(columns, "text"), convert, options)


READERS = Readers(read_inputs, read_records)
