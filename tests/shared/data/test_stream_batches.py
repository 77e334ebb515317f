"""`shared.data.stream_batches`: each row continues the row of the batch before; epochs begin at different places."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from shared.data.stream_batches import ContiguousBatches


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
