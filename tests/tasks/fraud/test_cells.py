"""Identifiers keep all their digits and are the same in every file; labels of all kinds become 1, 0 or -1."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud.cells import check_labels, parse_categories, parse_keys, parse_labels


def keys(values, **options) -> list[str]:
    return parse_keys(pd.DataFrame({"card": pd.Series(values)}), ["card"], "x.csv", **options).tolist()


@pytest.mark.parametrize("values", [[12], [12.0], ["12"], [" 12 "], ["'12'"], ['"12"'], ["12.0"]])
def test_an_identifier_is_the_same_text_in_every_file(values):
    assert keys(values) == ["12"]


def test_identifiers_keep_leading_zeros_and_all_digits():
    assert keys(["007", "4532015112830366123"]) == ["007", "4532015112830366123"]
    assert keys([4532015112830366123]) == ["4532015112830366123"]


def test_removed_quotes_are_noticed_with_their_rows():
    with collect_notices() as notices:
        keys(["C1", "'C2'", "C3"])
    assert str(notices[0]) == (
        'x.csv: column "card" has quotes, spaces or ".0" around the values of 1 rows, such as "\'C2\'". They are removed. Row: 2.'
    )


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ([1.0, 4532015112830366123.0], 'row 2: column "card" .* float64 number, which does not hold all digits'),
        (np.array([1.0, 17_000_000.0], np.float32), "float32 number, .* from 16,777,216 on"),
        ([None, 9.5e15, "a"], r"row 2: .*floating-point number"),
        (
            ["4532", "4.53202E+15"],
            r"row 2: .*written as a floating-point number, and has lost its last digits.*as text",
        ),
        (["4532015112830366.0", "45320151128303661.0"], r"row 2: .*has lost its last digits"),
        (["4.992346398065154e+18"], r"row 1: .*has lost its last digits"),
    ],
)
def test_identifiers_that_lost_digits_raise_an_error(values, problem):
    with pytest.raises(DataError, match=problem):
        keys(values, allow_empty=True)


def test_an_empty_part_of_an_identifier_of_several_columns_is_a_value_of_its_own():
    frame = pd.DataFrame({"card1": ["1", "1", ""], "addr1": ["", "5", "5"]})
    with collect_notices() as notices:
        assert parse_keys(frame, ("card1", "addr1"), "x.csv").tolist() == ["1 | ", "1 | 5", " | 5"]
    assert str(notices[0]) == (
        "x.csv: 2 rows have an empty part of the identifier card1 addr1 (card1, addr1). It counts as a value of its own. First rows: 1, 3."
    )
    assert parse_keys(frame, ("card1", "addr1"), "x.csv", allow_empty=True).tolist() == ["", "1 | 5", ""]
    with pytest.raises(DataError, match='row 2: column "card1" is empty'):
        parse_keys(pd.DataFrame({"card1": ["1", ""], "addr1": ["", ""]}), ("card1", "addr1"), "x.csv")


def test_several_columns_form_one_identifier():
    frame = pd.DataFrame({"User": [0, 0, 1], "Card": ["1", "2", "1"]})
    assert parse_keys(frame, ["User", "Card"], "x.csv").tolist() == ["0 | 1", "0 | 2", "1 | 1"]
    tricky = pd.DataFrame({"a": ["x |", "x"], "b": ["y", "| y"]})
    assert len(set(parse_keys(tricky, ["a", "b"], "x.csv"))) == 2


@pytest.mark.parametrize("empty", ["", " ", None, np.nan, "nan", "NULL", "<NA>"])
def test_an_empty_identifier_is_an_error_or_no_identifier(empty):
    assert keys(["a", empty], allow_empty=True) == ["a", ""]
    with pytest.raises(DataError, match='row 2: column "card"'):
        keys(["a", empty])
    frame = pd.DataFrame({"shop": ["a", "a"], "city": [empty, "b"]})
    assert parse_keys(frame, ["shop", "city"], "x.csv", allow_empty=True).tolist() == ["", "a | b"]


def test_categories_lose_their_quotes():
    assert parse_categories(pd.Series(["'es_travel'", "es_travel", None]), "x.csv").tolist() == [
        "es_travel",
        "es_travel",
        "",
    ]


@pytest.mark.parametrize(
    ("fraud", "genuine"),
    [
        ("Y", "N"),
        ("yes", "no"),
        ("True", "False"),
        (True, False),
        ("T", "F"),
        ("Fraud", "Legit"),
        ("fraud", "genuine"),
        ("1", "-1"),
        (1, -1),
        (1.0, 0.0),
        ("1.0", "0.0"),
        (1, 0),
        (" YES ", "no"),
        ("'1'", "'0'"),
        ("Fraudulent", "Legitimate"),
        ("Fraudulent", "Non-Fraudulent"),
        ("fraud", "not_fraud"),
        ("fraud", "Non Fraud"),
        ("Illicit", "Licit"),
        ("ja", "nein"),
        ("oui", "non"),
        ("Sí", "No"),
    ],
)
def test_pairs_of_labels_are_understood(fraud, genuine):
    assert parse_labels(pd.Series([genuine, fraud, genuine]), "x.csv").tolist() == [0, 1, 0]


@pytest.mark.parametrize("unknown", ["", " ", None, np.nan, "NA", "null", "unknown", "Pending", "?"])
def test_an_empty_label_is_not_known(unknown):
    assert parse_labels(pd.Series(["0", unknown, "1"]), "x.csv").tolist() == [0, -1, 1]


def test_labels_can_be_named():
    values = pd.Series(["2", "1", "unknown", "2"], name="class")
    assert parse_labels(values, "x.csv", ["1"], ["Unknown"]).tolist() == [0, 1, -1, 0]
    assert parse_labels(values, "x.csv", ["1"]).tolist() == [0, 1, -1, 0]
    assert parse_labels(pd.Series(["pending", "ok"]), "x.csv", ["pending"]).tolist() == [1, 0]
    assert parse_labels(pd.Series(["a", "b", "c"]), "x.csv", ["a", "B"]).tolist() == [1, 1, 0]
    assert parse_labels(pd.Series([0, 1, -1]), "x.csv", (), ["-1"]).tolist() == [0, 1, -1]


@pytest.mark.parametrize(
    ("values", "row"), [(["good", "bad"], 1), (["0", "1", "-1"], 3), (["1", "2"], 2), (["0", "maybe"], 2)]
)
def test_unknown_labels_raise_an_error_that_lists_them_and_names_the_options(values, row):
    with pytest.raises(DataError) as raised:
        parse_labels(pd.Series(values, name="class"), "x.csv")
    message = str(raised.value)
    assert f'x.csv, row {row}: column "class" is "{values[row - 1]}": expected 0 or 1' in message
    assert all(f'"{value}" 1' in message for value in values)
    assert "--columns.positive-label" in message
    assert "--columns.unlabelled" in message


def test_the_labels_of_a_whole_file_are_checked():
    values = pd.Series(["1", "1", "-1", ""], name="class")
    with collect_notices() as notices:
        check_labels(parse_labels(values, "x.csv"), values, "x.csv", ())
    first, second = map(str, notices)
    assert first.startswith('x.csv: 1 of 4 rows have no label in column "class".')
    assert first.endswith("Row: 4.")
    assert '66.7% of the labels in column "class" are fraud ("1" 2, "-1" 1, "" 1). If the other label' in second
    with pytest.raises(DataError, match=r'no label of fraud or genuine. Its values are "" 2'):
        check_labels(np.array([-1, -1]), pd.Series(["", ""]), "x.csv", ())
    with pytest.raises(DataError, match=r'no row of column "class" is bad'):
        check_labels(np.array([0, 0]), pd.Series(["ok", "ok"], name="class"), "x.csv", ("bad",))


def test_several_labels_that_count_as_genuine_are_listed():
    values = pd.Series(["1", "2", "3", "2", "unknown"], name="class")
    with collect_notices() as notices:
        check_labels(parse_labels(values, "x.csv", ["1"]), values, "x.csv", ["1"])
    first, second = map(str, notices)
    assert 'have no label in column "class" (unknown).' in first
    assert second.startswith('x.csv: column "class" has several labels that count as genuine: "2" 2, "3" 1.')
