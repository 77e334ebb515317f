"""Batches depend only on the seed and the epoch."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from shared.data.pipelines import (
    ContiguousBatches,
    SequenceBatches,
    order_by_length,
)


def random_sequences(count: int = 50) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(1, 99, rng.integers(1, 40)) for _ in range(count)]


def read_epoch(batches: SequenceBatches, first: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.numpy(), y.numpy()) for x, y in batches.epochs(first).take(batches.steps)]


def test_epoch_contains_each_example_once_in_the_stated_number_of_batches():
    examples = random_sequences()
    batches = SequenceBatches(examples, np.arange(len(examples)), batch_size=8, seed=5)
    for epoch in (0, 3):
        rows = [
            (label, x[x > 0]) for xs, labels in read_epoch(batches, epoch) for x, label in zip(xs, labels, strict=True)
        ]
        assert sorted(label for label, _ in rows) == list(range(len(examples)))
        for label, x in rows:
            np.testing.assert_array_equal(x, examples[label])


def test_epoch_order_depends_only_on_seed_and_epoch():
    def labels(seed: int, first: int) -> list[int]:
        batches = SequenceBatches(
            random_sequences(), np.arange(50), batch_size=8, seed=seed, crop_length=10, replacement_rate=0.2
        )
        return [int(label) for x, y in read_epoch(batches, first) for label in y]

    batches = SequenceBatches(
        random_sequences(), np.arange(50), batch_size=8, seed=5, crop_length=10, replacement_rate=0.2
    )
    third_epoch = list(batches.epochs(0).skip(2 * batches.steps).take(batches.steps).as_numpy_iterator())
    for (x, y), (x_resumed, y_resumed) in zip(third_epoch, read_epoch(batches, 2), strict=True):
        np.testing.assert_array_equal(x, x_resumed)
        np.testing.assert_array_equal(y, y_resumed)
    assert labels(5, 0) != labels(5, 1)
    assert labels(5, 0) != labels(6, 0)


def test_buckets_need_little_padding():
    examples = random_sequences(400)
    batches = SequenceBatches(examples, np.zeros(400), batch_size=8)
    padded_steps = sum(x.size for x, _ in read_epoch(batches, 0))
    steps_in_one_bucket = 400 * max(map(len, examples))
    assert padded_steps < 1.25 * sum(map(len, examples)) < steps_in_one_bucket


def test_crop_is_a_contiguous_part_and_the_replacement_rate_is_met():
    examples = [np.arange(10, 210)] * 64
    batches = SequenceBatches(
        examples, np.zeros(64), batch_size=64, crop_length=50, replacement_rate=0.25, replacement_id=1
    )
    (first, _), (second, _) = read_epoch(batches, 0)[0], read_epoch(batches, 1)[0]
    assert first.shape == (64, 50)
    for row in first:
        offsets = row[row != 1] - np.flatnonzero(row != 1)
        assert len(set(offsets)) == 1
    assert 0.2 < (first == 1).mean() < 0.3
    assert (first != second).any()


def test_evaluation_batches_have_no_crops_and_no_replacements():
    batches = SequenceBatches(random_sequences(), np.arange(50), batch_size=8, crop_length=3, replacement_rate=0.5)
    rows = {
        int(y): x[x > 0] for xs, ys in batches.evaluation_batches() for x, y in zip(xs.numpy(), ys.numpy(), strict=True)
    }
    for label, sequence in enumerate(random_sequences()):
        np.testing.assert_array_equal(rows[label], sequence)


def test_empty_sequence_raises_an_error():
    with pytest.raises(ValueError, match="at least one time step in each sequence"):
        SequenceBatches([np.array([], int)], np.array([0]), batch_size=1)


def read_contiguous(batches: ContiguousBatches, first: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    epoch = batches.epochs(first).take(batches.steps)
    return [(x["token_ids"].numpy(), x["is_continued"].numpy()) for x, _ in epoch]


def test_each_row_continues_the_same_row_of_the_previous_batch():
    batches = ContiguousBatches(np.arange(1000), 4, 9, seed=1)
    epoch = read_contiguous(batches)
    assert len(epoch) == batches.steps == 27
    assert [float(is_continued[0]) for _, is_continued in epoch] == [0.0] + [1.0] * 26
    for (before, _), (after, _) in pairwise(epoch):
        np.testing.assert_array_equal(after[:, 0], before[:, -1])
    rows = np.concatenate([token_ids[:, :-1] for token_ids, _ in epoch], axis=1)
    np.testing.assert_array_equal(np.diff(rows, axis=1) % 1000, 1)
    assert len(np.unique(rows)) == rows.size == 4 * 27 * 9  # no position occurs twice


def test_beginning_of_the_rows_depends_only_on_seed_and_epoch():
    def first_batch(seed: int | None, epoch: int) -> np.ndarray:
        return read_contiguous(ContiguousBatches(np.arange(1000), 4, 9, seed), epoch)[0][0]

    np.testing.assert_array_equal(first_batch(1, 3), first_batch(1, 3))
    assert (first_batch(1, 3) != first_batch(1, 4)).any()
    assert (first_batch(1, 3) != first_batch(2, 3)).any()
    np.testing.assert_array_equal(first_batch(None, 5)[:, 0], 27 * 9 * np.arange(4))


def test_evaluation_batches_contain_one_epoch():
    batches = ContiguousBatches(np.arange(1000), 4, 9, seed=None)
    assert len(list(batches.evaluation_batches())) == batches.steps
    assert int(batches.evaluation_batches().cardinality()) == batches.steps


def test_stream_shorter_than_a_batch_raises_an_error():
    with pytest.raises(ValueError, match="Received: 36"):
        ContiguousBatches(np.arange(36), 4, 9)
    assert ContiguousBatches(np.arange(37), 4, 9).steps == 1


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
