"""Texts of every format are read and divided into splits; errors name the file and the line."""

from __future__ import annotations

import json
import textwrap
from dataclasses import replace
from pathlib import Path

import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.next_word import data
from tasks.next_word.config import ColumnsConfig, NextWordConfig, TextConfig

LINES = [f"line number {k} of a text that goes on" for k in range(200)]


@pytest.fixture
def config(tmp_path) -> NextWordConfig:
    (tmp_path / "text.txt").write_text("\n".join(LINES) + "\n")
    return NextWordConfig(data=str(tmp_path / "text.txt"))


def test_one_text_is_divided_into_consecutive_parts(config):
    splits = data.load(config)
    joined = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert joined == LINES
    assert len(splits.test) == pytest.approx(20, abs=2)
    expected = "test 10% of the text, from its end; validation 10% of the rest, from its end"
    assert splits.origin.split_description == expected


def test_files_of_a_folder_are_documents_in_one_split_each(tmp_path):
    (tmp_path / "texts" / "deeper").mkdir(parents=True)
    for k in range(20):
        (tmp_path / "texts" / ("deeper" if k % 2 else ".") / f"{k}.txt").write_text(f"document {k} " * 30)
    (tmp_path / "texts" / "image.png").write_bytes(b"\x00\x01")
    splits = data.load(NextWordConfig(data=str(tmp_path / "texts")))
    joined = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert sorted(joined) == sorted(f"document {k} " * 30 for k in range(20))
    assert splits.origin.split_description == "test 10% of the documents; validation 10% of the rest"


def test_rows_of_a_table_are_documents(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(json.dumps({"body": f"post {k} " * 40}) for k in range(30)))
    splits = data.load(NextWordConfig(data=str(path), columns=ColumnsConfig(text="body")))
    assert len(splits.train) + len(splits.validation) + len(splits.test) == 30


def test_separate_files_become_the_splits_unchanged(config, tmp_path):
    for name in ("valid", "other"):
        (tmp_path / f"{name}.txt").write_text(f"the {name} text\n" * 20)
    config = replace(config, validation_data=str(tmp_path / "valid.txt"), test_data=str(tmp_path / "other.txt"))
    splits = data.load(config)
    assert splits.train["text"].tolist() == LINES
    assert set(splits.validation["text"]) == {"the valid text"}
    assert set(splits.test["text"]) == {"the other text"}
    assert splits.origin.split_description == "validation from valid.txt; test from other.txt"


def test_line_ends_of_all_systems_give_the_same_text(config, tmp_path):
    expected = data.load(config)
    for end in ("\r\n", "\r"):
        (tmp_path / "text.txt").write_bytes(end.join(LINES).encode())
        assert data.load(config).train.equals(expected.train)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "empty"),
        (b"\n\n  \n", "empty"),
        ("n\u00e9, d\u00e9j\u00e0\n".encode() + b"bad \xe9 line\n", "line 2: not UTF-8"),
        (b"\x89PNG\x00\x00" * 50, "zero bytes"),
        (b"short", "at least 100 characters|too few lines"),
    ],
)
def test_an_unusable_file_raises_an_error_with_its_name(config, tmp_path, content, message):
    (tmp_path / "text.txt").write_bytes(content)
    with pytest.raises(DataError, match=message) as raised:
        data.load(config)
    assert "text.txt" in str(raised.value)


def test_a_missing_file_and_a_folder_without_texts_raise_errors(tmp_path):
    with pytest.raises(DataError, match="no such file"):
        data.load(NextWordConfig(data=str(tmp_path / "no.txt")))
    with pytest.raises(DataError, match="contains no text file"):
        data.load(NextWordConfig(data=str(tmp_path)))


