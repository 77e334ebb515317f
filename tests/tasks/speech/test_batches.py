"""Batches hang on (seed, epoch) alone, and a changed recording is still the recording."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.batches import RecordingBatches, changed, equalized, padded
from tasks.speech.config import AugmentConfig
from tasks.speech.features import RATE
from tasks.speech.model import steps_of
from tests.tasks.speech.conftest import ALPHABET, tone


def batches_of(spoken, seed=1, augment=None):
    return RecordingBatches(spoken, ALPHABET, 8, seed, augment)


def taken(dataset, count):
    return [{name: value.numpy() for name, value in batch.items()} for batch, _ in dataset.take(count)]


def test_an_epoch_holds_every_recording_once(spoken):
    batches = batches_of(spoken)
    found = taken(batches.epochs(0), batches.steps)
    said = sorted(
        tuple(row[:n]) for batch in found for row, n in zip(batch["labels"], batch["label_length"], strict=True)
    )
    assert said == sorted(tuple(ALPHABET.index(sign) + 1 for sign in text) for text in spoken["text"])
    assert all(
        np.all(row[n:] == 0) for batch in found for row, n in zip(batch["samples"], batch["length"], strict=True)
    )


def test_the_same_epoch_is_the_same_and_another_is_not(spoken):
    augment = AugmentConfig(noise=0.9)
    first, again, other = (
        taken(batches_of(spoken, seed, augment).epochs(epoch), 5) for seed, epoch in ((1, 3), (1, 3), (1, 4))
    )
    for one, two in zip(first, again, strict=True):
        np.testing.assert_array_equal(one["samples"], two["samples"])
    assert any(
        a["samples"].shape != b["samples"].shape or not np.array_equal(a["samples"], b["samples"])
        for a, b in zip(first, other, strict=True)
    )
    later = taken(batches_of(spoken, 1, augment).epochs(2).skip(5), 5)
    for one, two in zip(first, later, strict=True):
        np.testing.assert_array_equal(one["samples"], two["samples"])


def test_validation_is_unchanged_and_of_like_length(spoken):
    batches = batches_of(spoken, augment=AugmentConfig())
    found = taken(batches.evaluation_batches(), batches.steps)
    lengths = np.concatenate([batch["length"] for batch in found])
    np.testing.assert_array_equal(lengths, np.sort(spoken["length"]))


def test_changes_stay_within_what_is_asked():
    samples = tone("abc")
    rng = np.random.default_rng(0)
    none = AugmentConfig(speed=0, volume=0, noise=0)
    np.testing.assert_allclose(changed(samples, none, rng), samples, atol=1e-6)
    speeds = []
    for _ in range(50):
        found = changed(samples, AugmentConfig(speed=0.2, volume=6, noise=0.5), rng)
        speeds.append(len(samples) / len(found))
        assert found.dtype == np.float32
        assert np.abs(found).max() <= 1
    assert 0.799 < min(speeds) < 0.85
    assert 1.15 < max(speeds) < 1.201
    loud = [
        np.std(changed(samples, AugmentConfig(speed=0, volume=6, noise=0), rng)) / np.std(samples) for _ in range(50)
    ]
    assert 0.5 < min(loud) < 0.7
    assert 1.5 < max(loud) < 2.0


def test_noise_has_the_ratio_asked_for():
    samples = tone("abc")
    ratios = []
    for seed in range(60):
        found = changed(
            samples, AugmentConfig(speed=0, volume=0, noise=0.999, quietest=10), np.random.default_rng(seed)
        )
        ratios.append(10 * np.log10(np.mean(samples**2) / np.mean((found - samples) ** 2)))
    assert 9 < min(ratios) < 15
    assert 35 < max(ratios) < 41


def test_an_equalizer_draws_a_gain_for_each_octave():
    """Of noise that is even over frequency, at the octaves themselves, where no line between two gains counts."""
    samples = np.random.default_rng(0).normal(0, 0.05, 8 * RATE).astype(np.float32)
    before = np.fft.rfft(samples)
    gains = []
    for seed in range(100):
        found = equalized(samples, 6.0, np.random.default_rng(seed))
        ratio = np.abs(np.fft.rfft(found)) / np.abs(before)
        gains.append([20 * np.log10(ratio[int(8 * 62.5 * 2**octave)]) for octave in range(7)])
        assert found.dtype == np.float32
    assert np.abs(np.mean(gains, axis=0)).max() < 2.5
    np.testing.assert_allclose(np.std(gains, axis=0), 6, atol=2)
    assert np.abs(np.corrcoef(np.transpose(gains)) - np.eye(7)).max() < 0.5


def test_without_an_equalizer_recordings_change_as_they_did_before_there_was_one():
    """Published figures hang on it: nothing is drawn for what is not asked for. Speed, volume, the coin for noise, its ratio, the
    coin for its colour, and the noise, in this order."""
    samples = tone("abc")
    rng = np.random.default_rng(4)
    _, volume, coin, ratio, colour = rng.uniform(-1, 1), rng.uniform(-6, 6), *(rng.random() for _ in range(3))
    noise = rng.normal(size=len(samples))
    assert coin < 0.999
    assert colour >= 0.3
    louder = samples * 10 ** (volume / 20)
    noise = noise - noise.mean()
    share = np.mean(louder**2) / np.mean(noise**2) * 10 ** (-(10 + 30 * ratio) / 10)
    found = changed(samples, AugmentConfig(speed=0, volume=6, noise=0.999, quietest=10), np.random.default_rng(4))
    np.testing.assert_allclose(found, louder + noise * np.sqrt(share), atol=1e-5)
    other = changed(samples, AugmentConfig(speed=0, volume=0, noise=0, equalizer=6), np.random.default_rng(4))
    assert np.abs(other - samples).max() > 0.01


def test_faster_never_leaves_too_few_steps_for_the_text():
    samples = tone("abc")
    fewest = int(steps_of(len(samples)))
    for seed in range(20):
        found = changed(samples, AugmentConfig(speed=0.3), np.random.default_rng(seed), fewest)
        assert steps_of(len(found)) >= fewest


@pytest.mark.parametrize("rows", [[np.arange(3), np.arange(5)], [np.zeros(0), np.arange(2)]])
def test_rows_are_padded_on_the_right(rows):
    table, lengths = padded(rows, np.float32)
    assert lengths.tolist() == [len(row) for row in rows]
    for line, row in zip(table, rows, strict=True):
        np.testing.assert_array_equal(line[: len(row)], row)
        assert not line[len(row) :].any()
