"""The digits of a sentence are cut out where they are said, and one manifest tells those of both corpora."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from examples import single_words
from shared import keras_file
from tasks.speech import data
from tasks.speech.alignment import Word
from tasks.speech.config import SpeechConfig
from tasks.speech.features import RATE
from tasks.speech.model import STEP, steps_of

ALPHABET = " ENORSTW"
SENTENCE = {"TWO": (10, 16), "ENTER": (20, 28), "ONE": (34, 40)}  # steps of 40 ms in which each word sounds


def zipped(path, **sounds):
    with zipfile.ZipFile(path, "w") as archive:
        for name, samples in sounds.items():
            content = io.BytesIO()
            soundfile.write(content, samples, RATE, format="FLAC")
            archive.writestr(f"{name}.flac", content.getvalue())


def spoken(steps, words):
    """A tone for each word, of its own pitch, in nearly silent surroundings."""
    samples = np.random.default_rng(0).normal(0, 1e-4, steps * STEP)
    for k, (start, end) in enumerate(words.values()):
        samples[start * STEP : end * STEP] += 0.3 * np.sin(np.arange((end - start) * STEP) * (k + 1) / 5)
    return samples


def spelled(words, count):
    """Log-probabilities that spell each word, a letter a step, in the middle of its sound."""
    logs = np.log(np.full((count, len(ALPHABET) + 1), 0.01))
    logs[:, 0] = np.log(0.9)
    places = []
    for word, (start, end) in words.items():
        middle = (start + end - len(word)) // 2
        places += [(middle + k, letter) for k, letter in enumerate(word)]
        places.append((end + 1, " "))
    for place, letter in places[:-1]:
        logs[place, ALPHABET.index(letter) + 1] = 0.0
    return logs


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "task.json").write_text(json.dumps({"task": "speech", "alphabet": ALPHABET}))
    monkeypatch.setattr(keras_file, "load", lambda path: path)
    monkeypatch.setattr(
        single_words, "log_probabilities", lambda model, frame: [spelled(SENTENCE, steps_of(48 * STEP))]
    )
    zipped(tmp_path / "said.zip", a0=spoken(48, SENTENCE))
    (tmp_path / "said.csv").write_text("file,speaker,text\na0.flac,ann,TWO ENTER ONE\n")
    zipped(tmp_path / "digits.zip", **{"7_theo_0": spoken(12, {"SEVEN": (2, 10)})})


def test_one_manifest_tells_both(corpora):
    single_words.main("model", "said.csv", "digits.zip", "digits")
    found = data.read(SpeechConfig(), "digits/digits.csv")
    assert found[["name", "text", "speaker"]].to_numpy().tolist() == [
        ["2_ann_a0_0.wav", "2", "ann"],
        ["1_ann_a0_2.wav", "1", "ann"],
        ["7_theo_0.wav", "7", "theo"],
    ]


def test_each_word_is_heard_whole_and_alone(corpora):
    whole = spoken(48, SENTENCE)
    found = {name: samples for name, _, samples in single_words.cut(Path("model"), "said.csv")}
    for name, word in (("2_ann_a0_0", "TWO"), ("1_ann_a0_2", "ONE")):
        start, end = (step * STEP for step in SENTENCE[word])
        part = found[name]
        place = int(np.argmax(np.correlate(whole, part - part.mean(), "valid")))
        assert abs(place - start) < RATE // 20  # a frame of the trimming is 2,048 samples at most
        assert abs(place + len(part) - end) < RATE // 10


def test_a_word_reaches_to_the_quietest_moment_and_not_far_into_silence():
    words = [Word("TWO", 1.0, 1.2), Word("ENTER", 1.4, 1.7), Word("ONE", 5.0, 5.2)]
    loudness = np.ones(6 * RATE)
    for moment in (1.1, 1.35, 1.5, 1.8, 5.5):  # the second alone lies between two words
        loudness[int(moment * RATE)] = 0.5
    found = [np.array(single_words.borders(words, k, loudness)) / RATE for k in range(3)]
    assert found == [pytest.approx((0.4, 1.35)), pytest.approx((1.35, 1.8)), pytest.approx((4.4, 5.8))]
    ends = single_words.borders([Word("TWO", 0.1, 0.3)], 0, loudness[: RATE // 2])
    assert ends == (0, RATE // 2)


def test_recordings_that_are_there_are_not_written_over(corpora):
    single_words.main("model", "said.csv", "digits.zip", "digits")
    with pytest.raises(FileExistsError):
        single_words.main("model", "said.csv", "digits.zip", "digits")
