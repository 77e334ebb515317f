"""Texts of any form, split without mixing, and what is wrong with a file told by name and line."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from shared.errors import DataError
from tasks.next_word import data
from tasks.next_word.config import NextWordConfig, TextConfig

LINES = [f"line number {k} of a text that goes on" for k in range(200)]


@pytest.fixture
def config(tmp_path) -> NextWordConfig:
    (tmp_path / "text.txt").write_text("\n".join(LINES) + "\n")
    return NextWordConfig(data=str(tmp_path / "text.txt"))


def test_one_text_is_cut_into_blocks_in_order(config):
    splits = data.load(config)
    together = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert together == LINES
    assert len(splits.test) == pytest.approx(20, abs=2)


def test_files_of_a_folder_stay_whole(tmp_path):
    (tmp_path / "texts" / "deeper").mkdir(parents=True)
    for k in range(20):
        (tmp_path / "texts" / ("deeper" if k % 2 else ".") / f"{k}.txt").write_text(f"document {k} " * 30)
    (tmp_path / "texts" / "image.png").write_bytes(b"\x00\x01")
    splits = data.load(NextWordConfig(data=str(tmp_path / "texts")))
    together = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert sorted(together) == sorted(f"document {k} " * 30 for k in range(20))


def test_records_are_documents(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(json.dumps({"body": f"post {k} " * 40}) for k in range(30)))
    splits = data.load(NextWordConfig(data=str(path), text=TextConfig(column="body")))
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 30


def test_given_splits_are_taken_as_they_are(config, tmp_path):
    for name in ("valid", "other"):
        (tmp_path / f"{name}.txt").write_text(f"the {name} text\n" * 20)
    config = replace(config, validation_data=str(tmp_path / "valid.txt"), test_data=str(tmp_path / "other.txt"))
    splits = data.load(config)
    assert splits.train["text"].tolist() == LINES
    assert set(splits.validation["text"]) == {"the valid text"}
    assert set(splits.test["text"]) == {"the other text"}


def test_line_ends_of_any_system_are_the_same(config, tmp_path):
    expected = data.load(config)
    for end in ("\r\n", "\r"):
        (tmp_path / "text.txt").write_bytes(end.join(LINES).encode())
        assert data.load(config).train.equals(expected.train)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        (b"good line\nbad \xe9 line\n" * 50, "line 2: not UTF-8"),
        (b"\x89PNG\x00\x00" * 50, "zero bytes"),
        (b"short", "fewer|too few"),
    ],
)
def test_what_is_no_text_is_told_by_name(config, tmp_path, content, message):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        data.load(config)
    assert "text.txt" in str(raised.value)


def test_missing_files_and_empty_folders_are_told(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        data.load(NextWordConfig(data=str(tmp_path / "no.txt")))
    with pytest.raises(DataError, match="holds no text file"):
        data.load(NextWordConfig(data=str(tmp_path)))


def test_a_null_text_is_told_by_its_row(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text('{"text": "fine"}\n{"text": null}\n')
    with pytest.raises(DataError, match="row 2"):
        data.load(NextWordConfig(data=str(path)))


def test_the_example_of_the_format_can_be_read():
    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "letters.txt"
    frame, documents = data.read(NextWordConfig(), str(path))
    assert not documents
    assert frame["text"].iloc[0] == "Dear Ada,"
    assert frame["text"].iloc[-1] == "Ben"


def test_the_sample_is_pythons_own_prose():
    splits = data.load(NextWordConfig())
    assert splits.train["text"].str.len().sum() > 200_000
    assert not set(splits.train["text"]) & set(splits.test["text"])


def test_splits_of_its_own_are_not_to_be_given(tmp_path):
    with pytest.raises(DataError, match="Remove the option"):
        data.load(NextWordConfig(test_data="x.txt"))
