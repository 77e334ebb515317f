"""Manifests, folders and .zip files become splits that have no speaker in common."""

from __future__ import annotations

import dataclasses
import re
import unicodedata
import zipfile
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import soundfile

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.speech import audio, data, folders, user_files
from tasks.speech.config import ColumnsConfig, FeaturesConfig, SpeechConfig, SpeechSplitConfig
from tasks.speech.input_config import AudioConfig, TextConfig
from tasks.speech.timing import SAMPLE_RATE
from tests.tasks.speech.conftest import tone

LONG_TEXT = "abc" * 8
TEXTS = ["a", "ab", "cab", "b", "bc", "c"] * 4


@pytest.fixture(autouse=True)
def temporary_cache(tmp_path, monkeypatch):
    monkeypatch.setattr(audio, "CACHE", tmp_path / "cache")


@pytest.fixture
def folder(tmp_path):
    """Twenty-four recordings by six speakers, with a manifest."""
    folder = tmp_path / "own"
    folder.mkdir()
    rows = []
    for k, text in enumerate(TEXTS):
        soundfile.write(folder / f"{text}_s{k // 4}_{k}.wav", tone(text, 0.2, k), SAMPLE_RATE)
        rows.append({"file": f"{text}_s{k // 4}_{k}.wav", "text": text, "speaker": f"s{k // 4}"})
    pd.DataFrame(rows).to_csv(folder / "list.csv", index=False)
    return folder


def make_config(path, recordings=None, file_pattern=None, max_seconds=30.0, **split):
    return SpeechConfig(
        data=str(path),
        recordings=recordings,
        columns=ColumnsConfig(file_pattern=file_pattern),
        split=SpeechSplitConfig(**split),
        features=FeaturesConfig(max_seconds=max_seconds),
    )


def write_zip(path, folder):
    with zipfile.ZipFile(path, "w") as archive:
        for file in sorted(folder.glob("*.wav")):
            archive.write(file, file.name)


def speakers(splits):
    return {name: set(getattr(splits, name)["speaker"]) for name in ("train", "validation", "test")}


def test_the_splits_have_no_speaker_in_common_and_the_samples_of_the_files(folder):
    splits = data.load(make_config(folder / "list.csv"))
    by_split = speakers(splits)
    assert by_split["train"] | by_split["validation"] | by_split["test"] == {f"s{k}" for k in range(6)}
    assert sum(map(len, by_split.values())) == 6
    row = splits.test.iloc[0]
    samples = audio.get_samples(audio.open_cache(row["cache_file"]), row["start"], row["length"])
    np.testing.assert_allclose(samples, soundfile.read(folder / row["name"])[0], atol=1e-4)
    assert re.fullmatch(
        r"test \d+% held out by speaker; validation \d+% held out by speaker", splits.origin.split_description
    )


def test_a_folder_a_zip_file_and_a_manifest_give_the_same_recordings(folder, tmp_path):
    write_zip(tmp_path / "own.zip", folder)
    from_manifest = data.load(make_config(folder / "list.csv"))
    for path in (folder, tmp_path / "own.zip"):
        other = data.load(make_config(path, file_pattern="{text}_{speaker}_{take}"))
        for name in ("train", "validation", "test"):
            ours, theirs = (getattr(s, name).sort_values("name") for s in (from_manifest, other))
            assert set(ours["speaker"]) <= {f"s{k}" for k in range(6)}
            assert set(theirs["text"]) <= set(TEXTS)
        assert len(other.train) + len(other.validation) + len(other.test) == 24


def test_texts_may_be_in_files_beside_the_recordings(folder):
    for path in folder.glob("*.wav"):
        path.with_suffix(".txt").write_text(f" {path.stem.split('_')[0]}\r\n")
    (folder / "list.csv").unlink()
    frame = user_files.read(make_config(folder), str(folder))
    assert sorted(frame["text"]) == sorted(TEXTS)


