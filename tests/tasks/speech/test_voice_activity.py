"""Speech is found by its energy, in silence and quiet noise; silence, hum and steady noise have none."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from tasks.speech.timing import HOP_LENGTH, SAMPLE_RATE
from tasks.speech.voice_activity import HOLD_FRAMES, find_loud, find_speech, frame_energy
from tests.tasks.speech.conftest import tone

TIME = np.arange(3 * SAMPLE_RATE) / SAMPLE_RATE
NOISE = np.random.default_rng(0).normal(size=3 * SAMPLE_RATE)


def speech_of(samples, length=None):
    """Returns which frames are speech, bool `(frames,)`."""
    energy = frame_energy(np.asarray(samples, np.float32)[None])
    valid = np.arange(energy.shape[1])[None] * HOP_LENGTH < (len(samples) if length is None else length)
    return ops.convert_to_numpy(find_speech(energy, valid))[0]


def in_silence(noise_level):
    """Returns a sound from second 1 on, in silence or noise of 3 seconds, and the frames of the sound."""
    sound = tone("abc")
    samples = noise_level * NOISE
    samples[SAMPLE_RATE : SAMPLE_RATE + len(sound)] += sound
    return samples, SAMPLE_RATE // HOP_LENGTH, (SAMPLE_RATE + len(sound)) // HOP_LENGTH


@pytest.mark.parametrize("noise_level", [0.0, 1e-3, 1e-2])
def test_speech_is_found_in_silence_and_quiet_noise(noise_level):
    samples, start, end = in_silence(noise_level)
    is_speech = speech_of(samples)
    assert is_speech[start + 3 : end - 3].all()
    assert not is_speech[: start - HOLD_FRAMES - 6].any()
    assert not is_speech[end + HOLD_FRAMES + 6 :].any()


@pytest.mark.parametrize(
    "samples",
    [
        np.zeros(8000),
        1e-4 * NOISE,
        0.1 * NOISE,
        0.2 * np.sin(2 * np.pi * 50 * TIME) + 0.1 * np.sin(2 * np.pi * 150 * TIME),
    ],
)
def test_silence_hum_and_steady_noise_have_no_speech(samples):
    assert not speech_of(samples).any()


def test_gain_does_not_change_what_is_speech():
    samples, _, _ = in_silence(1e-3)
    np.testing.assert_array_equal(speech_of(samples), speech_of(0.05 * samples))


def test_what_follows_the_end_of_a_recording_does_not_count():
    samples, _, end = in_silence(1e-3)
    cut = np.where(np.arange(len(samples)) < end * HOP_LENGTH, samples, 0)
    short = speech_of(cut, length=end * HOP_LENGTH)
    assert not short[end:].any()
    np.testing.assert_array_equal(short[: end - 5], speech_of(samples[: end * HOP_LENGTH])[: end - 5])


@pytest.mark.parametrize("noise_level", [0.0, 1e-3])
def test_loud_frames_are_those_of_the_recording_without_the_silence(noise_level):
    samples, start, end = in_silence(noise_level)
    alone = loud_of(samples[start * HOP_LENGTH : end * HOP_LENGTH])
    padded = loud_of(samples)
    assert alone.any()
    assert not padded[: start - 6].any()
    assert not padded[end + 6 :].any()
    assert padded.sum() == pytest.approx(alone.sum(), abs=8)


def loud_of(samples):
    energy = frame_energy(np.asarray(samples, np.float32)[None])
    return ops.convert_to_numpy(find_loud(energy, np.ones(energy.shape, bool)))[0]
