"""The features are librosa's."""

from __future__ import annotations

import librosa
import numpy as np
import pytest
from keras import ops

from tasks.speech.config import FeatureConfig
from tasks.speech.features import FLOOR, HOP, RATE, WIDTH, levelled, log_mel, mel_layer


@pytest.mark.parametrize("config", [FeatureConfig(), FeatureConfig(mels=40, lowest=50, highest=8000)])
def test_log_mel_equals_librosa(config):
    rng = np.random.default_rng(0)
    time = np.arange(RATE) / RATE
    samples = (0.4 * np.sin(2 * np.pi * 300 * time * (1 + time)) + rng.normal(0, 0.02, RATE)).astype(np.float32)
    expected = librosa.feature.melspectrogram(
        y=samples, sr=RATE, n_fft=WIDTH, hop_length=HOP, center=False,
        n_mels=config.mels, fmin=config.lowest, fmax=config.highest,
    )  # fmt: skip
    found = ops.convert_to_numpy(log_mel(samples[None], mel_layer(config)))[0]
    np.testing.assert_allclose(found, np.log(expected + FLOOR).T, atol=1e-4)


def test_silence_is_a_finite_number():
    found = ops.convert_to_numpy(log_mel(np.zeros((1, WIDTH), np.float32), mel_layer(FeatureConfig())))
    np.testing.assert_allclose(found, np.log(FLOOR), rtol=1e-5)


def test_levelled_utterances_have_one_loudness_whatever_lies_behind_their_end():
    sound = np.random.default_rng(0).normal(0, 1, 700).astype(np.float32)
    rows = np.zeros((3, 1000), np.float32)
    for row, gain, offset in zip(rows[:2], (0.002, 0.4), (0.001, -0.3), strict=True):
        row[:700] = gain * sound + offset
    found = ops.convert_to_numpy(levelled(rows, np.array([700, 700, 0], np.int32)))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
    assert found[:, :700].mean() == pytest.approx(0, abs=1e-6)
    assert not found[:, 700:].any()
    assert np.sqrt(np.mean(found[0, :700] ** 2)) == pytest.approx(0.1, rel=1e-4)
    assert not found[2].any()


def test_what_is_all_but_silent_is_not_blown_up():
    faint = np.tile(np.array([1e-6, -1e-6], np.float32), 50)[None]
    found = ops.convert_to_numpy(levelled(faint, np.array([100], np.int32)))
    np.testing.assert_allclose(np.abs(found), 1e-3, rtol=1e-4)