def test_transcripts_of_librispeech_are_read(tmp_path):
    chapter = tmp_path / "own" / "84" / "121123"
    chapter.mkdir(parents=True)
    soundfile.write(chapter / "84-121123-0000.flac", tone("ab"), SAMPLE_RATE)
    (chapter / "84-121123.trans.txt").write_text("84-121123-0000 GO ON\n")
    frame = user_files.read(make_config(tmp_path / "own"), str(tmp_path / "own"))
    assert frame[["text", "speaker"]].to_numpy().tolist() == [["GO ON", "84"]]


def test_the_test_split_has_the_test_speakers(folder):
    splits = data.load(make_config(folder / "list.csv", test_speakers=("s2", "s4")))
    assert speakers(splits)["test"] == {"s2", "s4"}
    with pytest.raises(DataError, match=r"there is no speaker bob\. The speakers are s0, s1"):
        data.load(make_config(folder / "list.csv", test_speakers=("bob",)))


def test_the_test_split_has_the_files_that_match_the_pattern(folder):
    splits = data.load(make_config(folder / "list.csv", test_files="*[0-4].wav"))
    names = set(user_files.read(make_config(folder / "list.csv"), str(folder / "list.csv"))["name"])
    assert set(splits.test["name"]) == {name for name in names if name[-5] in "01234"}
    assert set(splits.train["name"]) | set(splits.validation["name"]) == names - set(splits.test["name"])
    for pattern, selection in (("x*", "no recording"), ("*", "all recordings")):
        message = f"--split.test-files {re.escape(pattern)} selects {selection}. One file name is .*wav"
        with pytest.raises(DataError, match=message):
            data.load(make_config(folder / "list.csv", test_files=pattern))


def test_a_test_file_and_an_option_that_selects_the_test_split_exclude_each_other(folder):
    path = str(folder / "list.csv")
    for selection in ({"test_files": "a*"}, {"test_speakers": ("s1",)}):
        with pytest.raises(DataError, match=r"there is already a test split\. Remove --split\.test-files"):
            data.load(SpeechConfig(data=path, test_data=path, split=SpeechSplitConfig(**selection)))


def test_a_zip_file_with_the_name_of_the_manifest_has_its_recordings(folder, tmp_path):
    write_zip(tmp_path / "part.zip", folder)
    (tmp_path / "part.csv").write_text((folder / "list.csv").read_text())
    assert len(user_files.read(make_config(tmp_path / "part.csv"), str(tmp_path / "part.csv"))) == 24
    elsewhere = tmp_path / "elsewhere.csv"
    elsewhere.write_text((folder / "list.csv").read_text())
    with pytest.raises(DataError, match=r"elsewhere\.csv, row 1: there is no recording .* --recordings"):
        user_files.read(make_config(elsewhere), str(elsewhere))
    assert len(user_files.read(make_config(elsewhere, recordings=str(folder)), str(elsewhere))) == 24


@pytest.mark.parametrize(
    ("change", "parts"),
    [
        (lambda lines: [lines[0], "nowhere.wav,a,s0"], ["row 1", "no recording nowhere.wav"]),
        (lambda lines: [*lines[:3], "notes.wav,a,s0"], ["row 3: notes.wav: cannot be read as audio"]),
        (
            lambda lines: [*lines[:2], lines[2].replace(",ab,", ", ,")],
            ["row 2", "have an empty text", "--text.max-empty"],
        ),
        (lambda lines: ["path,words,who", *lines[1:]], ['no column "file"', "--columns.file"]),
    ],
)
def test_a_problem_of_a_manifest_is_reported_with_its_row(folder, change, parts):
    (folder / "notes.wav").write_text("this is not audio")
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "bad.csv").write_text("\n".join(change(lines)) + "\n")
    with pytest.raises(DataError) as error:
        data.load(make_config(folder / "bad.csv"))
    assert all(part in str(error.value) for part in parts), str(error.value)


def test_a_missing_column_is_named_with_its_option(folder):
    config = dataclasses.replace(make_config(folder / "list.csv"), columns=ColumnsConfig(speaker="caller"))
    with pytest.raises(DataError, match=r'no column "caller"\. .*--columns\.speaker'):
        data.load(config)


