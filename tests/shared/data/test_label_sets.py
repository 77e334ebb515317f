"""`shared.data.label_sets`: any way to write several labels gives the same sets; what is ambiguous is an error with its row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data import label_sets
from shared.data.notices import collect_notices
from shared.errors import DataError, RowError

SETS = [("a b", "c"), (), ("c",)]


def parse(values, separator=None):
    sets = label_sets.parse_label_sets(pd.Series(values, name="tags"), "x.csv", separator)
    return None if sets is None else sets.tolist()


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["c,a b", "", "c"], ","),
        ([" c ; a b;c", " ", "c"], ";"),
        (["c // a b", None, "c"], "//"),
        ([["c", "a b"], [], "c"], None),
        ([["c", "a b", None, " "], None, ["c"]], None),
        ([np.array(["a b", "c"], object), np.array([], object), np.array(["c"], object)], None),
        (["['c', 'a b']", "[]", "['c']"], None),
        (['["c", "a b"]', "", '["c"]'], ","),
        (["['c' 'a b']", "[]", "['c']"], None),
    ],
)
def test_several_labels_in_a_field_become_a_set(values, separator):
    assert parse(values, separator) == SETS


@pytest.mark.parametrize("values", [["a", "b"], ["a,b", ""], [1, 2], ["[a]", "[b]"], ["[1", "2]"]])
def test_a_column_of_single_labels_is_no_column_of_sets(values):
    assert parse(values) is None


def test_labels_of_whole_numbers_lose_their_decimals_together():
    assert parse(["1.0,2", "2.0", "3"], ",") == [("1", "2"), ("2",), ("3",)]
    assert parse([[1.0, 2.0], [2], [3]]) == [("1", "2"), ("2",), ("3",)]
    assert parse([1.0, float("nan"), 3.0], ",") == [("1",), (), ("3",)]


def test_a_member_that_is_no_label_is_an_error_with_its_row():
    with pytest.raises(RowError, match=r"x\.csv, row 2: column \"tags\" must have labels, or arrays of labels"):
        parse([["a"], [{"b": 1}]])


def test_columns_of_0_and_1_become_sets_of_their_names():
    frame = pd.DataFrame(
        {"a b": ["1", "False", "no"], "c": [1.0, 0.0, 1.0], "d": [True, None, False], "e": ["x", "", ""]}
    )
    with collect_notices() as notices:
        assert label_sets.parse_label_columns(frame, "x.csv").tolist() == [("a b", "c", "d", "e"), (), ("c",)]
    (notice,) = notices
    assert "the columns a b, c, d, e have 3 empty cells, read as 0." in str(notice)


@pytest.mark.parametrize("value", ["2", "-1", "0.5", "price"])
def test_another_value_in_a_column_of_0_and_1_is_an_error_with_its_row(value):
    frame = pd.DataFrame({"a": ["1", "0"], "b": ["1", value]})
    with pytest.raises(RowError, match=f'row 2: column "b" is "{value}": expected 0 or 1'):
        label_sets.parse_label_columns(frame, "x.csv")


def test_a_column_without_a_1_is_noticed():
    with collect_notices() as notices:
        label_sets.parse_label_columns(pd.DataFrame({"a": [1, 0], "b": [0, 0]}), "x.csv")
    assert 'column "b" has no 1' in notices[0].message


def test_the_separator_of_the_output_is_in_no_label():
    assert label_sets.choose_separator(["a", "b"], None, "x.csv", "--s") == ","
    assert label_sets.choose_separator(["a,b", "b"], None, "x.csv", "--s") == ";"
    assert label_sets.choose_separator(["a,b", "b"], "//", "x.csv", "--s") == "//"
    with pytest.raises(DataError, match=r'the label "a,b" contains ",".*--s'):
        label_sets.choose_separator(["a,b"], ",", "x.csv", "--s")
    with pytest.raises(DataError, match="ambiguous"):
        label_sets.choose_separator([",;|/+"], None, "x.csv", "--s")


def test_sets_are_summarized():
    labels = pd.Series([("a", "b"), (), ("b",)])
    assert label_sets.summarize_labels(labels) == "b 2, a 1"
    assert label_sets.summarize_set_sizes(labels) == "mean 1.00, maximum 2, 1 without a label"
    many = pd.Series([(f"l{k}",) for k in range(10)])
    assert label_sets.summarize_labels(many).endswith("l7 1 … 10 labels")
    with collect_notices() as notices:
        label_sets.notice_empty_sets(labels, "x.csv")
    assert "1 of 3 texts have no label" in notices[0].message
