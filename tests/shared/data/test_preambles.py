"""`shared.data.preambles`: lines before the header of a text table."""

from __future__ import annotations

import pytest

from shared.data.notices import collect_notices
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
    assert count_preamble_lines(path.read_text().splitlines(), skips_titles=True) == count
    frame = read_all(str(path), skips_titles=True)
    assert frame.columns.tolist() == ["Date", "Close", "Note"]
    assert frame["Close"].tolist() == ["5,5", "6,5"]


@pytest.mark.parametrize("table", ["a,b,\n1,2,\n3,4,\n", ",a,b\n0,1,2\n1,3,4\n", "a,b,\nx,y,z\nx,y,z\n"])
def test_a_header_with_an_empty_name_is_no_preamble(table):
    assert count_preamble_lines(table.splitlines(), skips_titles=True) == 0


def test_the_columns_show_the_header():
    lines = ["Reviews", "of, May", "text,label", "good,pos"]
    assert count_preamble_lines(lines, ["label", "text"]) == 2
    assert count_preamble_lines(lines, ["label", "score"]) == 0
    assert count_preamble_lines([], ["label"], skips_titles=True) == 0


def test_a_line_that_names_the_separator_is_no_title(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text('"sep=;"\n' + TABLE)
    with collect_notices() as notices:
        assert read_all(str(path), skips_titles=True).columns.tolist() == ["Date", "Close", "Note"]
    assert not notices
