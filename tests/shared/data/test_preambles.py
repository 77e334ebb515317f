"""`shared.data.preambles`: lines before the header of a text table."""

from __future__ import annotations

import pytest

from shared.data.preambles import count_preamble_lines
from shared.data.tables import read_all

TABLE = "Date;Close;Note\n2024-01-05;5,5;a\n2024-01-08;6,5;\n"


@pytest.mark.parametrize(
    ("preamble", "count"),
    [
        ("", 0),
        ("Prices of ABC\n", 1),
        ("Prices, of ABC\n\n", 2),
        ("sep=;\n", 1),
        ("# source: x\nTitle;;\n", 2),
        ("Security;ABC;\nStart;2024-01-01;\n;;\n", 3),
    ],
)
def test_lines_before_the_header_are_counted_and_skipped(preamble, count, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(preamble + TABLE)
    assert count_preamble_lines(str(path)) == count
    frame = read_all(str(path), preamble_lines=count)
    assert frame.columns.tolist() == ["Date", "Close", "Note"]
    assert frame["Close"].tolist() == ["5,5", "6,5"]


@pytest.mark.parametrize("table", ["a,b,\n1,2,\n3,4,\n", ",a,b\n0,1,2\n1,3,4\n", "a,b,\nx,y,z\nx,y,z\n"])
def test_a_header_with_an_empty_name_is_no_preamble(table, tmp_path):
    (tmp_path / "a.csv").write_text(table)
    assert count_preamble_lines(str(tmp_path / "a.csv")) == 0


def test_a_file_of_another_format_has_no_preamble(tmp_path):
    (tmp_path / "a.jsonl").write_text('{"a": 1}\n')
    assert count_preamble_lines(str(tmp_path / "a.jsonl")) == 0
    assert count_preamble_lines(str(tmp_path / "missing.csv")) == 0
