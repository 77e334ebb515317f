"""Softmax over a large vocabulary, with the sum over the negative words estimated from a sample; for training only.

One sample serves all words of a batch. It is drawn log-uniformly over the frequency ranks, and each sampled word is weighted by
its expected count (Bengio & Senécal, 2003; Jean et al., 2015).
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops


class SampledSoftmax(keras.layers.Layer):
    """Samples negative words and computes the loss of a batch.

    It is a layer, so that a checkpoint of a model includes the state of its random number generator.

    Args:
        vocabulary_size: number of words; the token ids are sorted by falling word frequency.
        negative_samples: words to sample per batch, with replacement.
        seed: random seed of the samples.
    """

    def __init__(self, vocabulary_size: int, negative_samples: int, seed: int) -> None:
        super().__init__(name="sampled_softmax")
        self.built = True  # the layer has no weights of its own
        self.vocabulary_size = vocabulary_size
        self.negative_samples = negative_samples
        self.seed_generator = keras.random.SeedGenerator(seed)

    def losses(self, hidden: Any, targets: Any, table: Any, bias: Any) -> Any:
        """Returns the negative log likelihood of each target, in nats, float32 `(batch, time)`.

        Args:
            hidden: float `(batch, time, features)`.
            targets: token ids, int `(batch, time)`.
            table: output vectors of the words, `(vocabulary_size, features)`.
            bias: output bias of the words, `(vocabulary_size,)`, or None.
        """
        samples = self._sample()
        table = ops.cast(table, hidden.dtype)
        target_logits = ops.sum(hidden * ops.take(table, targets, axis=0), axis=-1)
        sample_logits = ops.matmul(hidden, ops.transpose(ops.take(table, samples, axis=0)))
        if bias is not None:
            target_logits = target_logits + ops.take(bias, targets)
            sample_logits = sample_logits + ops.take(bias, samples)
        target_logits = ops.cast(target_logits, "float32")
        sample_logits = ops.cast(sample_logits, "float32") - self._log_expected_count(samples)
        is_target = ops.equal(ops.expand_dims(targets, -1), samples)  # a sampled target is not a negative word
        sample_logits = ops.where(is_target, -1e9, sample_logits)
        return ops.logaddexp(target_logits, ops.logsumexp(sample_logits, axis=-1)) - target_logits

    def _sample(self) -> Any:
        """Returns token ids, int32 `(negative_samples,)`, log-uniform over the ranks: P(k) ~ log((k + 2) / (k + 1))."""
        uniform = keras.random.uniform((self.negative_samples,), seed=self.seed_generator)
        samples = ops.cast(ops.exp(uniform * float(np.log(self.vocabulary_size + 1))), "int32") - 1
        return ops.minimum(samples, self.vocabulary_size - 1)  # rounding can give vocabulary_size

    def _log_expected_count(self, token_ids: Any) -> Any:
        """Returns the natural logarithm of the expected number of samples of each token id."""
        rank = ops.cast(token_ids, "float32")
        return ops.log(self.negative_samples * ops.log1p(1.0 / (rank + 1.0)) / float(np.log(self.vocabulary_size + 1)))
