"""`tf.data` pipelines and the splits before them.

The order of the data is a pure function of (seed, epoch): a run that is taken up again after an interruption sees the
batches that the uninterrupted one would have seen.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd
import tensorflow as tf

POOL = 50
"""Batches whose sequences are sorted by length together, at most; of few batches an eighth, so that they differ by epoch."""


def split_by_group(groups: Sequence[object], fraction: float, seed: int) -> np.ndarray:
    """Chooses whole groups at random until they hold about `fraction` of the rows.

    Args:
        groups: a group for each row, such as the film of a review; unique values make it a plain random split.
        fraction: share of rows to choose, in (0, 1).
        seed: makes the choice repeatable.

    Returns:
        A boolean array `(rows,)`, True where the row was chosen; at least one group is chosen and one left.

    Raises:
        ValueError: there are fewer than two groups.
    """
    codes, unique = pd.factorize(pd.Series(list(groups)), sort=True)
    if len(unique) < 2:
        raise ValueError(f"Expected at least two groups to split. Received: {len(unique)}")
    order = np.random.default_rng(seed).permutation(len(unique))
    rows = np.cumsum(np.bincount(codes, minlength=len(unique))[order])
    count = int(np.clip(np.searchsorted(rows, fraction * len(codes)) + 1, 1, len(unique) - 1))
    return np.isin(codes, order[:count])


def split_by_time(
    times: Sequence[object], fraction: float, embargo: object | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Cuts rows in two at one moment: what is earlier trains, what is later tests. Nothing is shuffled.

    Args:
        times: a moment for each row, in any order.
        fraction: share of rows on the later side, in (0, 1); rows of one moment stay on one side.
        embargo: rows less than this before the cut are left out of the earlier side, since what they are to predict
            lies beyond it (a number or a `pandas.Timedelta`, in the unit of `times`).

    Returns:
        Two boolean arrays `(rows,)`: earlier and later.

    Raises:
        ValueError: all rows are of one moment.
    """
    series = pd.Series(list(times))
    moments = series.sort_values()
    cut = moments.iloc[int(len(moments) * (1 - fraction))]
    if cut == moments.iloc[0]:
        later_moments = moments[moments > cut]
        if later_moments.empty:
            raise ValueError("Expected more than one moment to split by time. Received: one")
        cut = later_moments.iloc[0]
    later = (series >= cut).to_numpy()
    limit = cut if embargo is None else cut - embargo
    return (series < cut).to_numpy() & (series <= limit).to_numpy(), later


def windows(values: np.ndarray, length: int, stride: int = 1) -> tf.data.Dataset:
    """Slides a window over a series without copying it.

    Args:
        values: array `(time, ...)`.
        length: steps in a window, at least 1.
        stride: steps between the starts of two windows, at least 1.

    Returns:
        A data set of tensors `(length, ...)`, earliest first; steps after the last whole window are left out.

    Raises:
        ValueError: the series is shorter than one window.
    """
    if length < 1 or stride < 1 or length > len(values):
        raise ValueError(
            f"Expected 1 <= length <= {len(values)} (the series) and stride >= 1. Received: length={length}, stride={stride}"
        )
    series = tf.constant(values)
    starts = tf.data.Dataset.range(0, len(values) - length + 1, stride)
    return starts.map(lambda start: series[start : start + length], num_parallel_calls=tf.data.AUTOTUNE)


