"""Splits share no group and no future; batches are a pure function of (seed, epoch)."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest

from shared.pipelines import ContiguousBatches, SequenceBatches, order_by_length, split_by_group, split_by_time, windows


def sequences(count: int = 50) -> list[np.ndarray]:
    rng = np.random.default_rng(1)
    return [rng.integers(1, 99, rng.integers(1, 40)) for _ in range(count)]


def epoch(batches: SequenceBatches, first: int) -> list[tuple[np.ndarray, np.ndarray]]:
    return [(x.numpy(), y.numpy()) for x, y in batches.epochs(first).take(batches.steps)]


def test_a_group_stands_on_one_side_and_the_share_is_about_right():
    groups = [f"film {k // 7}" for k in range(700)]
    chosen = split_by_group(groups, 0.2, seed=0)
    left, right = ({g for g, c in zip(groups, chosen, strict=True) if c is side} for side in (np.True_, np.False_))
    assert not {str(g) for g in left} & {str(g) for g in right}
    assert 0.15 < chosen.mean() < 0.25
    np.testing.assert_array_equal(chosen, split_by_group(groups, 0.2, seed=0))
    assert (chosen != split_by_group(groups, 0.2, seed=1)).any()


def test_a_split_needs_two_groups():
    with pytest.raises(ValueError, match="two groups"):
        split_by_group(["a", "a"], 0.5, seed=0)


def test_a_split_by_time_puts_every_later_row_after_every_earlier_one_with_an_embargo():
    days = pd.Series(pd.date_range("2020-01-01", periods=100)).sample(frac=1, random_state=0)
    earlier, later = split_by_time(days, 0.2, embargo=pd.Timedelta(days=5))
    assert days[later].min() - days[earlier].max() >= pd.Timedelta(days=5)
    assert later.sum() == 20
    assert earlier.sum() == 76


def test_rows_of_one_moment_stay_on_one_side():
    earlier, later = split_by_time([1, 1, 1, 2, 2, 2, 2, 2], 0.25)
    assert earlier.tolist() == [True] * 3 + [False] * 5
    assert (earlier | later).all()
    with pytest.raises(ValueError, match="more than one moment"):
        split_by_time([1, 1], 0.5)


def test_windows_slide_over_the_series_in_order():
    found = [w.tolist() for w in windows(np.arange(7), length=3, stride=2).as_numpy_iterator()]
    assert found == [[0, 1, 2], [2, 3, 4], [4, 5, 6]]
    with pytest.raises(ValueError, match="length=8"):
        windows(np.arange(7), length=8)


def test_an_epoch_holds_each_example_once_and_its_batches_can_be_counted():
    given = sequences()
    batches = SequenceBatches(given, np.arange(len(given)), batch_size=8, seed=5)
    for number in (0, 3):
        rows = [(label, x[x > 0]) for xs, labels in epoch(batches, number) for x, label in zip(xs, labels, strict=True)]
        assert sorted(label for label, _ in rows) == list(range(len(given)))
        for label, x in rows:
            np.testing.assert_array_equal(x, given[label])


def test_the_order_depends_on_seed_and_epoch_alone():
    def labels(seed: int, first: int) -> list[int]:
        batches = SequenceBatches(sequences(), np.arange(50), batch_size=8, seed=seed, crop=10, replacement_rate=0.2)
        return [int(label) for x, y in epoch(batches, first) for label in y]

    batches = SequenceBatches(sequences(), np.arange(50), batch_size=8, seed=5, crop=10, replacement_rate=0.2)
    later = list(batches.epochs(0).skip(2 * batches.steps).take(batches.steps).as_numpy_iterator())
    for (x, y), (x_resumed, y_resumed) in zip(later, epoch(batches, 2), strict=True):
        np.testing.assert_array_equal(x, x_resumed)
        np.testing.assert_array_equal(y, y_resumed)
    assert labels(5, 0) != labels(5, 1)
    assert labels(5, 0) != labels(6, 0)


def test_buckets_keep_padding_low():
    given = sequences(400)
    batches = SequenceBatches(given, np.zeros(400), batch_size=8)
    padded = sum(x.size for x, _ in epoch(batches, 0))
    in_one_bucket = 400 * max(map(len, given))
    assert padded < 1.25 * sum(map(len, given)) < in_one_bucket


def test_a_crop_is_a_stretch_of_the_sequence_and_replacement_hits_the_share():
    given = [np.arange(10, 210)] * 64
    batches = SequenceBatches(given, np.zeros(64), batch_size=64, crop=50, replacement_rate=0.25, replacement_id=1)
    (first, _), (second, _) = epoch(batches, 0)[0], epoch(batches, 1)[0]
    assert first.shape == (64, 50)
    for row in first:
        steps = row[row != 1] - np.flatnonzero(row != 1)
        assert len(set(steps)) == 1
    assert 0.2 < (first == 1).mean() < 0.3
    assert (first != second).any()


def test_validation_is_whole_and_the_same_each_time():
    batches = SequenceBatches(sequences(), np.arange(50), batch_size=8, crop=3, replacement_rate=0.5)
    rows = {int(y): x[x > 0] for xs, ys in batches.evaluation_batches() for x, y in zip(xs.numpy(), ys.numpy(), strict=True)}
    for label, sequence in enumerate(sequences()):
        np.testing.assert_array_equal(rows[label], sequence)


def test_an_empty_sequence_is_refused():
    with pytest.raises(ValueError, match="at least one step"):
        SequenceBatches([np.array([], int)], np.array([0]), batch_size=1)


def contiguous(batches: ContiguousBatches, first: int = 0) -> list[tuple[np.ndarray, np.ndarray]]:
    taken = batches.epochs(first).take(batches.steps)
    return [(x["token_ids"].numpy(), x["is_continued"].numpy()) for x, _ in taken]


def test_each_row_goes_on_where_it_has_ended():
    batches = ContiguousBatches(np.arange(1000), 4, 9, seed=1)
    found = contiguous(batches)
    assert len(found) == batches.steps == 27
    assert [float(is_continued[0]) for _, is_continued in found] == [0.0] + [1.0] * 26
    for (before, _), (after, _) in pairwise(found):
        np.testing.assert_array_equal(after[:, 0], before[:, -1])
    rows = np.concatenate([numbers[:, :-1] for numbers, _ in found], axis=1)
    np.testing.assert_array_equal(np.diff(rows, axis=1) % 1000, 1)
    assert len(np.unique(rows)) == rows.size == 4 * 27 * 9  # nothing twice


def test_rows_begin_elsewhere_each_epoch_by_the_seed_alone():
    def first(seed: int | None, epoch: int) -> np.ndarray:
        return contiguous(ContiguousBatches(np.arange(1000), 4, 9, seed), epoch)[0][0]

    np.testing.assert_array_equal(first(1, 3), first(1, 3))
    assert (first(1, 3) != first(1, 4)).any()
    assert (first(1, 3) != first(2, 3)).any()
    np.testing.assert_array_equal(first(None, 5)[:, 0], 27 * 9 * np.arange(4))


def test_validation_holds_one_epoch():
    batches = ContiguousBatches(np.arange(1000), 4, 9, seed=None)
    assert len(list(batches.evaluation_batches())) == batches.steps
    assert int(batches.evaluation_batches().cardinality()) == batches.steps


def test_a_stream_shorter_than_a_batch_is_refused():
    with pytest.raises(ValueError, match="Received: 36"):
        ContiguousBatches(np.arange(36), 4, 9)
    assert ContiguousBatches(np.arange(37), 4, 9).steps == 1


@pytest.mark.parametrize(("count", "size"), [(1000, 16), (1003, 16), (960, 16), (5, 16), (16, 16)])
def test_an_order_by_length_holds_each_example_once_and_pads_little(count, size):
    lengths = np.random.default_rng(0).integers(1, 200, count)
    order = order_by_length(lengths, size, (1, 0))
    assert sorted(order) == list(range(count))
    np.testing.assert_array_equal(order_by_length(lengths, size, (1, 0)), order)
    if count > 2 * size:
        assert not np.array_equal(order_by_length(lengths, size, (1, 1)), order)

        def padded(chosen):
            whole = chosen[: count // size * size].reshape(-1, size)
            return (lengths[whole].max(axis=1, keepdims=True) - lengths[whole]).mean()

        assert padded(order) < 0.35 * padded(np.random.default_rng(0).permutation(count))
        maxima = lengths[order[: count // size * size].reshape(-1, size)].max(axis=1)
        assert np.abs(np.corrcoef(np.arange(len(maxima)), maxima)[0, 1]) < 0.5  # the batches are shuffled
