"""The synthetic sample has audible words, in voices that differ."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech import audio, sample
from tasks.speech.timing import SAMPLE_RATE


def test_voices_and_pitches_differ_and_words_take_time():
    male, female, high = (
        sample.speak("seven", voice, pitch=pitch)
        for voice, pitch in (("en-us+m3", 50), ("en-gb-x-rp+f2", 50), ("en-us+m3", 90))
    )
    for samples in (male, female, high):
        assert 0.2 * SAMPLE_RATE < len(samples) < 2 * SAMPLE_RATE
        assert 0.02 < np.std(samples) < 0.5
    assert len(male) != len(female) or not np.allclose(male, female)
    assert len(male) != len(high) or not np.allclose(male, high, atol=1e-3)
    assert len(sample.speak("one two three")) > len(sample.speak("one"))


def test_the_same_word_has_about_the_same_length():
    first, second = sample.speak("stop"), sample.speak("stop")
    assert abs(len(first) - len(second)) < 0.01 * SAMPLE_RATE  # the library varies a little


def test_an_unknown_voice_is_rejected():
    with pytest.raises(ValueError, match="no voice xx"):
        sample.speak("stop", "xx+yy")


def test_each_split_has_its_own_voices(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path)
    monkeypatch.setattr(sample, "RECORDINGS_PER_VOICE", 2)
    frames = sample.split()
    speakers = {name: set(frame["speaker"]) for name, frame in frames.items()}
    assert speakers["test"] == set(sample.TEST_VOICES)
    assert speakers["validation"] == set(sample.VALIDATION_VOICES)
    assert not speakers["train"] & (speakers["test"] | speakers["validation"])
    row = frames["test"].iloc[0]
    samples = audio.get_samples(audio.open_cache(row["cache_file"]), row["start"], row["length"])
    assert np.std(samples) > 0.01
