"""The signature of the classifier, and the conversion of texts to requests."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.config import PredictOptions, option
from shared.data.classes import (
    classification_outputs,
    classification_table,
    label_set_outputs,
    label_set_table,
    require_known_labels,
)
from shared.data.label_sets import is_label_sets
from shared.errors import DataError
from shared.export.signatures import make_signature
from shared.inputs import read_independent_inputs
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from shared.text.separation import separate_words
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.labels import match_labels, to_strings

EXAMPLES = (  # sentences of the sample, so that its model can classify them; both have the same words
    "At first, to tell you the truth, this film seemed dull to us. In the end, after some thought about it, this film "
    "seemed wonderful to us.",
    "At first, to tell you the truth, this film seemed wonderful to us. In the end, after some thought about it, this "
    "film seemed dull to us.",
)


def export_spec(classifier: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signature of the Keras model.

    `serving_default` takes `text`, strings `(batch,)` of any bytes. It returns `label` strings `(batch,)`, the `probability` of that
    label float32 `(batch,)`, and the `probabilities` of all labels float32 `(batch, classes)`, in the order of the metadata. If a text
    may have several labels, it returns `labels`, `has_label` and `probabilities` (see `label_set_outputs`).
    """
    labels = metadata["labels"]

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        probabilities = classifier(separate_words(text))
        if is_multilabel(metadata):
            return label_set_outputs(probabilities, labels, metadata["thresholds"], label_separator(metadata))
        return classification_outputs(probabilities, tf.constant(labels))

    request = {"text": np.array([*EXAMPLES, "", "A long walk. " * 300], object)}  # texts of different lengths
    return ExportSpec(classifier, {"serving_default": make_signature(classify, request)}, metadata)


def is_multilabel(metadata: Mapping[str, Any]) -> bool:
    """Returns True if the metadata are those of a model that predicts any number of labels per text."""
    return "thresholds" in metadata


def label_separator(metadata: Mapping[str, Any]) -> str:
    """Returns the text that joins the labels of a text in the output."""
    return str(metadata["columns"]["label_separator"])


def read_records(config: SentimentConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads the labelled texts of a file into the columns `text` and `label`.

    Raises:
        DataError: the file cannot be used, has a label that the model does not know, or several labels for a model of one label.
    """
    frame = data.read_records(config, source)
    if is_label_sets(frame["label"]) and not is_multilabel(metadata):
        raise DataError(
            f"{source}: its texts have any number of labels, but the model was trained with one label per text. Name a column of single "
            f"labels with {option(config.columns, 'label')}, without {option(config.columns, 'label_separator')}."
        )
    frame["label"] = match_labels(config, frame["label"], metadata["labels"])
    require_known_labels(frame["label"], metadata["labels"], source)
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


def predict(texts: pd.Series, metadata: dict[str, Any], predictor: Predictor, options: PredictOptions) -> Predictions:
    """Returns the outputs of an exported model for texts, in their order; texts of similar length are in the same request.

    Args:
        texts: texts, list or column of strings.
        metadata: metadata of the model.
        predictor: calls `serving_default`.
        options: options of `predict`.
    """
    return predict_texts(list(texts), predictor)


def predict_texts(texts: Sequence[str], predictor: Predictor) -> Predictions:
    """Returns the outputs of an exported model (see `predict`)."""
    order = np.argsort([len(text) for text in texts], kind="stable")
    outputs = predictor(make_request([texts[k] for k in order]))
    restored = np.argsort(order, kind="stable")
    return {name: values[restored] for name, values in outputs.items()}


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `label`, `probability` and `probability_CLASS` (see `classification_table`), or `labels` and
    `probability_CLASS` (see `label_set_table`)."""
    table = label_set_table if is_multilabel(metadata) else classification_table
    return table(predictions, metadata["labels"])


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the outputs of an exported model for the column `text` of a table (see `predict`)."""
    return predict_texts(records["text"].tolist(), predictor)


def make_request(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns a request to `serving_default`; surrogate escapes become the bytes that they stand for."""
    return {"text": np.array([text.encode("utf-8", errors="surrogateescape") for text in texts], dtype=object)}
