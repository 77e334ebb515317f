"""The classifier's signature, and how a user's texts become requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared import evaluation
from shared.classes import classification_outputs, known_class_ids
from shared.signatures import make_signature
from shared.task import ExportSpec, Predictor
from shared.text import separate_words
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig

EXAMPLES = (  # in the language of the sample, so that its model can answer; the same words, in another order
    "At first, to tell you the truth, this film seemed dull to us. In the end, after some thought about it, this film "
    "seemed wonderful to us.",
    "At first, to tell you the truth, this film seemed wonderful to us. In the end, after some thought about it, this "
    "film seemed dull to us.",
)


def export_spec(classifier: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Gives the Keras model its signature.

    `serving_default` takes `text`, strings `(batch,)` of any bytes, and returns `label` strings `(batch,)`, `probability`
    of that label float32 `(batch,)`, and `probabilities` of all labels float32 `(batch, classes)` in the order of the
    card.
    """
    labels = tf.constant(metadata["labels"])

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return classification_outputs(classifier(separate_words(text)), labels)

    shown = {"text": np.array([*EXAMPLES, "", "A long walk. " * 300], object)}  # of different lengths, and of none
    return ExportSpec(classifier, {"serving_default": make_signature(classify, shown)}, metadata)


def score_file(config: SentimentConfig, source: str, metadata: dict[str, Any], call: Predictor) -> list[evaluation.Score]:
    """Scores an exported model on the labelled texts of a file.

    Raises:
        DataError: the file cannot be used, or holds a label that the model does not know.
    """
    frame = data.read(config, source)
    labels = known_class_ids(frame["label"], metadata["labels"], source)
    answers = call(request(frame["text"].tolist()))
    return evaluation.score("exported", labels, answers["probabilities"], evaluation.CLASSIFICATION_METRICS)


def predict(lines: Sequence[str], metadata: dict[str, Any], call: Predictor) -> Mapping[str, Any]:
    """Returns an exported model's answers to texts."""
    return call(request(lines))


def request(lines: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns texts as a request to `serving_default`."""
    return {"text": np.array([line.encode("utf-8", errors="surrogateescape") for line in lines], dtype=object)}