def test_a_folder_without_texts_is_rejected_with_a_fix(folder, tmp_path):
    with pytest.raises(DataError, match=r"the text of the recording is unknown.*--columns\.file-pattern"):
        data.load(make_config(folder))
    message = r"the file name does not match --columns\.file-pattern \{text\}-\{take\}"
    with pytest.raises(DataError, match=message):
        data.load(make_config(folder, file_pattern="{text}-{take}"))
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="there are no recordings"):
        data.load(make_config(tmp_path / "empty"))


def test_recordings_that_are_too_long_or_too_short_for_their_text_are_left_out_of_training(folder, caplog):
    lines = (folder / "list.csv").read_text().splitlines()
    changed = [line.replace(",a,", f",{LONG_TEXT},") for line in lines]
    (folder / "long.csv").write_text("\n".join(changed) + "\n")
    splits = data.load(make_config(folder / "long.csv", max_seconds=0.55))
    assert "are too short for their text" in caplog.text
    assert "are longer than 0.55 seconds" in caplog.text
    assert "cab" not in set(splits.train["text"])
    assert LONG_TEXT not in set(splits.train["text"])


def test_validation_recordings_with_characters_that_training_lacks_are_left_out(folder, caplog):
    lines = (folder / "list.csv").read_text().splitlines()
    validation = [lines[0], lines[1].replace(",a,", ",a?,"), lines[2]]
    (folder / "valid.csv").write_text("\n".join(validation) + "\n")
    (folder / "list.csv").write_text("\n".join([lines[0], *lines[3:]]) + "\n")
    config = dataclasses.replace(make_config(folder / "list.csv"), validation_data=str(folder / "valid.csv"))
    assert data.load(config).validation["text"].tolist() == ["ab"]
    message = (
        "recordings of the validation split are left out: 1 have characters that the training split lacks: a_s0_0.wav"
    )
    assert message in caplog.text


def test_no_test_recording_is_left_out(folder):
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "test.csv").write_text("\n".join([lines[0], lines[1].replace(",a,", f",{LONG_TEXT}?,")]) + "\n")
    config = dataclasses.replace(make_config(folder / "list.csv", max_seconds=0.7), test_data=str(folder / "test.csv"))
    assert data.load(config).test["text"].tolist() == [f"{LONG_TEXT}?"]


def test_too_few_recordings_are_rejected(folder):
    lines = (folder / "list.csv").read_text().splitlines()
    (folder / "one.csv").write_text("\n".join(lines[:2]) + "\n")
    with pytest.raises(DataError, match="too few recordings"):
        data.load(make_config(folder / "one.csv"))


def test_the_digest_changes_with_the_samples(folder):
    before = data.load(make_config(folder / "list.csv")).origin.sha256
    assert data.load(make_config(folder / "list.csv")).origin.sha256 == before
    path = next(folder.glob("*.wav"))
    soundfile.write(path, tone("c", 0.31), SAMPLE_RATE)
    assert data.load(make_config(folder / "list.csv")).origin.sha256 != before


def test_inputs_are_the_recordings_of_any_source(folder, tmp_path):
    write_zip(tmp_path / "own.zip", folder)
    names = pd.read_csv(folder / "list.csv")["file"].tolist()
    table = pd.DataFrame({"path": names})
    table.to_csv(folder / "without_texts.tsv", index=False, sep="\t")
    table.to_csv(folder / "without_texts.txt", index=False, sep="\t")
    (tmp_path / "paths.txt").write_text("".join(f"{folder / name}\n" for name in names))
    config = dataclasses.replace(make_config(""), columns=ColumnsConfig(file="path"))
    paths = [str(folder / name) for name in names]
    for source in (folder / "without_texts.tsv", folder / "without_texts.txt", tmp_path / "paths.txt"):
        assert user_files.list_recordings(config, str(source))[1] == paths
    assert user_files.list_recordings(config, str(folder))[1] == sorted(paths)
    _, from_archive = user_files.list_recordings(config, str(tmp_path / "own.zip"))
    assert from_archive == sorted(str(tmp_path / "own.zip" / name) for name in names)
    samples = [np.concatenate(list(folders.open_path(path)[0])) for path in (from_archive[0], min(paths))]
    np.testing.assert_array_equal(*samples)
    with_archive = dataclasses.replace(config, recordings=str(tmp_path / "own.zip"))
    assert user_files.list_recordings(with_archive, str(folder / "without_texts.tsv"))[1][0] == str(
        tmp_path / "own.zip" / names[0]
    )


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "path\nnowhere.wav\n", r'a\.csv: no column "file"\. .*--columns\.file'),
        ("a.csv", "file\nnowhere.wav\n", r"a\.csv, row 1: there is no recording nowhere\.wav"),
        ("a.txt", " \n", r"a\.txt: the file has no paths"),
        ("a.zip", "no archive", r"a\.zip: cannot be read as a \.zip file"),
    ],
)
def test_a_source_without_recordings_is_rejected(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=message):
        user_files.list_recordings(make_config(""), str(tmp_path / name))


