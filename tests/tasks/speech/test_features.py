"""The features are equal to those of librosa."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from keras import ops

from tasks.speech.config import FeaturesConfig
from tasks.speech.features import (
    FRAME_LENGTH,
    HOP_LENGTH,
    POWER_FLOOR,
    SAMPLE_RATE,
    SILENCE,
    is_valid_frame,
    log_mel,
    mel_layer,
    normalize_rms,
    speech_statistics,
    standardize,
)


@pytest.mark.parametrize(
    "config", [FeaturesConfig(), FeaturesConfig(mel_bands=40, min_frequency=50, max_frequency=8000)]
)
def test_log_mel_equals_librosa(config):
    rng = np.random.default_rng(0)
    time = np.arange(SAMPLE_RATE) / SAMPLE_RATE
    tone = 0.4 * np.sin(2 * np.pi * 300 * time * (1 + time))
    samples = (tone + rng.normal(0, 0.02, SAMPLE_RATE)).astype(np.float32)
    expected = librosa.feature.melspectrogram(
        y=samples, sr=SAMPLE_RATE, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, center=False,
        n_mels=config.mel_bands, fmin=config.min_frequency, fmax=config.max_frequency,
    )  # fmt: skip
    features = ops.convert_to_numpy(log_mel(samples[None], mel_layer(config)))[0]
    np.testing.assert_allclose(features, np.log(expected + POWER_FLOOR).T, atol=1e-4)


def test_silence_gives_a_finite_number():
    silence = np.zeros((1, FRAME_LENGTH), np.float32)
    features = ops.convert_to_numpy(log_mel(silence, mel_layer(FeaturesConfig())))
    np.testing.assert_allclose(features, np.log(POWER_FLOOR), rtol=1e-5)


def test_rms_normalization_removes_gain_and_offset_and_measures_only_speech():
    sound = np.random.default_rng(0).normal(0, 1, 6400).astype(np.float32)
    rows = np.zeros((3, 16000), np.float32)
    for row, gain, offset in zip(rows[:2], (0.002, 0.4), (0.001, -0.3), strict=True):
        row[:6400] = gain * sound + offset
    is_speech = np.zeros((3, 97), bool)
    is_speech[:2, :36] = True  # frames within the sound
    normalized = ops.convert_to_numpy(normalize_rms(rows, is_speech))
    np.testing.assert_allclose(normalized[0, :6400], normalized[1, :6400], atol=1e-4)
    assert np.sqrt(np.mean(normalized[0, :5600] ** 2)) == pytest.approx(0.1, rel=0.05)
    assert not normalized[2].any()


def test_near_silence_is_amplified_only_a_thousandfold():
    samples = np.tile(np.array([1e-6, -1e-6], np.float32), 400)[None]
    normalized = ops.convert_to_numpy(normalize_rms(samples, np.ones((1, 2), bool)))
    np.testing.assert_allclose(np.abs(normalized), 1e-3, rtol=1e-4)


def test_the_statistics_are_those_of_the_speech():
    frames = np.random.default_rng(0).normal(3, 2, (2, 50, 4)).astype(np.float32)
    is_speech = np.zeros((2, 50), bool)
    is_speech[0, 10:30] = True
    mean, deviation = (ops.convert_to_numpy(values) for values in speech_statistics(frames, is_speech))
    np.testing.assert_allclose(mean[0, 0], frames[0, 10:30].mean(axis=0), rtol=1e-5)
    np.testing.assert_allclose(deviation[0, 0], frames[0, 10:30].std(axis=0), rtol=1e-5)
    standardized = ops.convert_to_numpy(standardize(frames, mean, deviation))
    assert np.isfinite(standardized).all()
    assert standardized.min() >= SILENCE


def test_frames_that_start_after_the_end_are_not_valid():
    frames = np.zeros((2, 5, 3), np.float32)
    valid = ops.convert_to_numpy(is_valid_frame(frames, np.array([161, 0], np.int32)))
    assert valid.tolist() == [[True, True, False, False, False], [False] * 5]
