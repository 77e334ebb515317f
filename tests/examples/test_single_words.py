"""The digits are cut out of sentences at their times, and one manifest lists the recordings of both data sets."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from examples import single_words
from shared.errors import DataError, SuiteError
from tasks.speech import user_files
from tasks.speech.config import SpeechConfig
from tasks.speech.decoder import Word
from tasks.speech.evaluate import compute_log_probabilities
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH
from tests.tasks.speech.conftest import CONFIG, STREAMING, randomized

ALPHABET = " EINORSTX"
STEPS = 60
SENTENCE = {"SIX": (10, 19), "ENTER": (22, 30), "ONE": (40, 48)}  # steps of 40 ms with the sound of each word
QUIET_STEPS = 2  # steps in which the last word starts quietly
CLOSURE = slice(int(15.3 * STEP_LENGTH), int(15.7 * STEP_LENGTH))  # silence within the first word, as in SIX
MAX_DEVIATION = 512 + 160  # samples: a frame and a hop of the trimming


def write_zip(path, **recordings):
    with zipfile.ZipFile(path, "w") as archive:
        for name, samples in recordings.items():
            content = io.BytesIO()
            soundfile.write(content, samples, SAMPLE_RATE, format="FLAC")
            archive.writestr(f"{name}.flac", content.getvalue())


def tone(steps, amplitude=0.3):
    return amplitude * np.sin(np.arange(steps * STEP_LENGTH) / 3)


def sentence():
    """Returns tones for the words, with noise between them that is 50 decibels quieter."""
    samples = np.random.default_rng(0).normal(0, 0.2 * 10**-2.5, STEPS * STEP_LENGTH)
    for start, end in SENTENCE.values():
        samples[start * STEP_LENGTH : end * STEP_LENGTH] += tone(end - start)
    start = SENTENCE["ONE"][0]
    samples[start * STEP_LENGTH : (start + QUIET_STEPS) * STEP_LENGTH] = tone(QUIET_STEPS, 0.3 * 10**-1.4)
    samples[CLOSURE] = 0
    return samples


def spell_sentence(step_count):
    """Returns log-probabilities that spell each word from its start on, one letter per step."""
    log_probabilities = np.log(np.full((step_count, len(ALPHABET) + 1), 0.01))
    log_probabilities[:, 0] = np.log(0.9)
    characters = [(start + k, letter) for word, (start, _) in SENTENCE.items() for k, letter in enumerate(word)]
    characters += [(end + 1, " ") for _, end in list(SENTENCE.values())[:-1]]
    for step, character in characters:
        log_probabilities[step, ALPHABET.index(character) + 1] = 0.0
    return log_probabilities


def find_position(part, whole):
    """Returns the index at which the part is most similar to the whole."""
    power = np.convolve(np.square(whole), np.ones(len(part)), "valid")
    return int(np.argmin(power - 2 * np.correlate(whole, part, "valid")))


def write_version(folder, config, task="speech"):
    folder.mkdir()
    (folder / "task.json").write_text(json.dumps({"task": task, "alphabet": ALPHABET}))
    randomized(config).full_model().save(folder / "model.keras")
    return folder


@pytest.fixture
def data_sets(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_version(tmp_path / "model", CONFIG)
    monkeypatch.setattr(
        single_words,
        "compute_log_probabilities",
        lambda model, sounds: [spell_sentence(len(values)) for values in compute_log_probabilities(model, sounds)],
    )
    write_zip(tmp_path / "sentences.zip", a0=sentence(), a1=sentence())
    (tmp_path / "sentences.csv").write_text("file,speaker,text\na1.flac,bob,ENTER\na0.flac,ann/lee,SIX ENTER ONE\n")
    write_zip(tmp_path / "digits.zip", **{"7_theo_0": tone(12)})
    return tmp_path


def test_one_manifest_lists_both_data_sets(data_sets):
    single_words.main("model", "sentences.csv", "digits.zip", "new/digits")
    frame = user_files.read(SpeechConfig(), "new/digits/digits.csv")
    assert frame[["text", "speaker"]].to_numpy().tolist() == [["6", "ann/lee"], ["1", "ann/lee"], ["7", "theo"]]
    assert frame["length"].iloc[2] == 12 * STEP_LENGTH
    manifest = (data_sets / "new" / "digits" / "digits.csv").read_text()
    assert all(source in manifest for source in ('"a0.flac, word 1"', '"a0.flac, word 3"', "7_theo_0.flac"))
    assert [path.name for path in (data_sets / "new").iterdir()] == ["digits"]


def test_each_recording_has_one_complete_word(data_sets):
    words = {text: samples for text, _, _, samples in single_words.cut_digits(Path("model"), "sentences.csv")}
    for digit, word in (("6", "SIX"), ("1", "ONE")):
        start, end = (step * STEP_LENGTH for step in SENTENCE[word])
        position = find_position(words[digit], sentence())
        assert abs(position - start) < MAX_DEVIATION
        assert abs(position + len(words[digit]) - end) < MAX_DEVIATION


def test_a_word_ends_at_the_quietest_moment_and_includes_only_a_short_silence():
    words = [Word("TWO", 1.0, 1.2, 1.0), Word("ENTER", 1.4, 1.7, 1.0), Word("ONE", 5.0, 5.2, 1.0)]
    power = np.ones(6 * SAMPLE_RATE)
    for moment, value in ((1.25, 0.1), (1.35, 0.5), (1.5, 0.1), (1.8, 0.2), (5.5, 0.1)):
        power[int(moment * SAMPLE_RATE)] = value  # 1.25 is within the sound of TWO, 1.5 within that of ENTER
    borders = [np.array(single_words.word_borders(words, k, power)) / SAMPLE_RATE for k in range(3)]
    assert borders == [pytest.approx((0.4, 1.35)), pytest.approx((1.35, 1.8)), pytest.approx((4.4, 5.8))]
    short = power[: SAMPLE_RATE // 2]
    assert single_words.word_borders([Word("TWO", 0.1, 0.3, 1.0)], 0, short) == (0, SAMPLE_RATE // 2)


def test_words_after_the_end_of_the_sound_are_left_out_with_a_warning(data_sets, caplog):
    write_zip(data_sets / "sentences.zip", a0=sentence()[: 38 * STEP_LENGTH], a1=sentence())
    assert [text for text, *_ in single_words.cut_digits(Path("model"), "sentences.csv")] == ["6"]
    assert "ONE" in caplog.text
    assert "a0.flac is left out: there is no sound at its time" in caplog.text


def test_a_sentence_that_cannot_be_aligned_is_left_out_with_a_warning(data_sets, caplog):
    (data_sets / "sentences.csv").write_text("file,speaker,text\na1.flac,bob,ONE MORE\na0.flac,ann,SIX ENTER ONE\n")
    assert len(list(single_words.cut_digits(Path("model"), "sentences.csv"))) == 2
    assert "a1.flac is left out: Expected only characters of the alphabet. Received: ['M']" in caplog.text


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "sentences.csv",
            "file,speaker,text\na0.flac,ann,ENTER\n",
            "sentences.csv: no sentence has one of the words ZERO",
        ),
        ("sentences.csv", "file,text\na0.flac,ONE\n", "sentences.csv: some speakers are unknown"),
        ("digits.zip", None, "seven_theo_0.flac: the file name must start with a digit"),
    ],
)
def test_unusable_data_leave_no_files(data_sets, name, content, message):
    if content is None:
        write_zip(data_sets / name, seven_theo_0=tone(12))
    else:
        (data_sets / name).write_text(content)
    before = sorted(data_sets.iterdir())
    with pytest.raises(DataError, match=message):
        single_words.main("model", "sentences.csv", "digits.zip", "digits")
    assert sorted(data_sets.iterdir()) == before


def test_a_unidirectional_model_and_a_model_of_another_task_are_rejected(data_sets):
    write_version(data_sets / "streaming", STREAMING)
    write_version(data_sets / "fraud", CONFIG, "fraud")
    for name, message in (("streaming", "not a bidirectional model of speech"), ("fraud", "a model of the task fraud")):
        with pytest.raises(SuiteError, match=f"{name}: {message}"):
            single_words.main(name, "sentences.csv", "digits.zip", "digits")


def test_an_existing_folder_is_not_overwritten(data_sets):
    (data_sets / "digits").mkdir()
    (data_sets / "digits" / "digits.csv").write_text("old content")
    with pytest.raises(DataError, match="the folder already exists"):
        single_words.main("model", "sentences.csv", "digits.zip", "digits")
    assert (data_sets / "digits" / "digits.csv").read_text() == "old content"