def test_recordings_that_are_also_held_out_are_removed_from_training_by_content(folder, tmp_path):
    plain = data.load(make_config(folder / "list.csv"))
    test_folder = tmp_path / "test"
    test_folder.mkdir()
    names = plain.train["name"].tolist()[:3]
    rows = [{"file": f"copy{k}.wav", "text": name.split("_")[0], "speaker": "x"} for k, name in enumerate(names)]
    for row, name in zip(rows, names, strict=True):
        (test_folder / row["file"]).write_bytes((folder / name).read_bytes())
    pd.DataFrame(rows).to_csv(test_folder / "list.csv", index=False)
    config = dataclasses.replace(make_config(folder / "list.csv"), test_data=str(test_folder / "list.csv"))
    with collect_notices() as notices:
        splits = data.load(config)
    assert not set(names) & {*splits.train["name"], *splits.validation["name"]}
    assert len(splits.train) + len(splits.validation) == len(TEXTS) - 3
    assert "have the same samples as recordings that are held out" in notices[0].message


def test_check_shows_alphabet_and_sample_rates(folder):
    splits = data.load(make_config(folder / "list.csv"))
    assert re.fullmatch(r"a \d+, b \d+, c \d+", splits.details["alphabet"](splits.train))
    assert splits.details["sample rate"](splits.train) == f"16000 Hz {len(splits.train)}"


@pytest.mark.parametrize(
    "write_name",
    [
        lambda name: unicodedata.normalize("NFD", name),
        lambda name: name.replace("/", "\\"),
        lambda name: f"./{name}",
        lambda name: name.removesuffix(".wav"),
    ],
)
def test_a_manifest_may_write_the_names_of_its_recordings_in_another_way(folder, write_name):
    (folder / "clips").mkdir()
    names = []
    for path in sorted(folder.glob("*.wav")):
        names.append(f"clips/ä {path.name}")
        path.rename(folder / names[-1])
    table = pd.DataFrame({"file": map(write_name, names), "text": [name.split()[1].split("_")[0] for name in names]})
    table.to_csv(folder / "list.csv", index=False)
    frame = user_files.read(make_config(folder / "list.csv"), str(folder / "list.csv"))
    assert frame["name"].tolist() == names or write_name(names[0]).startswith("./")
    _, paths = user_files.list_recordings(make_config(folder / "list.csv"), str(folder / "list.csv"))
    assert all(Path(path).is_file() for path in paths)


def test_copies_of_a_recording_and_texts_with_separate_accents_are_noticed(folder):
    table = pd.read_csv(folder / "list.csv")
    copies = table.iloc[:2].assign(text=[table["text"][0], "other"])
    pd.concat([table, copies]).to_csv(folder / "list.csv", index=False)
    with collect_notices() as notices:
        data.load(make_config(folder / "list.csv"))
    messages = " ".join(notice.message for notice in notices)
    assert "1 recording occurs several times with different texts" in messages
    assert "1 recording occurs several times with the same text" in messages


def rewrite(folder, change):
    """Writes the manifest with changed file names and texts, and returns its path."""
    frame = pd.read_csv(folder / "list.csv")
    change(frame)
    frame.to_csv(folder / "changed.csv", index=False)
    return folder / "changed.csv"