def gather_padded(values: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Returns the values at `places`, 0 or "" at padding."""
    empty = b"" if values.dtype == object else values.dtype.type(0)
    return np.where(places >= 0, values[np.maximum(places, 0)], empty)


def padded_indices(starts: np.ndarray, lengths: np.ndarray, width: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Returns positions `(batch, width)`, -1 for padding on the right, and which are real."""
    step = np.arange(width or lengths.max(initial=1))
    real = step < lengths[:, None]
    return np.where(real, starts[:, None] + step, -1), real


def with_cardinality(batches: tf.data.Dataset, count: int) -> tf.data.Dataset:
    """Tells Keras how many batches there are; of a data set whose end surprises it, it warns."""
    return disable_autotune(batches.apply(tf.data.experimental.assert_cardinality(count)))


def disable_autotune(batches: tf.data.Dataset) -> tf.data.Dataset:
    """Takes tf.data's automatic tuning away, which costs up to as much time again as it has run for: its thread sleeps twice as
    long each time, and an iterator that ends (each validation, each `fit`) may wait until it wakes. `AUTOTUNE` is then as many
    calls at once as there are cores."""
    options = tf.data.Options()
    options.autotune.enabled = False
    return batches.with_options(options)


def order_by_length(lengths: np.ndarray, batch_size: int, seed: tuple[int, ...]) -> np.ndarray:
    """Returns the examples of an epoch, int64 `(examples,)`, of which each batch takes the next: sorted by length within pools
    of `POOL` batches drawn at random, so that little is padded, and the batches shuffled.

    Args:
        lengths: of the examples, `(examples,)`.
        batch_size: examples in a batch.
        seed: decides; another each epoch.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(lengths))
    rest = len(order) % batch_size
    last, order = order[:rest], order[rest:]  # any examples: a batch of the few longest would weigh too much
    batches = -(-len(lengths) // batch_size)
    pool = batch_size * min(POOL, max(1, batches // 8))
    for start in range(0, len(order), pool):
        part = order[start : start + pool]
        order[start : start + pool] = part[np.argsort(lengths[part], kind="stable")]
    shuffled = rng.permutation(order.reshape(-1, batch_size))
    return np.concatenate([shuffled.ravel(), last])


def bucket_boundaries(lengths: np.ndarray, buckets: int = 8) -> list[int]:
    """Returns upper lengths (exclusive) that part the sequences into about equally full buckets."""
    quantiles = np.quantile(lengths, np.linspace(0, 1, buckets + 1)[1:-1])
    return sorted({int(q) + 1 for q in quantiles})


def repeat_epochs(epoch: Callable[[tf.Tensor], tf.data.Dataset], first: int) -> tf.data.Dataset:
    """Returns the batches of epoch `first`, then of the next, and so on.

    Args:
        epoch: from an epoch's number, int64 and counted from 0, to its batches.
        first: number of the first.
    """
    return disable_autotune(tf.data.Dataset.range(first, np.iinfo(np.int32).max).flat_map(epoch).prefetch(2))


class SequenceBatches:
    """Batches of integer sequences of different lengths, sequences of like length together, padded on the right.

    Args:
        sequences: one array `(length,)` of non-negative integers an example, length at least 1.
        labels: array `(examples,)` or `(examples, ...)`.
        batch_size: examples in a batch; the last of each bucket may hold fewer.
        seed: with the epoch, decides the order.
        crop: where set, training sees a random stretch of at most so many steps of each sequence, another each epoch.
        replacement_rate: share of the steps that training sees as `replacement`, others each epoch, in [0, 1).
        replacement_id: the number of the unknown word, or its like.
    """

    def __init__(
        self,
        sequences: Sequence[np.ndarray],
        labels: np.ndarray,
        batch_size: int,
        seed: int = 0,
        crop: int | None = None,
        replacement_rate: float = 0.0,
        replacement_id: int = 1,
    ) -> None:
        self.lengths = np.array([len(sequence) for sequence in sequences])
        if len(self.lengths) == 0 or self.lengths.min() < 1:
            raise ValueError("Expected at least one sequence, each of at least one step.")
        self.values = tf.RaggedTensor.from_row_lengths(np.concatenate(sequences).astype(np.int32), self.lengths)
        self.labels = tf.constant(labels)
        self.batch_size = batch_size
        self.seed = seed
        self.crop = crop
        self.replacement_rate = replacement_rate
        self.replacement_id = replacement_id
        self.boundaries = bucket_boundaries(np.minimum(self.lengths, crop or self.lengths.max()))

    @property
    def steps(self) -> int:
        """Batches in one epoch, the same in every epoch."""
        effective = np.minimum(self.lengths, self.crop or self.lengths.max())
        buckets = np.bincount(np.searchsorted(self.boundaries, effective, side="right"))
        return int(np.sum(-(-buckets // self.batch_size)))

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns all examples, uncropped, shortest bucket first: for validation and prediction of a loss."""
        indices = np.argsort(self.lengths, kind="stable")
        examples = tf.data.Dataset.from_tensor_slices(indices).map(self._example, num_parallel_calls=tf.data.AUTOTUNE)
        batches = examples.padded_batch(self.batch_size).cache()
        return with_cardinality(batches, -(-len(indices) // self.batch_size)).prefetch(2)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then of the next, without end."""
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
        place = tf.stack(
            [tf.reduce_sum(seed * [1_000_003, 1]), index]
        )  # of the random numbers: (seed and epoch, example)
        if self.crop is not None:
            size = tf.minimum(tf.shape(sequence)[0], self.crop)
            start = tf.random.stateless_uniform([], place, maxval=tf.shape(sequence)[0] - size + 1, dtype=tf.int32)
            sequence = sequence[start : start + size]
        if self.replacement_rate > 0:
            chosen = tf.random.stateless_uniform(tf.shape(sequence), place + 1) < self.replacement_rate
            sequence = tf.where(chosen, self.replacement_id, sequence)
        return sequence, label


class StreamBatches:
    """Batches of stretches of one long stream, the sequences one after the other in another order each epoch.

    Args:
        sequences: one array `(length,)` of integers each.
        batch_size: stretches in a batch.
        length: steps in a stretch.
        seed: with the epoch, decides the order.
    """

    def __init__(self, sequences: Sequence[np.ndarray], batch_size: int, length: int, seed: int = 0) -> None:
        self.sequences = list(sequences)
        self.batch_size = batch_size
        self.length = length
        self.seed = seed
        self.stretches = sum(map(len, sequences)) // length
        if not self.stretches:
            raise ValueError(f"Expected at least {length} steps in all. Received: {sum(map(len, sequences))}")

    @property
    def steps(self) -> int:
        """Batches in one epoch, the same in every epoch."""
        return -(-self.stretches // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns pairs of int32 `(batch, length)` and zeros `(batch,)` of epoch `first`, then of the next, without end."""
        return repeat_epochs(self._epoch, first)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        stretches = tf.ensure_shape(tf.numpy_function(self._cut, [epoch], tf.int32), [self.stretches, self.length])
        batches = tf.data.Dataset.from_tensor_slices(stretches).batch(self.batch_size)
        return batches.map(lambda batch: (batch, tf.zeros(tf.shape(batch)[0])))

    def _cut(self, epoch: np.ndarray) -> np.ndarray:
        rng = np.random.default_rng((self.seed, int(epoch)))
        stream = np.concatenate([self.sequences[k] for k in rng.permutation(len(self.sequences))])
        stretches = stream[: self.stretches * self.length].reshape(self.stretches, self.length)
        return rng.permutation(stretches).astype(np.int32)


class ContiguousBatches:
    """Stretches of one long stream, in which a batch goes on, row for row, where the one before has ended.

    A batch is `({"token_ids": int32 (batch, length + 1), "is_continued": float32 (batch,)}, zeros (batch,))`: the last number of
    a stretch is the first of the next; `is_continued` is 0 at the beginning of an epoch, else 1.

    Args:
        stream: integers `(steps,)`.
        batch_size: rows, each a part of the stream.
        length: steps in a stretch.
        seed: with the epoch, decides where the rows begin; None leaves them where they are, for validation.

    Raises:
        ValueError: the stream is too short for one batch.
    """

    def __init__(self, stream: np.ndarray, batch_size: int, length: int, seed: int | None = 0) -> None:
        self.stream = np.asarray(stream, np.int32)
        self.batch_size, self.length, self.seed = batch_size, length, seed
        self.steps = (len(self.stream) - 1) // (batch_size * length)
        """Batches in one epoch, the same in every epoch."""
        if not self.steps:
            raise ValueError(
                f"Expected a stream longer than batch_size x length = {batch_size} x {length}. Received: {len(self.stream)}"
            )

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the batches of epoch `first` (counted from 0), then of the next, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns the batches of one epoch, for validation."""
        return with_cardinality(self._epoch(tf.constant(0, tf.int64)), self.steps).prefetch(2)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        rows = tf.numpy_function(self._rows, [epoch], tf.int32)
        rows = tf.ensure_shape(rows, [self.batch_size, self.steps * self.length + 1])

        def batch(step: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
            start = step * self.length
            part = tf.ensure_shape(rows[:, start : start + self.length + 1], [self.batch_size, self.length + 1])
            is_continued = tf.fill([self.batch_size], tf.cast(step > 0, tf.float32))
            return {"token_ids": part, "is_continued": is_continued}, tf.zeros(self.batch_size)

        return tf.data.Dataset.range(self.steps).map(batch, num_parallel_calls=tf.data.AUTOTUNE)

    def _rows(self, epoch: np.ndarray) -> np.ndarray:
        """Returns the rows of an epoch, int32 `(batch, steps x length + 1)`; each begins where the one before has ended."""
        each = self.steps * self.length
        shift = 0 if self.seed is None else np.random.default_rng((self.seed, int(epoch))).integers(len(self.stream))
        turned = np.roll(self.stream, -shift)
        places = each * np.arange(self.batch_size)[:, None] + np.arange(each + 1)
        return turned[places % len(turned)]
