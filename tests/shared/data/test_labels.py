"""`shared.data.labels`: labels that look alike, like numbers, or like several labels."""

from __future__ import annotations

import pandas as pd
import pytest

from shared.data import labels
from shared.data.notices import collect_notices
from shared.errors import DataError


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["0.0", "1.0", "-1.00"], ["0", "1", "-1"]),
        (["0", "1.0"], ["0", "1"]),
        (["0.5", "1.0"], ["0.5", "1.0"]),
        (["1.0", "good"], ["1.0", "good"]),
        (["007", "1"], ["007", "1"]),
    ],
)
def test_only_whole_numbers_lose_their_decimals(values, expected):
    assert labels.normalize_numbers(pd.Series(values)).tolist() == expected


@pytest.mark.parametrize(
    ("matching", "one", "other", "is_same"),
    [
        ("exact", "good ", "good", False),
        ("trimmed", " so\u00a0 good\u200b", "so good", True),
        ("trimmed", "cafe\u0301", "caf\u00e9", True),
        ("trimmed", "Good", "good", False),
        ("caseless", "STRASSE ", "stra\u00dfe", True),
    ],
)
def test_labels_match(matching, one, other, is_same):
    assert (labels.match_key(one, matching) == labels.match_key(other, matching)) == is_same


def test_the_most_frequent_spelling_stands_for_labels_that_match():
    counts = pd.Series({"Good ": 9, "good": 3, "bad": 1})
    assert labels.canonical_labels(counts, "caseless") == {"Good ": "Good", "good": "Good", "bad": "bad"}


@pytest.mark.parametrize(
    ("values", "separator"),
    [
        (["delivery,price", "delivery", "price"], ","),
        (["a; b", "b; c", "a; c", "a; b; c"], ";"),
        (["a|b", "a", "b"], "|"),
        (["Smith, John", "Doe, Jane"], None),
        (["news", "arts, culture"], None),
        (["A", "A+", "B"], None),
        (["good", "bad"], None),
    ],
)
def test_a_separator_of_labels_is_found_where_the_parts_occur_again(values, separator):
    assert labels.find_label_separator(pd.Series(values)) == separator


def test_the_balance_names_the_most_and_the_least_frequent_label():
    assert labels.summarize_balance(pd.Series(["a"] * 7 + ["b"] * 2 + ["c"])) == "3 labels: from a 70.0% to c 10.0%"


def test_exchanged_columns_are_named():
    frame = pd.DataFrame({"text": ["good", "bad"] * 20, "label": [f"film {k}" for k in range(40)]})
    with pytest.raises(
        DataError, match=r"a.csv: 40 records have 2 different texts and 40 different labels. Exchange --t and --l"
    ):
        labels.require_texts(frame, "a.csv", "--t", "--l")
    labels.require_texts(frame.set_axis(["label", "text"], axis=1), "a.csv", "--t", "--l")


def test_labels_that_look_alike_are_shown_with_escapes():
    frames = {"train": pd.DataFrame({"text": list("abcd"), "label": ["caf\u00e9", "cafe\u0301", "ok", "ok\u200b"]})}
    with collect_notices() as notices:
        labels.unify_labels(frames, "exact", "a.csv", "--m")
    assert r'"cafe\u0301" 1' in notices[0].message
    assert r'"ok\u200b" 1' in notices[0].message
