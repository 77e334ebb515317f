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
from shared.errors import DataError
from tasks.speech import data
from tasks.speech.alignment import Word
from tasks.speech.config import SpeechConfig
from tasks.speech.features import RATE
from tasks.speech.model import STEP, steps_of
from tests.tasks.speech.conftest import CONFIG, STREAMING, stirred

ALPHABET = " EINORSTX"
STEPS = 60
SENTENCE = {"SIX": (10, 19), "ENTER": (22, 30), "ONE": (40, 48)}  # steps of 40 ms in which each word sounds
HISS = 2  # steps in which the last word begins softly
CLOSURE = slice(int(15.3 * STEP), int(15.7 * STEP))  # nothing is heard within the first word, as before the end of SIX


def zipped(path, **sounds):
    with zipfile.ZipFile(path, "w") as archive:
        for name, samples in sounds.items():
            content = io.BytesIO()
            soundfile.write(content, samples, RATE, format="FLAC")
            archive.writestr(f"{name}.flac", content.getvalue())


def tone(steps, loudness=0.3):
    return loudness * np.sin(np.arange(steps * STEP) / 3)


def spoken():
    """Tones for words; between them it is 50 decibels softer."""
    samples = np.random.default_rng(0).normal(0, 0.2 * 10**-2.5, STEPS * STEP)
    for start, end in SENTENCE.values():
        samples[start * STEP : end * STEP] += tone(end - start)
    begin = SENTENCE["ONE"][0]
    samples[begin * STEP : (begin + HISS) * STEP] = tone(HISS, 0.3 * 10**-1.4)
    samples[CLOSURE] = 0
    return samples


def spelled(count):
    """Log-probabilities that spell each word, a letter a step, from its beginning on: the last one from behind its hiss."""
    logs = np.log(np.full((count, len(ALPHABET) + 1), 0.01))
    logs[:, 0] = np.log(0.9)
    places = [(start + k, letter) for word, (start, _) in SENTENCE.items() for k, letter in enumerate(word)]
    places += [(end + 1, " ") for _, end in list(SENTENCE.values())[:-1]]
    for place, letter in places:
        logs[place, ALPHABET.index(letter) + 1] = 0.0
    return logs


def place_of(part, whole):
    """From which sample on the part lies in the whole."""
    power = np.convolve(np.square(whole), np.ones(len(part)), "valid")
    return int(np.argmin(power - 2 * np.correlate(whole, part, "valid")))


def version(folder, config, task="speech"):
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps({"task": task, "alphabet": ALPHABET}))
    stirred(config).whole().save(folder / "model.keras")
    return folder


@pytest.fixture
def corpora(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    version(tmp_path / "model", CONFIG)
    monkeypatch.setattr(
        single_words, "log_probabilities", lambda model, frame: [spelled(steps_of(n)) for n in frame["length"]]
    )
    zipped(tmp_path / "said.zip", a0=spoken(), a1=spoken())
    (tmp_path / "said.csv").write_text("file,speaker,text\na1.flac,bob,ENTER\na0.flac,ann/lee,SIX ENTER ONE\n")
    zipped(tmp_path / "digits.zip", **{"7_theo_0": tone(12)})
    return tmp_path


def test_one_manifest_tells_both(corpora):
    single_words.main("model", "said.csv", "digits.zip", "new/digits")
    found = data.read(SpeechConfig(), "new/digits/digits.csv")
    assert found[["text", "speaker"]].to_numpy().tolist() == [["6", "ann/lee"], ["1", "ann/lee"], ["7", "theo"]]
    assert found["length"].iloc[2] == 12 * STEP
    told = (corpora / "new" / "digits" / "digits.csv").read_text()
    assert all(source in told for source in ('"a0.flac, word 1"', '"a0.flac, word 3"', "7_theo_0.flac"))
    assert [path.name for path in (corpora / "new").iterdir()] == ["digits"]


def test_each_word_is_heard_whole_and_alone(corpora):
    parts = {text: samples for text, _, _, samples in single_words.cut(Path("model"), "said.csv")}
    for digit, word in (("6", "SIX"), ("1", "ONE")):
        start, end = (step * STEP for step in SENTENCE[word])
        place = place_of(parts[digit], spoken())
        assert abs(place - start) < 512 + 160  # a frame of the trimming, and a hop
        assert abs(place + len(parts[digit]) - end) < 512 + 160


def test_a_word_reaches_to_the_quietest_moment_and_not_far_into_silence():
    words = [Word("TWO", 1.0, 1.2), Word("ENTER", 1.4, 1.7), Word("ONE", 5.0, 5.2)]
    loudness = np.ones(6 * RATE)
    for moment, loud in ((1.25, 0.1), (1.35, 0.5), (1.5, 0.1), (1.8, 0.2), (5.5, 0.1)):
        loudness[int(moment * RATE)] = loud  # the first is of TWO's last letter, the third of ENTER's first
    found = [np.array(single_words.borders(words, k, loudness)) / RATE for k in range(3)]
    assert found == [pytest.approx((0.4, 1.35)), pytest.approx((1.35, 1.8)), pytest.approx((4.4, 5.8))]
    assert single_words.borders([Word("TWO", 0.1, 0.3)], 0, loudness[: RATE // 2]) == (0, RATE // 2)


def test_words_behind_the_end_of_the_sound_are_told_and_left_out(corpora, caplog):
    zipped(corpora / "said.zip", a0=spoken()[: 38 * STEP], a1=spoken())
    assert [text for text, *_ in single_words.cut(Path("model"), "said.csv")] == ["6"]
    assert "ONE" in caplog.text
    assert "a0.flac is left out: no sound is there" in caplog.text


def test_a_sentence_that_cannot_be_said_is_told_and_left_out(corpora, caplog):
    (corpora / "said.csv").write_text("file,speaker,text\na1.flac,bob,ONE MORE\na0.flac,ann,SIX ENTER ONE\n")
    assert len(list(single_words.cut(Path("model"), "said.csv"))) == 2
    assert "a1.flac is left out: Expected the characters of the alphabet. Received: ['M']" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("said.csv", "file,speaker,text\na0.flac,ann,ENTER\n", "said.csv: nobody says ZERO"),
        ("said.csv", "file,text\na0.flac,ONE\n", "said.csv: does not say who speaks"),
        ("digits.zip", None, "seven_theo_0.flac: expected a digit first"),
    ],
)
def test_a_corpus_that_cannot_be_used_leaves_nothing_behind(corpora, name, content, told):
    if content is None:
        zipped(corpora / name, seven_theo_0=tone(12))
    else:
        (corpora / name).write_text(content)
    before = sorted(corpora.iterdir())
    with pytest.raises(DataError, match=told):
        single_words.main("model", "said.csv", "digits.zip", "digits")
    assert sorted(corpora.iterdir()) == before


def test_other_models_are_refused(corpora):
    version(corpora / "streaming", STREAMING)
    version(corpora / "fraud", CONFIG, "fraud")
    for name in ("streaming", "fraud"):
        with pytest.raises(DataError, match=f"{name}: no recogniser of whole utterances"):
            single_words.main(name, "said.csv", "digits.zip", "digits")


def test_recordings_that_are_there_are_not_written_over(corpora):
    (corpora / "digits").mkdir()
    (corpora / "digits" / "digits.csv").write_text("mine")
    with pytest.raises(DataError, match="is there already"):
        single_words.main("model", "said.csv", "digits.zip", "digits")
    assert (corpora / "digits" / "digits.csv").read_text() == "mine"
