"""Batches of labelled integer sequences of similar length.

The order of the examples depends only on the seed and the epoch, so that a resumed run sees the same batches as an uninterrupted
run.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shared.data.pipelines import repeat_epochs, with_cardinality


def bucket_boundaries(lengths: np.ndarray, buckets: int = 8) -> list[int]:
    """Returns the upper bounds (exclusive) of the lengths in each bucket but the last; the buckets are about equally full.

    Args:
        lengths: length of each sequence, int `(sequences,)`.
        buckets: maximum number of buckets; equal bounds are merged.
    """
    quantiles = np.quantile(lengths, np.linspace(0, 1, buckets + 1)[1:-1])
    return sorted({int(q) + 1 for q in quantiles})


class SequenceBatches:
    """Batches of labelled integer sequences, padded with 0 on the right; a batch has sequences of similar length.

    A batch is `(int32 (batch, time), labels (batch, ...))`.

    Args:
        sequences: one array `(length,)` of non-negative integers per example, each with at least one time step.
        labels: array `(examples,)` or `(examples, ...)`.
        batch_size: examples per batch; the last batch of each bucket of lengths may have fewer.
        seed: random seed; together with the epoch, it sets the order, the crops and the replacements.
        crop_length: maximum number of time steps in training: a longer sequence is cropped at a random position, different in
            each epoch. None for no crop.
        replacement_rate: fraction of the time steps that training replaces with `replacement_id`, at positions that differ in
            each epoch, in [0, 1).
        replacement_id: replacement value, such as the token id of the unknown word.

    Raises:
        ValueError: there are no sequences, or one of them is empty.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        labels: np.ndarray,
        batch_size: int,
        seed: int = 0,
        crop_length: int | None = None,
        replacement_rate: float = 0.0,
        replacement_id: int = 1,
    ) -> None:
        self.lengths = np.array([len(sequence) for sequence in sequences])
        if len(self.lengths) == 0 or self.lengths.min() < 1:
            raise ValueError("Expected at least one sequence, and at least one time step in each sequence.")
        self.values = tf.RaggedTensor.from_row_lengths(np.concatenate(sequences).astype(np.int32), self.lengths)
        self.labels = tf.constant(labels)
        self.batch_size = batch_size
        self.seed = seed
        self.crop_length = crop_length
        self.replacement_rate = replacement_rate
        self.replacement_id = replacement_id
        self.boundaries = bucket_boundaries(np.minimum(self.lengths, crop_length or self.lengths.max()))

    @property
    def steps(self) -> int:
        """Number of batches per epoch, the same in all epochs."""
        cropped = np.minimum(self.lengths, self.crop_length or self.lengths.max())
        buckets = np.bincount(np.searchsorted(self.boundaries, cropped, side="right"))
        return int(np.sum(-(-buckets // self.batch_size)))

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns each example once, shortest first, without crops and replacements: for validation."""
        indices = np.argsort(self.lengths, kind="stable")
        examples = tf.data.Dataset.from_tensor_slices(indices).map(self._example, num_parallel_calls=tf.data.AUTOTUNE)
        batches = examples.padded_batch(self.batch_size).cache()
        return with_cardinality(batches, -(-len(indices) // self.batch_size)).prefetch(2)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        return repeat_epochs(self._epoch, first)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        seed = tf.stack([tf.constant(self.seed, tf.int64), epoch])
        count = len(self.lengths)

        def shuffled(position: tf.Tensor) -> tf.Tensor:
            return tf.random.experimental.index_shuffle(position, tf.cast(seed, tf.int32), max_index=count - 1)

        examples = tf.data.Dataset.range(count).map(
            lambda position: self._training_example(shuffled(position), seed), num_parallel_calls=tf.data.AUTOTUNE
        )
        return examples.bucket_by_sequence_length(
            lambda sequence, label: tf.shape(sequence)[0],
            bucket_boundaries=self.boundaries,
            bucket_batch_sizes=[self.batch_size] * (len(self.boundaries) + 1),
        )

    def _example(self, index: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return self.values[index], self.labels[index]

    def _training_example(self, index: tf.Tensor, seed: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        sequence, label = self._example(index)
        random_seed = tf.stack([tf.reduce_sum(seed * [1_000_003, 1]), index])  # from (seed, epoch) and the example
        if self.crop_length is not None:
            size = tf.minimum(tf.shape(sequence)[0], self.crop_length)
            start = tf.random.stateless_uniform(
                [], random_seed, maxval=tf.shape(sequence)[0] - size + 1, dtype=tf.int32
            )
            sequence = sequence[start : start + size]
        if self.replacement_rate > 0:
            is_replaced = tf.random.stateless_uniform(tf.shape(sequence), random_seed + 1) < self.replacement_rate
            sequence = tf.where(is_replaced, self.replacement_id, sequence)
        return sequence, label
