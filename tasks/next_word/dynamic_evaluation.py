"""Dynamic evaluation (Krause, Kahembwe, Murray & Renals, 2018): a model that continues to train on the text that it is evaluated on.

Each segment is scored first and trained on afterwards, with one step of gradient descent. After each step the weights move a
little towards their original values, so that text from long ago loses its influence. A copy of the model is trained; the model
itself does not change.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tasks.next_word.model import copy_submodels

SEGMENT_LENGTH = 20
"""Words that are scored before the model trains on them."""
LEARNING_RATES = (0.1, 0.3, 1.0)
"""Candidates; the validation split decides."""
DECAY = 0.002
"""Fraction of the distance to the original weights that the weights move back after each segment."""
MAX_GRADIENT_NORM = 1.0
MAX_VALIDATION_TOKENS = 10_000
"""Tokens of the validation split that decide about the learning rate."""


class DynamicModel(keras.Model):
    """A copy of a language model that scores a segment and then trains on it.

    Args:
        model: model to copy, from `tasks.next_word.model.SubmodelBuilder.full_model`.
        learning_rate: learning rate of the gradient descent, above 0.
        decay: fraction of the distance to the original weights that the weights move back after each segment, in [0, 1).
    """

    def __init__(self, model: keras.Model, learning_rate: float, decay: float = DECAY) -> None:
        super().__init__(name="dynamic_model")
        submodels = copy_submodels(model)
        self.encoder, self.head, self.decay = submodels.encoder, submodels.head, decay
        self.state = np.zeros((1, submodels.state_size), np.float32)
        self.original_weights = [ops.copy(weight.value) for weight in self.trainable_weights]
        optimizer = keras.optimizers.SGD(learning_rate, global_clipnorm=MAX_GRADIENT_NORM)
        self.compile(optimizer=optimizer, loss={"log_probabilities": _weighted_loss, "state": None})

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Returns `log_probabilities` of each token but the first `(1, time)`, and the `state` before the last token.

        Args:
            inputs: `token_ids` int32 `(1, time + 1)`, `length` int32 `(1,)` and `state` float32 `(1, state_size)`.
        """
        token_ids = inputs["token_ids"]
        outputs = self.encoder({"token_ids": token_ids[:, :-1], "length": inputs["length"], "state": inputs["state"]})
        targets = ops.expand_dims(token_ids[:, 1:], -1)
        log_probabilities = ops.take_along_axis(self.head(outputs["hidden"]), targets, axis=-1)
        return {"log_probabilities": log_probabilities[..., 0], "state": outputs["state"]}

    def score_segment(self, token_ids: np.ndarray) -> np.ndarray:
        """Returns the log-probability of each token but the first `(tokens - 1,)`, then trains on them.

        Args:
            token_ids: the token before the segment and at most `SEGMENT_LENGTH` tokens, int `(tokens,)`.
        """
        count = len(token_ids) - 1
        padded = np.zeros((1, SEGMENT_LENGTH + 1), np.int32)  # one shape for all segments avoids retracing
        padded[0, : len(token_ids)] = token_ids
        mask = (np.arange(SEGMENT_LENGTH) < count).astype(np.float32)[None]
        inputs = {"token_ids": padded, "length": np.array([count], np.int32), "state": self.state}
        outputs = self.predict_on_batch(inputs)
        self.train_on_batch(inputs, {"log_probabilities": mask / count})
        for weight, original in zip(self.trainable_weights, self.original_weights, strict=True):
            weight.assign(weight + self.decay * (original - weight))
        self.state = outputs["state"]
        return np.asarray(outputs["log_probabilities"][0, :count])


def _weighted_loss(weights: Any, log_probabilities: Any) -> Any:
    """Returns the weighted sum of negative log-probabilities `(1,)`; both arguments are `(1, time)`."""
    return -ops.sum(weights * log_probabilities, axis=-1)


def probabilities(model: keras.Model, stream: np.ndarray, learning_rate: float) -> np.ndarray:
    """Returns the probability of each token of a stream but the first, by dynamic evaluation, float64 `(tokens - 1,)`."""
    dynamic_model = DynamicModel(model, learning_rate)
    starts = range(0, len(stream) - 1, SEGMENT_LENGTH)
    segments = [dynamic_model.score_segment(stream[start : start + SEGMENT_LENGTH + 1]) for start in starts]
    return np.exp(np.concatenate(segments).astype(np.float64))


def choose_learning_rate(model: keras.Model, stream: np.ndarray) -> float:
    """Returns the learning rate that gives the beginning of a stream of token ids the highest likelihood."""
    beginning = stream[:MAX_VALIDATION_TOKENS]
    with np.errstate(divide="ignore"):
        likelihood = {rate: np.mean(np.log(probabilities(model, beginning, rate))) for rate in LEARNING_RATES}
    likelihood = {rate: value for rate, value in likelihood.items() if np.isfinite(value)} or {LEARNING_RATES[0]: 0.0}
    return max(likelihood, key=lambda rate: likelihood[rate])
