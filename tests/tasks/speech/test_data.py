"""Manifests, folders and archives become splits in which no speaker stands twice."""

from __future__ import annotations

import dataclasses
import zipfile

import numpy as np
import pandas as pd
import pytest
import soundfile

from shared.errors import DataError
from tasks.speech import audio, data
from tasks.speech.config import AudioConfig, SpeechConfig
from tasks.speech.features import RATE
from tests.tasks.speech.conftest import tone

LONG = "abc" * 8
TEXTS = ["a", "ab", "cab", "b", "bc", "c"] * 4


@pytest.fixture(autouse=True)
def kept_here(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path / "kept")


@pytest.fixture
def folder(tmp_path):
    """Twenty-four recordings by six speakers, a manifest beside them."""
    place = tmp_path / "own"
    place.mkdir()
    rows = []
    for k, text in enumerate(TEXTS):
        soundfile.write(place / f"{text}_s{k // 4}_{k}.wav", tone(text, 0.2, k), RATE)
        rows.append({"file": f"{text}_s{k // 4}_{k}.wav", "text": text, "speaker": f"s{k // 4}"})
    pd.DataFrame(rows).to_csv(place / "list.csv", index=False)
    return place


def config_of(path, **audio_settings):
    return SpeechConfig(data=str(path), audio=AudioConfig(**audio_settings))


def speakers(splits):
    return {name: set(getattr(splits, name)["speaker"]) for name in ("train", "validation", "test")}


def test_no_speaker_stands_in_two_splits_and_the_samples_are_the_files(folder):
    splits = data.load(config_of(folder / "list.csv"))
    found = speakers(splits)
    assert found["train"] | found["validation"] | found["test"] == {f"s{k}" for k in range(6)}
    assert sum(map(len, found.values())) == 6
    row = splits.test.iloc[0]
    samples = audio.samples_of(audio.opened(row["store"]), row["start"], row["length"])
    np.testing.assert_allclose(samples, soundfile.read(folder / row["name"])[0], atol=1e-4)


def test_a_folder_a_zip_file_and_a_manifest_are_the_same(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "own.zip", "w") as archive:
        for path in folder.glob("*.wav"):
            archive.write(path, path.name)
    pattern = "{text}_{speaker}_{take}"
    by_manifest = data.load(config_of(folder / "list.csv"))
    for path in (folder, tmp_path / "own.zip"):
        other = data.load(config_of(path, names=pattern))
        for name in ("train", "validation", "test"):
            ours, theirs = (getattr(s, name).sort_values("name") for s in (by_manifest, other))
            assert set(ours["speaker"]) <= {f"s{k}" for k in range(6)}
            assert set(theirs["text"]) <= set(TEXTS)
        assert len(other.train) + len(other.validation) + len(other.test) == 24


def test_texts_may_stand_beside_the_recordings(folder):
    for path in folder.glob("*.wav"):
        path.with_suffix(".txt").write_text(f" {path.stem.split('_')[0]}\r\n")
    (folder / "list.csv").unlink()
    frame = data.read(config_of(folder), str(folder))
    assert sorted(frame["text"]) == sorted(TEXTS)


def test_transcripts_of_librispeech_are_read(tmp_path):
    place = tmp_path / "own" / "84" / "121123"
    place.mkdir(parents=True)
    soundfile.write(place / "84-121123-0000.flac", tone("ab"), RATE)
    (place / "84-121123.trans.txt").write_text("84-121123-0000 GO ON\n")
    frame = data.read(config_of(tmp_path / "own"), str(tmp_path / "own"))
    assert frame[["text", "speaker"]].to_numpy().tolist() == [["GO ON", "84"]]


def test_chosen_speakers_judge(folder):
    splits = data.load(config_of(folder / "list.csv", test_speakers=("s2", "s4")))
    assert speakers(splits)["test"] == {"s2", "s4"}
    with pytest.raises(DataError, match=r"no speaker bob\. There are s0, s1"):
        data.load(config_of(folder / "list.csv", test_speakers=("bob",)))


def test_chosen_names_judge(folder):
    splits = data.load(config_of(folder / "list.csv", test_names="*[0-4].wav"))
    names = set(data.read(config_of(folder / "list.csv"), str(folder / "list.csv"))["name"])
    assert set(splits.test["name"]) == {name for name in names if name[-5] in "01234"}
    assert set(splits.train["name"]) | set(splits.validation["name"]) == names - set(splits.test["name"])
    for pattern, which in (("x*", "no recording"), ("*", "all recordings")):
        with pytest.raises(DataError, match=f"takes {which}. One is named .*wav"):
            data.load(config_of(folder / "list.csv", test_names=pattern))


