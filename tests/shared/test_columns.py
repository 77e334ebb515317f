"""Columns of a user's table come to one type, or an error names the place."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.columns import parse_identifiers, parse_json_lines, parse_numbers, raise_where
from shared.errors import DataError


def test_identifiers_are_the_same_text_from_every_type():
    for values in ([12, 7], [12.0, 7.0], ["12", "7"]):
        assert parse_identifiers(pd.Series(values, name="card"), "a.csv").tolist() == ["12", "7"]


def test_an_empty_identifier_is_refused_unless_it_is_fine():
    values = pd.Series(["a", None], name="card")
    with pytest.raises(DataError, match=r'a\.csv, row 2: column "card"'):
        parse_identifiers(values, "a.csv")
    assert parse_identifiers(values, "a.csv", allow_empty=True).tolist() == ["a", ""]


def test_numbers_may_come_as_text_and_gaps_stay_gaps():
    found = parse_numbers(pd.Series(["1.5", " 2", "", "null", "NaN"], name="price"), "a.csv", allow_empty=True)
    np.testing.assert_array_equal(found, [1.5, 2, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("value", "complaint"),
    [
        ("two", 'is "two": it is no finite number'),
        ("inf", 'is "inf": it is no finite number'),
        ("", "is empty; give it a value or drop the row"),
        ("null", 'is "null", which counts as empty; give it a value or drop the row'),
        (None, "is empty; give it a value or drop the row"),
    ],
)
def test_what_is_no_number_is_refused(value, complaint):
    with pytest.raises(DataError, match=f'^a.csv, row 2: column "price" {complaint}.$'):
        parse_numbers(pd.Series(["1", value], name="price"), "a.csv", allow_empty=False)


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        (["12,50", "-3", "", "1.234,5"], [12.5, -3, np.nan, 1234.5]),
        (["1,234", "0,5"], [1.234, 0.5]),  # the second can be no thousands
        (["1,234", "12.5", "1,000,000.25"], [1234, 12.5, 1000000.25]),
    ],
)
def test_commas_are_read_where_the_whole_column_tells_what_they_are(told, expected):
    np.testing.assert_array_equal(parse_numbers(pd.Series(told, name="price"), "a.csv", allow_empty=True), expected)


@pytest.mark.parametrize(
    ("told", "row", "complaint"),
    [
        (["12", "1,234"], 2, "may have a decimal comma or thousands"),
        (["1.5", "2,75"], 2, "is no finite number"),
        (["12,5", "twelve"], 1, "is no finite number"),
    ],
)
def test_commas_that_may_mean_two_things_are_refused(told, row, complaint):
    with pytest.raises(DataError, match=f"a.csv, row {row}: .* it {complaint}"):
        parse_numbers(pd.Series(told, name="price"), "a.csv", allow_empty=False)


def test_the_first_wrong_row_is_named():
    with pytest.raises(DataError, match='x, row 3: column "c" is "8": it is odd'):
        raise_where(np.array([False, False, True, True]), pd.Series([1, 2, 8, 9], name="c"), "x", "is odd")


def test_lines_become_a_table():
    frame = parse_json_lines(['{"a": 1, "b": "x"}', '{"a": 2, "b": "y"}'], ["a"])
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("line", "complaint"), [("{", "line 2.*not JSON"), ("[1]", 'line 2: no "a"'), ('{"b": 1}', 'line 2: no "a"')]
)
def test_a_line_that_cannot_be_used_is_named(line, complaint):
    with pytest.raises(DataError, match=complaint):
        parse_json_lines(['{"a": 1}', line], ["a"])