def test_names_with_paths_of_windows_find_their_recordings(folder):
    def change(frame):
        frame["file"] = "C:\\data\\clips\\" + frame["file"].str.upper()

    path = rewrite(folder, change)
    with collect_notices() as notices:
        frame = user_files.read(make_config(path), str(path))
    assert frame["name"].tolist() == pd.read_csv(folder / "list.csv")["file"].tolist()
    assert "24 of 24 names are not exactly those of the recordings" in notices[0].message
    _, paths = user_files.list_recordings(make_config(path), str(path))
    assert paths == [str(folder / name) for name in frame["name"]]


def test_recordings_of_noise_may_have_an_empty_text(folder):
    def change(frame):
        frame.loc[[3, 20], "text"] = ""

    path = rewrite(folder, change)
    with collect_notices() as notices:
        splits = data.load(make_config(path))
    assert "2 of 24 recordings have an empty text" in notices[0].message
    assert notices[0].rows == (4, 21)
    texts = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert texts.count("") == 2


def test_a_text_file_may_be_empty(folder):
    for k, path in enumerate(sorted(folder.glob("*.wav"))):
        path.with_suffix(".txt").write_text("" if k == 5 else path.stem.split("_")[0])
    (folder / "list.csv").unlink()
    assert (user_files.read(make_config(folder), str(folder))["text"] == "").sum() == 1


def test_texts_are_normalized_in_training_and_in_evaluation(folder):
    def change(frame):
        frame["text"] = frame["text"].str.upper() + " [noise]"

    path = rewrite(folder, change)
    config = dataclasses.replace(make_config(path), text=TextConfig(normalize=("lower", "brackets")))
    plain = user_files.read(make_config(folder / "list.csv"), str(folder / "list.csv"))["text"].tolist()
    assert user_files.read(config, str(path))["text"].tolist() == plain
    with collect_notices() as notices:
        assert user_files.read(config, str(path), "ab")["text"].tolist() == plain
    assert "texts have characters that the model cannot write: c" in notices[0].message


def test_another_channel_is_read_again(folder):
    path = next(folder.glob("*.wav"))
    soundfile.write(path, np.stack([tone("a"), -tone("a")], axis=1), SAMPLE_RATE)
    sounds = []
    for channel in ("mean", "0"):
        config = dataclasses.replace(make_config(folder / "list.csv"), audio=AudioConfig(channel=channel))
        with collect_notices() as notices:
            frame = user_files.read(config, str(folder / "list.csv"))
        row = frame[frame["name"] == path.name].iloc[0]
        sounds.append(audio.get_samples(audio.open_cache(row["cache_file"]), row["start"], row["length"]))
        assert any("cancel each other" in notice.message for notice in notices) == (channel == "mean")
    assert np.abs(sounds[0]).max() < 1e-3
    np.testing.assert_allclose(sounds[1], tone("a"), atol=1e-3)


def test_recordings_that_have_to_be_converted_are_named(folder, tmp_path):
    (folder / "call 1.m4a").write_bytes(b"")
    with collect_notices() as notices:
        user_files.list_recordings(make_config(folder), str(folder))
    assert "1 .m4a files cannot be read. Convert each: ffmpeg -i 'call 1.m4a' 'call 1.flac'" in notices[0].message
    (tmp_path / "calls").mkdir()
    (tmp_path / "calls" / "a.webm").write_bytes(b"")
    with pytest.raises(DataError, match=r"no recordings that can be read. 1 \.webm files .* ffmpeg -i a\.webm a\.flac"):
        user_files.list_recordings(make_config(tmp_path), str(tmp_path / "calls"))


def test_the_paths_of_a_list_may_be_relative_to_it(folder):
    (folder / "paths.txt").write_text("a_s0_0.wav\nnowhere.wav\n")
    _, paths = user_files.list_recordings(make_config(""), str(folder / "paths.txt"))
    assert paths == [str(folder / "a_s0_0.wav"), "nowhere.wav"]
