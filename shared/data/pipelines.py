"""`tf.data` pipelines that feed training.

The order of the examples depends only on the seed and the epoch, so that a resumed run sees the same batches as an uninterrupted
run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import tensorflow as tf

MAX_POOL_BATCHES = 50
"""Maximum number of batches whose examples are sorted by length together. A small data set uses an eighth of its batches, so that
the batches still differ between epochs."""


def gather_padded(values: np.ndarray, indices: np.ndarray) -> np.ndarray:
    """Returns `values` at `indices`, with 0 at padding; b"" if the dtype is object.

    Args:
        values: array `(rows,)`.
        indices: int array of any shape, -1 for padding.

    Returns:
        Array of the shape of `indices` and the dtype of `values`.
    """
    fill_value = b"" if values.dtype == object else values.dtype.type(0)
    return np.where(indices >= 0, values[np.maximum(indices, 0)], fill_value)


def padded_indices(starts: np.ndarray, lengths: np.ndarray, width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns the indices of the rows of several ranges, padded on the right to one width.

    Args:
        starts: first index of each range, int `(batch,)`.
        lengths: number of indices in each range, int `(batch,)`.
        width: columns of the result; None for the maximum of `lengths`, at least 1.

    Returns:
        Indices, int `(batch, width)`, -1 for padding; and the mask, bool `(batch, width)`, False at padding.
    """
    step = np.arange(width or lengths.max(initial=1))
    mask = step < lengths[:, None]
    return np.where(mask, starts[:, None] + step, -1), mask


def with_cardinality(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Declares the number of batches of a data set, so that Keras does not warn when the data set ends.

    Args:
        batches: finite data set.
        count: its number of batches.

    Returns:
        The data set, which raises an error if the number is wrong, with autotuning disabled.
    """
    return disable_autotune(batches.apply(tf.data.experimental.assert_cardinality(count)))


def disable_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Disables the automatic tuning of tf.data, which can double the time of a run.

    The tuning thread sleeps twice as long each time, and an iterator that ends (after each validation and each `fit`) may have to
    wait until the thread wakes. Without the tuning, `AUTOTUNE` means as many parallel calls as there are CPU cores.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def order_by_length(lengths: np.ndarray, batch_size: int, seed: tuple[int, ...]) -> np.ndarray:
    """Returns a random order of the examples of an epoch in which each batch has examples of similar length.

    The examples are sorted by length within random pools of at most `MAX_POOL_BATCHES` batches, so that batches need little
    padding. Then the batches are shuffled.

    Args:
        lengths: length of each example, int `(examples,)`.
        batch_size: examples per batch, at least 1.
        seed: random seed, different in each epoch, such as (seed, epoch).

    Returns:
        Indices of the examples, int64 `(examples,)`; each successive `batch_size` indices are one batch.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    remainder = len(order) % batch_size
    # The last, smaller batch gets random examples: if it had the longest ones, each would have too much weight in its gradient.
    last, order = order[:remainder], order[remainder:]
    batches = -(-len(lengths) // batch_size)
    pool = batch_size * min(MAX_POOL_BATCHES, max(1, batches // 8))
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        order[start : start + pool] = part[np.argsort(lengths[part], kind="stable")]
    shuffled = rng.permutation(order.reshape(-1, batch_size))
    return np.concatenate([shuffled.ravel(), last])


def bucket_boundaries(lengths: np.ndarray, buckets: int = 8) -> list[int]:
    """Returns the upper bounds (exclusive) of the lengths in each bucket but the last; the buckets are about equally full.

    Args:
        lengths: length of each sequence, int `(sequences,)`.
        buckets: maximum number of buckets; equal bounds are merged.
    """
    quantiles = np.quantile(lengths, np.linspace(0, 1, buckets + 1)[1:-1])
    return sorted({int(q) + 1 for q in quantiles})


def repeat_epochs(epoch: Callable[[tf.Tensor], tf.data.Dataset], first: int) -> tf.data.Dataset:
    """Returns the batches of epoch `first`, then those of the following epochs, without end.

    Args:
        epoch: function from the index of an epoch, int64 and counted from 0, to its batches.
        first: index of the first epoch.
    """
    return disable_autotune(tf.data.Dataset.range(first, np.iinfo(np.int32).max).flat_map(epoch).prefetch(2))


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
