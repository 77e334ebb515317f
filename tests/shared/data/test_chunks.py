"""Files are read in chunks like `read_table` reads them, and rows that cannot be used are left out."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from shared.data import chunks
from shared.data.columns import parse_numbers
from shared.data.tables import read_all
from shared.errors import DataError, RowError


@pytest.fixture(autouse=True)
def _small_chunks(monkeypatch):
    monkeypatch.setattr(chunks, "ROWS_PER_CHUNK", 2)


def read(path, column="text", skips_errors=False):
    return list(chunks.read_chunks(str(path), [column], {column: "--columns.text"}, skips_errors))


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'id,text\n1,"one, ""two"""\n2,"line\nbreak"\n\n007,NA\n'),
        ("a.csv", "id;text\n1;ein Text\n2;noch einer\n3;\n"),
        ("a.tsv", 'id\ttext\n1\ta "quote\n2\tb\n3\tc\n'),
        ("a.jsonl", '{"id": 1, "text": "ä"}\n\n{"id": 2, "text": "b"}\n{"id": 3, "text": "c"}\n'),
    ],
)
@pytest.mark.parametrize("is_compressed", [False, True])
def test_chunks_hold_the_rows_of_the_table(tmp_path, name, content, is_compressed):
    path = tmp_path / (f"{name}.gz" if is_compressed else name)
    path.write_bytes(gzip.compress(content.encode()) if is_compressed else b"\xef\xbb\xbf" + content.encode())
    parts = read(path)
    assert [len(part.frame) for part in parts] == [2, 1]
    assert [part.first_row for part in parts] == [0, 2]
    assert parts[-1].progress == pytest.approx(1)
    whole = pd.concat([part.frame for part in parts], ignore_index=True)
    pd.testing.assert_frame_equal(whole, read_all(str(path)), check_dtype=False)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "sep=;\nid;text\n1;a\n2;b\n3;ständig\n".encode("cp1252")),
        ("a.csv", gzip.compress("id,text\n1,a\n2,b\n3,ständig\n".encode("utf-16"), mtime=0)),
        ("a.tsv", 'id\ttext\n1\t"a\nb"\n2\tb\n3\tständig\n'.encode()),
        ("a.json", '[{"id": 1, "text": "a"}, {"id": 2, "text": "b"},\n{"id": 3, "text": "ständig"}]'.encode()),
        ("a.jsonl", '{"id": [1, 2, 3], "text": ["a", "b", "ständig"]}'.encode()),
    ],
)
def test_chunks_have_the_format_that_the_content_shows(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    whole = pd.concat([part.frame for part in read(tmp_path / name)], ignore_index=True)
    assert whole["text"].iloc[-1] == "ständig"
    pd.testing.assert_frame_equal(whole, read_all(str(tmp_path / name)), check_dtype=False)


def test_the_header_of_a_table_that_is_read_by_position_is_no_input(tmp_path):
    (tmp_path / "a.csv").write_text("text,label\nb,1\nc,2\nd,3\n")
    assert [part.frame["0"].tolist() for part in read(tmp_path / "a.csv", "0")] == [["b", "c"], ["d"]]


def test_integers_of_a_parquet_file_stay_integers_beside_missing_values(tmp_path):
    table = pd.DataFrame({"id": pd.array([1, None, 3], "Int64"), "text": ["a", "b", "c"]}, index=[5, 6, 9])
    table.to_parquet(tmp_path / "a.parquet")
    parts = read(tmp_path / "a.parquet")
    assert parts[0].frame["id"].tolist() == [1, None]
    assert [list(part.frame.columns) for part in parts] == [["id", "text"]] * 2
    assert parts[-1].progress == 1


def test_keys_that_only_later_records_have_are_columns_of_all_chunks(tmp_path):
    records = [{"text": "a"}, {"text": "b"}, {"text": "c", "note": [1]}]
    (tmp_path / "a.jsonl").write_text("\n".join(map(json.dumps, records)))
    parts = read(tmp_path / "a.jsonl")
    assert [list(part.frame.columns) for part in parts] == [["text", "note"]] * 2
    assert parts[1].frame["note"].tolist() == [[1]]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text\n1,a\n2,b,c\n3,d\n", "row 2: 3 fields, but the header has 2"),
        ("a.jsonl", '{"text": "a"}\n{"text"\n{"text": "c"}\n', "row 2: character"),
        ("a.jsonl", '{"text": "a"}\n[1]\n{"text": "c"}\n', "row 2: it is not an object"),
        ("a.jsonl", '{"text": "a"}\n{"text": "\\ud83d"}\n{"text": "c"}\n', "row 2: it contains half a character"),
    ],
)
def test_a_record_that_is_none_is_an_error_or_is_skipped(tmp_path, name, content, message):
    (tmp_path / name).write_text(content)
    with pytest.raises(DataError, match=f"{name}: cannot be read.*{message}"):
        read(tmp_path / name)
    first, second = read(tmp_path / name, skips_errors=True)
    assert list(first.errors) == [1]
    assert first.errors[1].startswith(message.removeprefix("row 2: "))
    assert first.frame["text"].tolist() == ["a", "b" if name == "a.csv" else None]
    assert (len(second.frame), dict(second.errors)) == (1, {})


@pytest.mark.parametrize(
    ("content", "message"),
    [("text\n", "has no records"), ("", "empty"), ("body\na\n", 'no column "text".*--columns.text')],
)
def test_a_table_that_cannot_be_used_is_an_error(tmp_path, content, message):
    (tmp_path / "a.csv").write_text(content)
    with pytest.raises(DataError, match=message):
        read(tmp_path / "a.csv")


def test_lines_are_read_in_chunks(tmp_path):
    path = tmp_path / "lines.txt"
    path.write_bytes(b"\xef\xbb\xbfone\r\n\n\xef\xbb\xbfcaf\xe9 \x0b\nlast")
    parts = list(chunks.read_line_chunks(str(path), "input"))
    assert [part.frame["input"].tolist() for part in parts] == [["one", ""], ["\ufeffcaf\udce9 \x0b", "last"]]


def test_lines_in_another_encoding_are_read(tmp_path):
    for encoding in ("utf-16", "cp1252"):
        (tmp_path / "lines.txt").write_bytes("ständig\nschön\nlast".encode(encoding))
        parts = list(chunks.read_line_chunks(str(tmp_path / "lines.txt"), "input"))
        assert [part.frame["input"].tolist() for part in parts] == [["ständig", "schön"], ["last"]]


def test_rows_that_cannot_be_converted_are_left_out_or_raise_with_the_row_of_the_file():
    frame = pd.DataFrame({"a": ["1", "x", "3", "4"], "b": ["1", "2", "", "4"]})

    def convert(rows):
        return [parse_numbers(rows[name], "f.csv", allow_empty=False) for name in ("a", "b")]

    (a, b), positions, errors = chunks.convert_rows(frame, convert, skips_errors=True)
    assert positions.tolist() == [0, 3]
    np.testing.assert_array_equal(a, [1, 4])
    np.testing.assert_array_equal(b, [1, 4])
    assert errors[1] == 'column "a" is "x": expected a finite number.'
    assert errors[2] == 'column "b" is empty. Fill it in or drop the row.'
    with pytest.raises(RowError, match=r'^f\.csv, row 102: column "a"'):
        chunks.convert_rows(frame, convert, skips_errors=False, first_row=100)
    assert chunks.convert_rows(frame.iloc[[1]].reset_index(drop=True), convert, True)[0] is None
