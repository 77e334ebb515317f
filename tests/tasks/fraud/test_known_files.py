"""Public data sets are recognized by their columns, but only if the user names none."""

from __future__ import annotations

import shlex

import pytest

from shared.cli import options
from shared.data.notices import collect_notices
from tasks.fraud.config import ColumnsConfig
from tasks.fraud.known_files import KNOWN_FILES, as_options, column_names, find_known_file, recognize_columns

PAYSIM = ["step", "type", "amount", "nameOrig", "oldbalanceOrg", "nameDest", "isFraud", "isFlaggedFraud"]


@pytest.mark.parametrize("known", KNOWN_FILES, ids=lambda known: known.name)
def test_a_data_set_is_recognized_with_a_notice_whose_options_equal_it(known):
    available = ["Unnamed: 0", *column_names(known.columns), "another"]
    with collect_notices() as notices:
        columns = recognize_columns(ColumnsConfig(), available, "x.csv")
    assert column_names(columns) == column_names(known.columns)
    assert columns.time_unit == known.columns.time_unit
    (notice,) = notices
    assert known.name in notice.message
    words = shlex.split(notice.hint.removeprefix("This equals "))
    typed, _ = options.parse_options("train", "fraud", words, {})
    assert typed.columns == columns


@pytest.mark.parametrize(
    "columns",
    [
        ColumnsConfig(card="nameOrig"),
        ColumnsConfig(card="CUSTOMER_ID"),  # named, though it is the default
        ColumnsConfig(numeric=("oldbalanceOrg",)),
    ],
)
def test_nothing_is_recognized_if_a_column_was_named(columns):
    assert recognize_columns(columns, PAYSIM, "x.csv") == columns


def test_the_defaults_have_precedence_and_two_candidates_are_no_answer():
    default = ColumnsConfig()
    assert recognize_columns(default, [*column_names(default), *PAYSIM], "x.csv") == default
    banksim = ["step", "customer", "merchant", "category", "amount", "fraud"]
    assert find_known_file(banksim) is not None
    assert find_known_file([*banksim, *PAYSIM]) is None
    assert recognize_columns(default, ["a", "b"], "x.csv") == default


def test_labels_that_were_named_are_kept():
    columns = recognize_columns(ColumnsConfig(positive_label=("x",), time_unit="days"), PAYSIM, "x.csv")
    assert columns.positive_label == ("x",)
    assert columns.time_unit == "days"
    assert "--columns.terminal nameDest" in as_options(columns)
