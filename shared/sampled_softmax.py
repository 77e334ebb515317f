"""Softmax over a large vocabulary whose sum over the wrong words is estimated from a sample, for training alone.

One set of wrong words for a whole batch, drawn log-uniformly over the ranks and weighed by how often each is expected
(Bengio & Senécal, 2003; Jean et al., 2015).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class SampledSoftmax(keras.layers.Layer):
    """Draws words and tells what a batch loses by them. A layer, so that the state of its draws belongs to the model's.

    Args:
        vocabulary_size: words by falling frequency.
        negatives: words drawn.
        seed: of the draws.
    """

    def __init__(self, vocabulary_size: int, negatives: int, seed: int) -> None:
        super().__init__(name="sampled_softmax")
        self.built = True  # without weights of its own
        self.vocabulary_size = vocabulary_size
        self.negatives = negatives
        self.draw = keras.random.SeedGenerator(seed)

    def losses(self, hidden: Any, targets: Any, table: Any, bias: Any) -> Any:
        """Returns the negative log likelihoods of `targets`, in nats, float32 `(batch, time)`.

        Args:
            hidden: `(batch, time, features)`.
            targets: word numbers `(batch, time)`.
            table: output vectors `(vocabulary_size, features)`.
            bias: of the words, `(vocabulary_size,)`; None for none.
        """
        drawn = self._drawn()
        table = ops.cast(table, hidden.dtype)
        right = ops.sum(hidden * ops.take(table, targets, axis=0), axis=-1)
        wrong = ops.matmul(hidden, ops.transpose(ops.take(table, drawn, axis=0)))
        if bias is not None:
            right, wrong = right + ops.take(bias, targets), wrong + ops.take(bias, drawn)
        right = ops.cast(right, "float32")
        wrong = ops.cast(wrong, "float32") - self._log_expected_count(drawn)
        wrong = ops.where(
            ops.equal(ops.expand_dims(targets, -1), drawn), -1e9, wrong
        )  # drawn by accident: no wrong answer
        return ops.logaddexp(right, ops.logsumexp(wrong, axis=-1)) - right

    def _drawn(self) -> Any:
        uniform = keras.random.uniform((self.negatives,), seed=self.draw)
        drawn = ops.cast(ops.exp(uniform * float(np.log(self.vocabulary_size + 1))), "int32") - 1
        return ops.minimum(drawn, self.vocabulary_size - 1)  # where rounding reached the end

    def _log_expected_count(self, numbers: Any) -> Any:
        """How often a word is expected among those drawn: log-uniform over the ranks, P(k) ~ log((k + 2) / (k + 1))."""
        rank = ops.cast(numbers, "float32")
        return ops.log(self.negatives * ops.log1p(1.0 / (rank + 1.0)) / float(np.log(self.vocabulary_size + 1)))
