"""Tables are written piece by piece, in equal form to all formats, and appear only when they are complete."""

from __future__ import annotations

import gzip
import json

import numpy as np
import pandas as pd
import pytest

from shared.data.table_writers import open_table_writer
from shared.errors import DataError

PIECES = [
    pd.DataFrame(columns, dtype=object).assign(p=p)
    for columns, p in (
        ({"id": [1, 2], "text": ['a, "b"', "日本\u2028"], "note": [None, None], "mixed": [1, 2]}, [0.1, np.nan]),
        ({"id": [3.5], "text": ["caf\udce9"], "note": ["x"], "mixed": ["two"]}, [0.25]),
        ({"id": [4], "text": [""], "note": [[1, {"k": "ü"}]], "mixed": [True]}, [1.0]),
    )
]


def write(path, pieces=PIECES):
    with open_table_writer(path) as writer:
        for piece in pieces:
            writer.write(piece)


def test_csv_and_json_lines(tmp_path):
    write(tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8").split("\n") == [
        "id,text,note,mixed,p",
        '1,"a, ""b""",,1,0.1',
        "2,日本\u2028,,2,",
        "3.5,caf\ufffd,x,two,0.25",
        '4,,"[1, {""k"": ""ü""}]",True,1.0',
        "",
    ]
    write(tmp_path / "a.jsonl.gz")
    lines = gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()).decode().splitlines()
    assert lines[0] == '{"id": 1, "text": "a, \\"b\\"", "note": null, "mixed": 1, "p": 0.1}'
    assert "日本" in lines[1]
    assert json.loads(lines[3])["note"] == [1, {"k": "ü"}]


def test_parquet_has_one_type_per_column(tmp_path):
    write(tmp_path / "a.parquet")
    table = pd.read_parquet(tmp_path / "a.parquet")
    assert table["id"].tolist() == [1, 2, 3.5, 4]
    assert table["text"].tolist()[2] == "caf\ufffd"
    assert table["mixed"].tolist() == ["1", "2", "two", "true"]
    assert table["note"].tolist()[2:] == ["x", '[1, {"k": "ü"}]']
    assert table["p"].isna().tolist() == [False, True, False, False]


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl.gz", "a.parquet"])
def test_a_failed_run_leaves_the_earlier_file(tmp_path, name):
    path = tmp_path / name
    path.write_text("before")
    with pytest.raises(AttributeError):
        write(path, [PIECES[0], None])
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_does_not_exist_is_an_error(tmp_path):
    with pytest.raises(DataError, match="there is no folder"):
        write(tmp_path / "nowhere" / "a.csv")
    with pytest.raises(DataError, match="is a folder"):
        write(tmp_path)


def test_html_is_escaped_and_marks_words_with_contributions(tmp_path):
    path = tmp_path / "a.html"
    words = [{"word": "dull", "start": 0, "contribution": 1.5}]
    table = pd.DataFrame({"text": ["<b>"], "empty": [None], "contributions": [words], "p": [0.25]})
    with open_table_writer(path) as writer:
        writer.write(table)
        writer.write(table)
    page = path.read_text(encoding="utf-8")
    assert page.count("<th>text</th>") == 1
    row = '<td>&lt;b&gt;</td><td></td><td><mark title="+1.5000" style="background:rgba(86,180,233,1.00)">dull</mark></td><td>0.25</td>'
    assert page.count(row) == 2
    assert page.endswith("</table>\n")
