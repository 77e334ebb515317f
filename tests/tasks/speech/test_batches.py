"""Batches depend only on the seed and the epoch."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.batches import RecordingBatches, pad_rows
from tasks.speech.config import AugmentConfig
from tests.tasks.speech.conftest import ALPHABET


def make_batches(recordings, seed=1, augment=None):
    return RecordingBatches(recordings, ALPHABET, 8, seed, augment)


def first_batches(dataset, count):
    return [{name: value.numpy() for name, value in batch.items()} for batch, _ in dataset.take(count)]


def test_an_epoch_has_every_recording_once(recordings):
    batches = make_batches(recordings)
    epoch = first_batches(batches.epochs(0), batches.steps)
    labels = sorted(
        tuple(row[:n]) for batch in epoch for row, n in zip(batch["labels"], batch["label_length"], strict=True)
    )
    assert labels == sorted(tuple(ALPHABET.index(letter) + 1 for letter in text) for text in recordings["text"])
    assert all(
        np.all(row[n:] == 0) for batch in epoch for row, n in zip(batch["samples"], batch["length"], strict=True)
    )


def test_an_epoch_depends_only_on_the_seed_and_its_number(recordings):
    augment = AugmentConfig(noise_rate=0.9)
    first, same, other = (
        first_batches(make_batches(recordings, seed, augment).epochs(epoch), 5)
        for seed, epoch in ((1, 3), (1, 3), (1, 4))
    )
    for one, two in zip(first, same, strict=True):
        np.testing.assert_array_equal(one["samples"], two["samples"])
    assert any(
        a["samples"].shape != b["samples"].shape or not np.array_equal(a["samples"], b["samples"])
        for a, b in zip(first, other, strict=True)
    )
    later = first_batches(make_batches(recordings, 1, augment).epochs(2).skip(5), 5)
    for one, two in zip(first, later, strict=True):
        np.testing.assert_array_equal(one["samples"], two["samples"])


def test_evaluation_batches_are_sorted_by_length_and_not_augmented(recordings):
    batches = make_batches(recordings, augment=AugmentConfig())
    epoch = first_batches(batches.evaluation_batches(), batches.steps)
    lengths = np.concatenate([batch["length"] for batch in epoch])
    np.testing.assert_array_equal(lengths, np.sort(recordings["length"]))


def test_some_recordings_become_noise_without_text(recordings):
    augment = AugmentConfig(noise_only_rate=0.5)
    batches = make_batches(recordings, augment=augment)
    lengths = np.concatenate([batch["label_length"] for batch in first_batches(batches.epochs(0), batches.steps)])
    assert 0.3 < np.mean(lengths == 0) < 0.7
    clean = make_batches(recordings, augment=AugmentConfig(noise_only_rate=0))
    assert all((batch["label_length"] > 0).all() for batch in first_batches(clean.epochs(0), clean.steps))


@pytest.mark.parametrize("rows", [[np.arange(3), np.arange(5)], [np.zeros(0), np.arange(2)]])
def test_rows_are_padded_on_the_right(rows):
    padded, lengths = pad_rows(rows, np.float32)
    assert lengths.tolist() == [len(row) for row in rows]
    for line, row in zip(padded, rows, strict=True):
        np.testing.assert_array_equal(line[: len(row)], row)
        assert not line[len(row) :].any()
