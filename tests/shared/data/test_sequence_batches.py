"""`shared.data.sequence_batches`: batches depend only on the seed and the epoch, and need little padding."""

from __future__ import annotations

import numpy as np
import pytest

from shared.data.sequence_batches import SequenceBatches


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
