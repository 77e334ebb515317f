"""What the `tf.data` pipelines of training have in common: padding, numbers of batches, and endless epochs."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import tensorflow as tf


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


def repeat_epochs(epoch: Callable[[tf.Tensor], tf.data.Dataset], first: int) -> tf.data.Dataset:
    """Returns the batches of epoch `first`, then those of the following epochs, without end.

    Args:
        epoch: function from the index of an epoch, int64 and counted from 0, to its batches.
        first: index of the first epoch.
    """
    return disable_autotune(tf.data.Dataset.range(first, np.iinfo(np.int32).max).flat_map(epoch).prefetch(2))
