"""`shared.data.pipelines`: padding, the number of batches, and epochs one after the other."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.data.pipelines import gather_padded, padded_indices, repeat_epochs, with_cardinality


def test_ranges_are_padded_on_the_right_to_the_longest_or_a_given_width():
    indices, mask = padded_indices(np.array([3, 7]), np.array([2, 0]))
    assert indices.tolist() == [[3, 4], [-1, -1]]
    assert mask.tolist() == [[True, True], [False, False]]
    assert padded_indices(np.array([3]), np.array([1]), width=3)[0].tolist() == [[3, -1, -1]]
    assert padded_indices(np.array([3]), np.array([0]))[0].shape == (1, 1)


def test_padding_is_zero_or_an_empty_string():
    indices = np.array([[1, -1]])
    assert gather_padded(np.array([5, 6], np.float32), indices).tolist() == [[6, 0]]
    assert gather_padded(np.array([5, 6], np.float32), indices).dtype == np.float32
    assert gather_padded(np.array([b"a", b"b"], object), indices).tolist() == [[b"b", b""]]


def test_the_number_of_batches_is_declared_and_checked():
    batches = with_cardinality(tf.data.Dataset.range(3), 3)
    assert int(batches.cardinality()) == len(list(batches)) == 3
    with pytest.raises(tf.errors.FailedPreconditionError):
        list(with_cardinality(tf.data.Dataset.range(3), 2))


def test_epochs_follow_each_other_from_the_first_on():
    batches = repeat_epochs(lambda epoch: tf.data.Dataset.range(epoch * 10, epoch * 10 + 2), first=4)
    assert [int(value) for value in batches.take(5)] == [40, 41, 50, 51, 60]
