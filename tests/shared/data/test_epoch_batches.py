"""`shared.data.epoch_batches`: a batch is what `collate` makes of the next rows of `order`, in every epoch again."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.data.epoch_batches import EVALUATION_EPOCH, EpochBatches, order_by_length


class NumberBatches(EpochBatches):
    """Batches of the numbers from 0 to 6 with their squares; a batch names the epoch that `collate` received."""

    def __init__(self, seed=3, rows=7, **options):
        scalar = tf.TensorSpec([None], tf.int64)
        spec = {"square": scalar, "number": scalar}, tf.TensorSpec([None, 1], tf.float32)
        super().__init__(spec, rows, batch_size=3, seed=seed, **options)
        self.collated = 0

    def order(self, seed, epoch):
        return np.random.default_rng((seed, epoch)).permutation(7)

    def evaluation_order(self):
        return np.arange(5)

    def collate(self, rows, epoch):
        self.collated += 1
        return {"number": rows, "square": rows**2}, np.full((len(rows), 1), epoch, np.float32)


def read(batches):
    """Returns the numbers and the epochs of batches, after checking the squares."""
    result = []
    for inputs, epoch in batches:
        np.testing.assert_array_equal(inputs["square"], inputs["number"].numpy() ** 2)
        result.append((inputs["number"].numpy().tolist(), epoch.numpy()[:, 0].tolist()))
    return result


def test_an_epoch_has_its_rows_in_order_and_the_next_epoch_follows():
    batches = NumberBatches()
    assert batches.steps == 3
    for first in (0, 5):
        result = read(batches.epochs(first).take(2 * batches.steps))
        assert [len(numbers) for numbers, _ in result] == [3, 3, 1] * 2
        for k in range(2):
            numbers = [n for part, _ in result[3 * k : 3 * k + 3] for n in part]
            assert numbers == batches.order(3, first + k).tolist()
            assert {e for _, part in result[3 * k : 3 * k + 3] for e in part} == {first + k}


def test_the_order_depends_on_seed_and_epoch_only():
    first, same, other = (read(NumberBatches(seed).epochs(1).take(3)) for seed in (3, 3, 4))
    assert first == same != other
    assert read(NumberBatches().epochs(0).skip(3).take(3)) == first


def test_evaluation_has_its_own_order_number_of_batches_and_epoch():
    batches = NumberBatches().evaluation_batches()
    assert int(batches.cardinality()) == 2
    epoch = float(EVALUATION_EPOCH)
    assert read(batches) == [([0, 1, 2], [epoch] * 3), ([3, 4], [epoch] * 2)]


@pytest.mark.parametrize(("is_cached", "expected"), [(True, 2), (False, 4)])
def test_evaluation_batches_are_cached_on_request(is_cached, expected):
    batches = NumberBatches(cache_evaluation=is_cached)
    dataset = batches.evaluation_batches()
    assert read(dataset) == read(dataset)
    assert batches.collated == expected


def test_shapes_and_dtypes_are_those_of_the_specification():
    batches = NumberBatches()
    assert batches.epochs(0).element_spec == batches.evaluation_batches().element_spec == batches.spec


def test_an_epoch_with_another_number_of_rows_raises_an_error():
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"Expected 8 rows in epoch 2\. Received: 7"):
        list(NumberBatches(rows=8).epochs(2).take(1))


@pytest.mark.parametrize(("count", "size"), [(1000, 16), (1003, 16), (960, 16), (5, 16), (16, 16)])
def test_order_by_length_contains_each_example_once_and_needs_little_padding(count, size):
    lengths = np.random.default_rng(0).integers(1, 200, count)
    order = order_by_length(lengths, size, (1, 0))
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order_by_length(lengths, size, (1, 0)), order)
    if count > 2 * size:
        assert not np.array_equal(order_by_length(lengths, size, (1, 1)), order)

        def mean_padding(indices):
            batches = indices[: count // size * size].reshape(-1, size)
            return (lengths[batches].max(axis=1, keepdims=True) - lengths[batches]).mean()

        assert mean_padding(order) < 0.35 * mean_padding(np.random.default_rng(0).permutation(count))
        maxima = lengths[order[: count // size * size].reshape(-1, size)].max(axis=1)
        assert np.abs(np.corrcoef(np.arange(len(maxima)), maxima)[0, 1]) < 0.5  # the batches are shuffled
