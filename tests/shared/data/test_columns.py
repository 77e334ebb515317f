"""`shared.data.columns`: columns of a user's table get one type, or an error names the row and the fix."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.columns import parse_identifiers, parse_json_lines, parse_numbers, raise_where, raise_where_empty
from shared.errors import DataError


def test_identifiers_are_the_same_text_for_every_type():
    for values in ([12, 7], [12.0, 7.0], ["12", "7"], ["12.0", "7.0"]):
        assert parse_identifiers(pd.Series(values, name="card"), "a.csv").tolist() == ["12", "7"]


@pytest.mark.parametrize("values", [[1.0, 4512381234567890123.0], ["a", "4.51238E+15"]])
def test_an_identifier_that_lost_digits_raises_an_error(values):
    with pytest.raises(DataError, match=r"a\.csv, row 2: .*digits of the identifier were lost"):
        parse_identifiers(pd.Series(values, name="card"), "a.csv")
    assert parse_identifiers(pd.Series(["1.0", "1.10"]), "a.csv").tolist() == ["1.0", "1.10"]


def test_empty_identifier_raises_an_error_unless_allowed():
    values = pd.Series(["a", None], name="card")
    with pytest.raises(DataError, match=r'a\.csv, row 2: column "card"'):
        parse_identifiers(values, "a.csv")
    assert parse_identifiers(values, "a.csv", allow_empty=True).tolist() == ["a", ""]


def test_numbers_may_be_text_and_empty_cells_become_nan():
    numbers = parse_numbers(pd.Series(["1.5", " 2", "", "null", "NaN"], name="price"), "a.csv", allow_empty=True)
    np.testing.assert_array_equal(numbers, [1.5, 2, np.nan, np.nan, np.nan])


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        ("two", 'is "two": expected a finite number.'),
        ("inf", 'is "inf": expected a finite number.'),
        ("", r"is empty\. Fill it in or drop the row."),
        ("null", r'is "null", which counts as empty\. Fill it in or drop the row.'),
        (None, r"is empty\. Fill it in or drop the row."),
    ],
)
def test_invalid_number_raises_an_error_with_its_row(value, problem):
    with pytest.raises(DataError, match=f'^a.csv, row 2: column "price" {problem}$'):
        parse_numbers(pd.Series(["1", value], name="price"), "a.csv", allow_empty=False)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["12,50", "-3", "", "1.234,5"], [12.5, -3, np.nan, 1234.5]),
        (["1,234", "0,5"], [1.234, 0.5]),  # the second comma cannot separate thousands
        (["1,234", "12.5", "1,000,000.25"], [1234, 12.5, 1000000.25]),
    ],
)
def test_the_whole_column_decides_what_a_comma_means(texts, expected):
    np.testing.assert_array_equal(parse_numbers(pd.Series(texts, name="price"), "a.csv", allow_empty=True), expected)


@pytest.mark.parametrize(
    ("texts", "row", "problem"),
    [
        (["12", "1,234"], 2, "the comma may separate decimals or thousands"),
        (["1.5", "2,75"], 2, "expected a finite number"),
        (["12,5", "twelve"], 2, "expected a finite number"),
    ],
)
def test_ambiguous_commas_raise_an_error(texts, row, problem):
    with pytest.raises(DataError, match=f'a.csv, row {row}: column "price" is .*: {problem}'):
        parse_numbers(pd.Series(texts, name="price"), "a.csv", allow_empty=False)


def test_error_names_the_first_invalid_row():
    invalid = np.array([False, False, True, True])
    with pytest.raises(DataError, match='x, row 3: column "c" is "8": expected an odd number'):
        raise_where(invalid, pd.Series([1, 2, 8, 9], name="c"), "x", "expected an odd number")


def test_error_for_an_empty_cell_may_have_its_own_fix():
    with pytest.raises(DataError, match=r'^x, row 2: column "c" is empty\. Name the speaker\.$'):
        raise_where_empty(np.array([False, True]), pd.Series(["a", ""], name="c"), "x", "Name the speaker.")


def test_json_lines_become_a_table():
    frame = parse_json_lines(['{"a": 1, "b": "x"}', '{"a": 2, "b": "y"}'], ["a"])
    assert frame["a"].tolist() == [1, 2]


@pytest.mark.parametrize(
    ("line", "problem"), [("{", "line 2.*not JSON"), ("[1]", 'line 2: no "a"'), ('{"b": 1}', 'line 2: no "a"')]
)
def test_invalid_json_line_raises_an_error_with_its_number(line, problem):
    with pytest.raises(DataError, match=problem):
        parse_json_lines(['{"a": 1}', line], ["a"])
