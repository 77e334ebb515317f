"""Batches of segments of one long stream, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from shared.data.pipelines import repeat_epochs, with_cardinality


class StreamBatches:
    """Batches of segments of one long stream: all sequences one after another, in a different order in each epoch.

    A batch is `(int32 (batch, segment_length), zeros (batch,))`. Time steps after the last complete segment are dropped.

    Args:
        sequences: integer arrays `(length,)`.
        batch_size: segments per batch; the last batch of an epoch may have fewer.
        segment_length: time steps per segment, at least 1.
        seed: random seed; together with the epoch, it sets the order.

    Raises:
        ValueError: the sequences have fewer than `segment_length` time steps in total.
    """

    def __init__(self, sequences: Sequence[np.ndarray], batch_size: int, segment_length: int, seed: int = 0) -> None:
        self.sequences = list(sequences)
        self.batch_size = batch_size
        self.segment_length = segment_length
        self.seed = seed
        self.segments = sum(map(len, sequences)) // segment_length
        if not self.segments:
            raise ValueError(
                f"Expected sequences with at least {segment_length} time steps in total. "
                f"Received: {sum(map(len, sequences))}"
            )

    @property
    def steps(self) -> int:
        """Number of batches per epoch, the same in all epochs."""
        return -(-self.segments // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        return repeat_epochs(self._epoch, first)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        segments = tf.numpy_function(self._segments, [epoch], tf.int32)
        segments = tf.ensure_shape(segments, [self.segments, self.segment_length])
        batches = tf.data.Dataset.from_tensor_slices(segments).batch(self.batch_size)
        return batches.map(lambda batch: (batch, tf.zeros(tf.shape(batch)[0])))

    def _segments(self, epoch: np.ndarray) -> np.ndarray:
        """Returns the shuffled segments of an epoch, int32 `(segments, segment_length)`."""
        rng = np.random.default_rng((self.seed, int(epoch)))
        stream = np.concatenate([self.sequences[k] for k in rng.permutation(len(self.sequences))])
        segments = stream[: self.segments * self.segment_length].reshape(self.segments, self.segment_length)
        return rng.permutation(segments).astype(np.int32)


class ContiguousBatches:
    """Batches of segments of one long stream, in which each row continues the same row of the previous batch.

    A batch is `({"token_ids": int32 (batch, segment_length + 1), "is_continued": float32 (batch,)}, zeros (batch,))`. The last
    token id of a segment is the first of the next one, so that each id is the target of the id before it. `is_continued` is 0 in
    the first batch of an epoch, else 1.

    Args:
        stream: token ids, int `(tokens,)`.
        batch_size: rows per batch; each row covers one part of the stream.
        segment_length: time steps per segment, at least 1.
        seed: random seed; together with the epoch, it sets where in the stream the rows begin. With None, for validation, the
            first row begins at the beginning of the stream.

    Raises:
        ValueError: the stream is too short for one batch.
    """

    def __init__(self, stream: np.ndarray, batch_size: int, segment_length: int, seed: int | None = 0) -> None:
        self.stream = np.asarray(stream, np.int32)
        self.batch_size, self.segment_length, self.seed = batch_size, segment_length, seed
        self.steps = (len(self.stream) - 1) // (batch_size * segment_length)
        """Number of batches per epoch, the same in all epochs."""
        if not self.steps:
            raise ValueError(
                f"Expected a stream longer than batch_size x segment_length = {batch_size} x {segment_length}. "
                f"Received: {len(self.stream)}"
            )

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns the batches of one epoch, for validation."""
        return with_cardinality(self._epoch(tf.constant(0, tf.int64)), self.steps).prefetch(2)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.numpy_function(self._rows, [epoch], tf.int32)
        rows = tf.ensure_shape(rows, [self.batch_size, self.steps * self.segment_length + 1])

        def batch(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            start = step * self.segment_length
            segment = rows[:, start : start + self.segment_length + 1]
            segment = tf.ensure_shape(segment, [self.batch_size, self.segment_length + 1])
            is_continued = tf.fill([self.batch_size], tf.cast(step > 0, tf.float32))
            return {"token_ids": segment, "is_continued": is_continued}, tf.zeros(self.batch_size)

        return tf.data.Dataset.range(self.steps).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _rows(self, epoch: np.ndarray) -> np.ndarray:
        """Returns the rows of an epoch, int32 `(batch, steps x segment_length + 1)`; each begins where the previous one ends."""
        row_length = self.steps * self.segment_length
        shift = 0 if self.seed is None else np.random.default_rng((self.seed, int(epoch))).integers(len(self.stream))
        rotated = np.roll(self.stream, -shift)
        indices = row_length * np.arange(self.batch_size)[:, None] + np.arange(row_length + 1)
        return rotated[indices % len(rotated)]
