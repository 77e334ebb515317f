"""Batches depend only on the seed and the epoch, and augmentation stays within its limits."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.batches import RecordingBatches, augment_recording, equalize, pad_rows
from tasks.speech.config import AugmentConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps
from tests.tasks.speech.conftest import ALPHABET, tone


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


def test_augmentation_stays_within_its_limits():
    samples = tone("abc")
    rng = np.random.default_rng(0)
    disabled = AugmentConfig(speed=0, volume_range=0, noise_rate=0)
    np.testing.assert_allclose(augment_recording(samples, disabled, rng), samples, atol=1e-6)
    speeds = []
    for _ in range(50):
        augmented = augment_recording(samples, AugmentConfig(speed=0.2, volume_range=6, noise_rate=0.5), rng)
        speeds.append(len(samples) / len(augmented))
        assert augmented.dtype == np.float32
        assert np.abs(augmented).max() <= 1
    assert 0.799 < min(speeds) < 0.85
    assert 1.15 < max(speeds) < 1.201
    only_volume = AugmentConfig(speed=0, volume_range=6, noise_rate=0)
    gains = [np.std(augment_recording(samples, only_volume, rng)) / np.std(samples) for _ in range(50)]
    assert 0.5 < min(gains) < 0.7
    assert 1.5 < max(gains) < 2.0


def test_noise_has_the_requested_signal_to_noise_ratio():
    samples = tone("abc")
    augment = AugmentConfig(speed=0, volume_range=0, noise_rate=0.999, min_snr=10)
    ratios = []
    for seed in range(60):
        augmented = augment_recording(samples, augment, np.random.default_rng(seed))
        ratios.append(10 * np.log10(np.mean(samples**2) / np.mean((augmented - samples) ** 2)))
    assert 9 < min(ratios) < 15
    assert 35 < max(ratios) < 41


def test_the_equalizer_has_an_independent_gain_for_each_octave():
    """White noise shows the gains, at the octaves themselves, where the gain is not interpolated."""
    samples = np.random.default_rng(0).normal(0, 0.05, 8 * SAMPLE_RATE).astype(np.float32)
    before = np.fft.rfft(samples)
    gains = []
    for seed in range(100):
        equalized = equalize(samples, 6.0, np.random.default_rng(seed))
        ratio = np.abs(np.fft.rfft(equalized)) / np.abs(before)
        gains.append([20 * np.log10(ratio[int(8 * 62.5 * 2**octave)]) for octave in range(7)])
        assert equalized.dtype == np.float32
    assert np.abs(np.mean(gains, axis=0)).max() < 2.5
    np.testing.assert_allclose(np.std(gains, axis=0), 6, atol=2)
    assert np.abs(np.corrcoef(np.transpose(gains)) - np.eye(7)).max() < 0.5


def test_the_order_of_the_random_numbers_is_fixed():
    """Published results depend on it: speed, volume, whether there is noise, its ratio, its color, and the noise. A disabled
    equalizer uses no random number."""
    samples = tone("abc")
    rng = np.random.default_rng(4)
    _, volume, noise_draw, ratio, color_draw = rng.uniform(-1, 1), rng.uniform(-6, 6), *(rng.random() for _ in range(3))
    noise = rng.normal(size=len(samples))
    assert noise_draw < 0.999
    assert color_draw >= 0.3
    scaled = samples * 10 ** (volume / 20)
    noise = noise - noise.mean()
    factor = np.mean(scaled**2) / np.mean(noise**2) * 10 ** (-(10 + 30 * ratio) / 10)
    augment = AugmentConfig(speed=0, volume_range=6, noise_rate=0.999, min_snr=10)
    augmented = augment_recording(samples, augment, np.random.default_rng(4))
    np.testing.assert_allclose(augmented, scaled + noise * np.sqrt(factor), atol=1e-5)
    equalizer = AugmentConfig(speed=0, volume_range=0, noise_rate=0, equalizer=6)
    equalized = augment_recording(samples, equalizer, np.random.default_rng(4))
    assert np.abs(equalized - samples).max() > 0.01


def test_a_higher_speed_leaves_enough_steps_for_the_text():
    samples = tone("abc")
    min_steps = int(count_steps(len(samples)))
    for seed in range(20):
        augmented = augment_recording(samples, AugmentConfig(speed=0.3), np.random.default_rng(seed), min_steps)
        assert count_steps(len(augmented)) >= min_steps


@pytest.mark.parametrize("rows", [[np.arange(3), np.arange(5)], [np.zeros(0), np.arange(2)]])
def test_rows_are_padded_on_the_right(rows):
    padded, lengths = pad_rows(rows, np.float32)
    assert lengths.tolist() == [len(row) for row in rows]
    for line, row in zip(padded, rows, strict=True):
        np.testing.assert_array_equal(line[: len(row)], row)
        assert not line[len(row) :].any()
