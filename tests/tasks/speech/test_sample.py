"""The synthetic sample speaks, in voices that differ."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech import audio, sample
from tasks.speech.features import RATE


def test_words_take_time_and_voices_differ():
    one, other, high = (
        sample.speak("seven", voice, pitch=pitch)
        for voice, pitch in (("en-us+m3", 50), ("en-gb-x-rp+f2", 50), ("en-us+m3", 90))
    )
    for sound in (one, other, high):
        assert 0.2 * RATE < len(sound) < 2 * RATE
        assert 0.02 < np.std(sound) < 0.5
    assert len(one) != len(other) or not np.allclose(one, other)
    assert len(one) != len(high) or not np.allclose(one, high, atol=1e-3)
    assert len(sample.speak("one two three")) > len(sample.speak("one"))


def test_the_same_words_are_spoken_alike():
    one, other = sample.speak("stop"), sample.speak("stop")
    assert abs(len(one) - len(other)) < 0.01 * RATE  # the library itself varies a little


def test_a_voice_that_is_not_there_is_refused():
    with pytest.raises(ValueError, match="no voice xx"):
        sample.speak("stop", "xx+yy")


def test_whole_voices_are_kept_apart(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path)
    monkeypatch.setattr(sample, "EACH", 2)
    parts = sample.split()
    speakers = {name: set(part["speaker"]) for name, part in parts.items()}
    assert speakers["test"] == set(sample.JUDGING)
    assert speakers["validation"] == set(sample.CHOOSING)
    assert not speakers["train"] & (speakers["test"] | speakers["validation"])
    row = parts["test"].iloc[0]
    samples = audio.samples_of(audio.opened(row["store"]), row["start"], row["length"])
    assert np.std(samples) > 0.01
