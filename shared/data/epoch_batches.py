"""Batches that NumPy code builds from rows, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import tensorflow as tf

from shared.data.pipelines import repeat_epochs, with_cardinality

MAX_POOL_BATCHES = 50
"""Maximum number of batches whose examples are sorted by length together. A small data set uses an eighth of its batches, so that
the batches still differ between epochs."""
EVALUATION_EPOCH = -1
"""Epoch that `EpochBatches.collate` receives for evaluation, which has no augmentation."""


class EpochBatches(ABC):
    """Base class of batches; a subclass says in which order an epoch has its rows, and how rows become a batch.

    A row is whatever `collate` understands: the index of an example, or the start and the end of a window. `order` must be a pure
    function of the seed and the epoch, and `collate` of the rows and the epoch, so that a resumed run sees the same batches as an
    uninterrupted one.

    Args:
        spec: structure (dicts and tuples) of `tf.TensorSpec`, the shape and dtype of each tensor of a batch.
        rows: number of rows per epoch, the same in all epochs, at least 1.
        batch_size: rows per batch, at least 1; the last batch of an epoch may have fewer.
        seed: random seed of `order`.
        cache_evaluation: keep the evaluation batches in memory after the first use.
    """

    def __init__(self, spec: Any, rows: int, batch_size: int, seed: int, cache_evaluation: bool = False) -> None:
        self.spec, self.rows = spec, rows
        self.batch_size, self.seed, self.cache_evaluation = batch_size, seed, cache_evaluation

    @abstractmethod
    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the rows of an epoch (counted from 0) in their order, int64 `(rows, ...)`."""

    @abstractmethod
    def evaluation_order(self) -> np.ndarray:
        """Returns the rows for evaluation in their order, int64 `(evaluation_rows, ...)`."""

    @abstractmethod
    def collate(self, rows: np.ndarray, epoch: int) -> Any:
        """Returns a batch: arrays in the structure of `spec`.

        Args:
            rows: rows of the batch, int64 `(batch, ...)`.
            epoch: epoch, counted from 0; `EVALUATION_EPOCH` for evaluation.
        """

    @property
    def steps(self) -> int:
        """Number of batches per epoch, the same in all epochs."""
        return -(-self.rows // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then those of the following epochs, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns each row of `evaluation_order` once."""
        order = self.evaluation_order()
        steps = -(-len(order) // self.batch_size)
        batches = self._batches(tf.constant(order, tf.int64), tf.constant(EVALUATION_EPOCH, tf.int64), steps)
        return with_cardinality(batches.cache() if self.cache_evaluation else batches, steps).prefetch(2)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        return self._batches(tf.numpy_function(self._checked_order, [epoch], tf.int64), epoch, self.steps)

    def _checked_order(self, epoch: np.ndarray) -> np.ndarray:
        order = self.order(self.seed, int(epoch))
        if len(order) != self.rows:
            raise ValueError(f"Expected {self.rows} rows in epoch {int(epoch)}. Received: {len(order)}")
        return order

    def _batches(self, order: tf.Tensor, epoch: tf.Tensor, steps: int) -> tf.data.Dataset:
        size = self.batch_size
        rows = tf.data.Dataset.range(steps).map(lambda k: order[k * size : (k + 1) * size])
        return rows.map(lambda part: self._tensors(part, epoch), num_parallel_calls=tf.data.AUTOTUNE)

    def _tensors(self, rows: tf.Tensor, epoch: tf.Tensor) -> Any:
        specs = tf.nest.flatten(self.spec)
        arrays = tf.numpy_function(self._flat_batch, [rows, epoch], [spec.dtype for spec in specs])
        tensors = [tf.ensure_shape(array, spec.shape) for array, spec in zip(arrays, specs, strict=True)]
        return tf.nest.pack_sequence_as(self.spec, tensors)

    def _flat_batch(self, rows: np.ndarray, epoch: np.ndarray) -> list[np.ndarray]:
        batch = self.collate(rows, int(epoch))
        tf.nest.assert_same_structure(self.spec, batch)
        return tf.nest.flatten(batch)


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
