"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import pandas as pd

from shared.config import PredictOptions, option
from shared.data.classes import require_known_labels
from shared.data.label_sets import is_label_sets
from shared.errors import DataError
from shared.inputs import read_independent_inputs
from shared.task import Inputs, Readers
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.labels import is_multilabel, match_labels, to_strings


def read_records(config: SentimentConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads the labelled texts of a file into the columns `text` and `label`.

    Raises:
        DataError: the file cannot be used, has a label that the model does not know, or has several labels for a model of one label.
    """
    frame = data.read_records(config, source)
    if is_label_sets(frame["label"]) and not is_multilabel(metadata):
        raise DataError(
            f"{source}: its texts have any number of labels, but the model was trained with one label per text. Name a column of single "
            f"labels with {option(config.columns, 'label')}, without {option(config.columns, 'label_separator')}."
        )
    frame["label"] = match_labels(config, frame["label"], metadata["labels"])
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
    convert = partial(to_strings, source=source)
    return read_independent_inputs(source, columns.text, option(columns, "text"), convert, options)


READERS = Readers(read_inputs, read_records)
