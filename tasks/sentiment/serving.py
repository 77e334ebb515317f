"""The signature of the classifier, and the conversion of texts to requests."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.config import PredictOptions
from shared.data.classes import classification_outputs, classification_table
from shared.export.signatures import make_signature
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from shared.text.separation import separate_words

EXAMPLES = (  # sentences of the sample, so that its model can classify them; both have the same words
    "At first, to tell you the truth, this film seemed dull to us. In the end, after some thought about it, this film "
    "seemed wonderful to us.",
    "At first, to tell you the truth, this film seemed wonderful to us. In the end, after some thought about it, this "
    "film seemed dull to us.",
)


def export_spec(classifier: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signature of the Keras model.

    `serving_default` takes `text`, strings `(batch,)` of any bytes. It returns `label` strings `(batch,)`, the `probability` of that
    label float32 `(batch,)`, and the `probabilities` of all labels float32 `(batch, classes)`, in the order of the metadata.
    """
    labels = tf.constant(metadata["labels"])

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return classification_outputs(classifier(separate_words(text)), labels)

    request = {"text": np.array([*EXAMPLES, "", "A long walk. " * 300], object)}  # texts of different lengths
    return ExportSpec(classifier, {"serving_default": make_signature(classify, request)}, metadata)


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
    """Returns the columns `label`, `probability` and `probability_CLASS` (see `classification_table`)."""
    return classification_table(predictions, metadata["labels"])


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the outputs of an exported model for the column `text` of a table (see `predict`)."""
    return predict_texts(records["text"].tolist(), predictor)


def make_request(texts: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns a request to `serving_default`; surrogate escapes become the bytes that they stand for."""
    return {"text": np.array([text.encode("utf-8", errors="surrogateescape") for text in texts], dtype=object)}