def test_two_documents_are_divided_as_one_text(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text("\n".join(json.dumps({"text": f"post {k} " * 400}) for k in range(2)))
    with collect_notices() as notices:
        splits = data.load(NextWordConfig(data=str(path)))
    assert "2 documents are too few to hold out whole ones" in notices[0].message
    assert splits.test["text"].str.contains("post 1").all()


@pytest.mark.parametrize(
    ("text", "separator"),
    [
        (" ".join(f"Sentence number {k} is here." for k in range(100)), " "),
        (" ".join(f"word{k}" for k in range(400)), " "),
        ("".join(f"这是第{k}句话。" for k in range(100)), ""),
        ("a" * 3000, ""),
    ],
)
def test_a_text_in_one_line_is_divided(config, tmp_path, text, separator):
    (tmp_path / "text.txt").write_text(text, encoding="utf-8")
    with collect_notices() as notices:
        splits = data.load(config)
    lines = [*splits.train["text"], *splits.validation["text"], *splits.test["text"]]
    assert separator.join(lines) == text
    assert 0.05 < splits.test["text"].str.len().sum() / len(text) < 0.3
    assert "1 line with more than 5% of the text cut" in notices[0].message
    if "." in text or "。" in text:
        assert all(line[-1] in ".。" for line in lines)


def test_a_short_text_holds_out_more(config, tmp_path):
    (tmp_path / "text.txt").write_text("\n".join(LINES[:25]))
    with collect_notices() as notices:
        splits = data.load(config)
    assert all(frame["text"].str.len().sum() >= 100 for frame in (splits.train, splits.validation, splits.test))
    assert "instead of 10% of it are held out for the test split" in notices[0].message


def test_empty_files_of_a_folder_are_left_out(tmp_path):
    for k in range(20):
        (tmp_path / f"{k}.txt").write_text(f"document {k} " * 30 if k else " \n")
    with collect_notices() as notices:
        frame, has_documents = data.read_texts(NextWordConfig(), str(tmp_path))
    assert has_documents
    assert len(frame) == 19
    assert "1 empty file left out: 0.txt" in notices[0].message


def test_a_null_text_raises_an_error_with_its_row(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text('{"text": "fine"}\n{"text": null}\n')
    with pytest.raises(DataError, match="row 2"):
        data.load(NextWordConfig(data=str(path)))


def test_a_missing_column_raises_an_error_with_the_option(tmp_path):
    path = tmp_path / "posts.jsonl"
    path.write_text('{"body": "some text"}\n')
    with pytest.raises(DataError, match=r'no column "text".*--columns\.text'):
        data.load(NextWordConfig(data=str(path)))


def test_the_example_file_can_be_read():
    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "letters.txt"
    frame, has_documents = data.read_texts(NextWordConfig(), str(path))
    assert not has_documents
    assert frame["text"].iloc[0] == "Dear Ada,"
    assert frame["text"].iloc[-1] == "Ben"


def test_the_sample_is_prose_of_the_python_reference():
    splits = data.load(NextWordConfig(data="sample"))
    assert splits.train["text"].str.len().sum() > 200_000
    assert not set(splits.train["text"]) & set(splits.test["text"])


def test_a_split_file_for_data_with_their_own_splits_raises_an_error():
    with pytest.raises(DataError, match="Remove the option"):
        data.load(NextWordConfig(data="sample", test_data="x.txt"))


def test_hard_wrapped_lines_are_noticed_and_joined_in_files_folders_and_tables(tmp_path):
    paragraphs = [
        f"It was the best of times and the worst of times for number {k} in the land of wisdom. " * 4 for k in range(40)
    ]
    wrapped = "\n\n".join(textwrap.fill(text, 70) for text in paragraphs)
    (tmp_path / "novel.txt").write_text(wrapped)
    (tmp_path / "books").mkdir()
    (tmp_path / "books" / "a.txt").write_text(wrapped)
    (tmp_path / "books.jsonl").write_text(json.dumps({"text": wrapped}) + "\n")
    lines = [text.strip() for text in paragraphs]
    config = NextWordConfig(data=str(tmp_path / "novel.txt"))
    with collect_notices() as notices:
        data.load(config)
    assert any("--text.join-lines" in notice.hint for notice in notices)
    joined = replace(config, text=TextConfig(join_lines=True))
    with collect_notices() as notices:
        splits = data.load(joined)
    assert not any("--text.join-lines" in notice.hint for notice in notices)
    assert [*splits.train["text"], *splits.validation["text"], *splits.test["text"]] == lines
    for name in ("books", "books.jsonl"):
        assert data.read_texts(joined, str(tmp_path / name))[0]["text"].tolist() == ["\n".join(lines)]


def test_a_text_file_may_have_any_suffix(tmp_path):
    for name in ("corpus", "corpus.en", "wiki.train.raw"):
        (tmp_path / name).write_text("a\nb\n")
        assert data.read_texts(NextWordConfig(), str(tmp_path / name))[0]["text"].tolist() == ["a", "b"]
