"""The classifier's signature, and how a user's texts become requests."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared import evaluation
from shared.classes import classified, known_class_numbers
from shared.signatures import endpoint_of
from shared.task import Call, Servable
from shared.text import separate_words
from tasks.sentiment import data
from tasks.sentiment.config import SentimentConfig

EXAMPLES = (  # in the language of the sample, so that its model can answer; the same words, in another order
    "At first, to tell you the truth, this film seemed dull to us. In the end, after some thought about it, this film "
    "seemed wonderful to us.",
    "At first, to tell you the truth, this film seemed wonderful to us. In the end, after some thought about it, this "
    "film seemed dull to us.",
)


def servable(classifier: keras.Model, facts: dict[str, Any]) -> Servable:
    """Gives the Keras model its signature.

    `serving_default` takes `text`, strings `(batch,)` of any bytes, and returns `label` strings `(batch,)`, `probability`
    of that label float32 `(batch,)`, and `probabilities` of all labels float32 `(batch, classes)` in the order of the
    card.
    """
    labels = tf.constant(facts["labels"])

    def classify(text: tf.Tensor) -> dict[str, tf.Tensor]:
        return classified(classifier(separate_words(text)), labels)

    shown = {"text": np.array([*EXAMPLES, "", "A long walk. " * 300], object)}  # of different lengths, and of none
    return Servable(classifier, {"serving_default": endpoint_of(classify, shown)}, facts)


def judge(config: SentimentConfig, source: str, facts: dict[str, Any], call: Call) -> list[evaluation.Score]:
    """Scores an exported model on the labelled texts of a file.

    Raises:
        DataError: the file cannot be used, or holds a label that the model does not know.
    """
    frame = data.read(config, source)
    labels = known_class_numbers(frame["label"], facts["labels"], source)
    answers = call(request(frame["text"].tolist()))
    return evaluation.score("exported", labels, answers["probabilities"], evaluation.CLASSIFICATION)


def predict(lines: Sequence[str], facts: dict[str, Any], call: Call) -> Mapping[str, Any]:
    """Returns an exported model's answers to texts."""
    return call(request(lines))


def request(lines: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns texts as a request to `serving_default`."""
    return {"text": np.array([line.encode("utf-8", errors="surrogateescape") for line in lines], dtype=object)}
