"""The augmentation stays within its limits, and depends only on its random number generator."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.signal import correlate

from tasks.speech.augmentation import (
    augment_recording,
    equalize,
    make_noise,
    make_recording_without_speech,
    reverberate,
)
from tasks.speech.config import AugmentConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps
from tests.tasks.speech.conftest import tone


def augmentation(**changes):
    """Returns settings with which only the named changes are made."""
    disabled = {"speed": 0.0, "volume_range": 0.0, "noise_rate": 0.0, "silence_rate": 0.0, "reverberation_rate": 0.0}
    return AugmentConfig(**(disabled | changes))


def augment(samples, settings, rng, min_steps=0):
    return augment_recording(samples, settings, rng, min_steps, lambda: tone("cb"))


def test_augmentation_stays_within_its_limits():
    samples = tone("abc")
    rng = np.random.default_rng(0)
    disabled = augmentation(speed=0, volume_range=0)
    np.testing.assert_allclose(augment(samples, disabled, rng), samples, atol=1e-6)
    speeds = []
    for _ in range(50):
        augmented = augment(samples, augmentation(speed=0.2, volume_range=6, noise_rate=0.5), rng)
        speeds.append(len(samples) / len(augmented))
        assert augmented.dtype == np.float32
        assert np.abs(augmented).max() <= 1
    assert 0.799 < min(speeds) < 0.85
    assert 1.15 < max(speeds) < 1.201
    only_volume = augmentation(volume_range=6)
    gains = [np.std(augment(samples, only_volume, rng)) / np.std(samples) for _ in range(50)]
    assert 0.5 < min(gains) < 0.7
    assert 1.5 < max(gains) < 2.0


def test_noise_has_the_requested_signal_to_noise_ratio():
    samples = tone("abc")
    settings = augmentation(noise_rate=0.999, min_snr=10)
    ratios = []
    for seed in range(60):
        augmented = augment(samples, settings, np.random.default_rng(seed))
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


def test_a_higher_speed_leaves_enough_steps_for_the_text():
    samples = tone("abc")
    min_steps = int(count_steps(len(samples)))
    for seed in range(20):
        augmented = augment(samples, augmentation(speed=0.3), np.random.default_rng(seed), min_steps)
        assert count_steps(len(augmented)) >= min_steps


def test_silence_is_added_on_both_sides_and_the_recording_stays():
    samples = tone("abc")
    added = []
    for seed in range(40):
        padded = augment(samples, augmentation(silence_rate=0.999, max_silence=0.5), np.random.default_rng(seed))
        added.append(len(padded) - len(samples))
        start = int(np.argmax(correlate(padded, samples, "valid")))
        assert np.corrcoef(padded[start : start + len(samples)], samples)[0, 1] > 0.9
    assert 0 <= min(added) < SAMPLE_RATE // 4
    assert 0.6 * SAMPLE_RATE < max(added) <= SAMPLE_RATE


@pytest.mark.parametrize("seed", range(12))
def test_noise_of_every_kind_has_the_same_power(seed):
    noise = make_noise(5000, np.random.default_rng(seed), lambda: tone("a"))
    assert np.mean(noise**2) == pytest.approx(1, rel=1e-6)
    assert np.mean(noise) == pytest.approx(0, abs=1e-6)


def test_recordings_without_speech_are_silent_or_noise_of_any_loudness():
    rng = np.random.default_rng(0)
    loudness = [np.std(make_recording_without_speech(3000, rng, lambda: tone("a"))) for _ in range(100)]
    assert 5 < sum(value == 0 for value in loudness) < 30
    assert max(loudness) > 0.1
    assert min(value for value in loudness if value) < 1e-3


def test_a_room_keeps_the_length_and_adds_an_echo():
    click = np.zeros(8000, np.float32)
    click[100] = 0.5
    echo = reverberate(click, np.random.default_rng(0))
    assert len(echo) == len(click)
    assert not echo[:90].any() or np.abs(echo[:90]).max() < 1e-6
    assert echo[100] == pytest.approx(0.5, abs=1e-6)
    assert np.abs(echo[101:1500]).max() > 1e-3
    assert np.abs(echo[101:600]).mean() > np.abs(echo[1100:1600]).mean()


def test_the_same_generator_gives_the_same_recording():
    settings = AugmentConfig(noise_rate=0.9, silence_rate=0.9, reverberation_rate=0.9)
    one, two = (augment(tone("abc"), settings, np.random.default_rng(7)) for _ in range(2))
    np.testing.assert_array_equal(one, two)