def test_a_test_split_that_is_given_is_not_chosen_again(folder):
    path = str(folder / "list.csv")
    for choice in ({"test_names": "a*"}, {"test_speakers": ("s1",)}):
        with pytest.raises(DataError, match="has a test split"):
            data.load(SpeechConfig(data=path, test_data=path, audio=AudioConfig(**choice)))


def test_recordings_beside_a_manifest_of_the_same_name(folder, tmp_path):
    with zipfile.ZipFile(tmp_path / "part.zip", "w") as archive:
        for path in folder.glob("*.wav"):
            archive.write(path, path.name)
    (tmp_path / "part.csv").write_text((folder / "list.csv").read_text())
    assert len(data.read(config_of(tmp_path / "part.csv"), str(tmp_path / "part.csv"))) == 24
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text((folder / "list.csv").read_text())
    with pytest.raises(DataError, match=r"elsewhere\.csv, row 1: no recording .* --audio\.recordings"):
        data.read(config_of(elsewhere), str(elsewhere))
    assert len(data.read(config_of(elsewhere, recordings=str(folder)), str(elsewhere))) == 24


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: [lines[0], "nowhere.wav,a,s0"], ["row 1", "no recording nowhere.wav"]),
        (lambda lines: [*lines[:3], "notes.wav,a,s0"], ["row 3", "cannot be read as sound"]),
        (lambda lines: [*lines[:2], lines[2].replace(",ab,", ", ,")], ["row 2", "says nothing"]),
        (lambda lines: ["path,said,who", *lines[1:]], ['no column "file"', "--audio.file"]),
    ],
)
def test_a_fault_of_a_manifest_is_told_with_its_row(folder, change, words):
    (folder / "notes.wav").write_text("these are no samples")
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "bad.csv").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(DataError) as error:
        data.load(config_of(folder / "bad.csv"))
    assert all(word in str(error.value) for word in words), str(error.value)


def test_a_folder_that_tells_nothing_is_refused_with_what_to_do(folder, tmp_path):
    with pytest.raises(DataError, match=r"nothing tells what is said in it.*--audio\.names"):
        data.load(config_of(folder))
    with pytest.raises(DataError, match=r"is not named as --audio\.names \{text\}-\{take\} says"):
        data.load(config_of(folder, names="{text}-{take}"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="holds no recording"):
        data.load(config_of(tmp_path / "empty"))


def test_recordings_too_long_or_too_short_for_their_text_do_not_train(folder, caplog):
    lines = (folder / "list.csv").read_text().splitlines()
    changed = [line.replace(",a,", f",{LONG},") for line in lines]
    (folder / "long.csv").write_text("\n".join(changed) + "\n")
    splits = data.load(config_of(folder / "long.csv", longest=0.55))
    assert "too short for what is said in them" in caplog.text
    assert "longer than 0.55 seconds" in caplog.text
    assert "cab" not in set(splits.train["text"])
    assert LONG not in set(splits.train["text"])


def test_a_sign_that_training_never_has_chooses_nothing(folder, caplog):
    lines = (folder / "list.csv").read_text().splitlines()
    given = [lines[0], lines[1].replace(",a,", ",a?,"), lines[2]]
    (folder / "valid.csv").write_text("\n".join(given) + "\n")
    config = dataclasses.replace(config_of(folder / "list.csv"), validation_data=str(folder / "valid.csv"))
    assert data.load(config).validation["text"].tolist() == ["ab"]
    assert "1 recordings of validation are of signs that training never has and are left out: a_s0_0.wav" in caplog.text


def test_what_judges_is_never_chosen_by_its_text(folder):
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "test.csv").write_text("\n".join([lines[0], lines[1].replace(",a,", f",{LONG}?,")]) + "\n")
    config = dataclasses.replace(config_of(folder / "list.csv", longest=0.7), test_data=str(folder / "test.csv"))
    assert data.load(config).test["text"].tolist() == [f"{LONG}?"]


def test_too_few_recordings_are_refused(folder):
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "one.csv").write_text("\n".join(lines[:2]) + "\n")
    with pytest.raises(DataError, match="too few recordings"):
        data.load(config_of(folder / "one.csv"))


def test_another_sound_is_another_data_set(folder):
    before = data.load(config_of(folder / "list.csv")).origin.sha256
    assert data.load(config_of(folder / "list.csv")).origin.sha256 == before
    path = next(folder.glob("*.wav"))
    soundfile.write(path, tone("c", 0.31), RATE)
    assert data.load(config_of(folder / "list.csv")).origin.sha256 != before
