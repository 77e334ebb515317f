"""Files as people have them, in ../shared/cases/tables: each gives the transactions and the notices that are right."""

from __future__ import annotations

import dataclasses
import re
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud import data
from tasks.fraud.config import ColumnsConfig, FraudConfig, FraudSplitConfig
from tasks.fraud.transaction_index import build_transaction_index

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "tables"


@pytest.fixture
def load():
    if not CASES.is_dir():
        pytest.skip(f"{CASES} is absent")

    def load(name: str, **changes):
        config = dataclasses.replace(FraudConfig(data=str(CASES / f"{name}.csv.gz")), **changes)
        with collect_notices() as notices:
            splits = data.load(config)
        return splits, [str(notice) for notice in notices]

    return load


def test_labels_y_and_n(load):
    splits, notices = load("label_yn")
    assert len(splits.test) == 30_142
    assert splits.test["fraud"].value_counts().to_dict() == {0: 29_822, 1: 320}
    assert not [notice for notice in notices if "label" in notice]


def test_pending_labels_are_history_and_the_test_days_end_before_them(load):
    splits, notices = load("label_pending")
    assert notices[0].split(": ", 1)[1].startswith("3,521 of 30,142 rows have no label")
    assert str(np.datetime64(int(splits.test["time"].max()), "s")).startswith("2020-07-23")
    assert splits.size("test") > 3_000
    for frame in (splits.train, splits.validation, splits.test):
        marked = frame["is_training_row"] | frame["is_scored_row"]
        assert set(frame["fraud"][marked]) == {0, 1}


def test_rows_without_a_terminal_share_no_history(load):
    splits, notices = load("missing_terminal")
    assert "1 of 30,142 rows have no terminal (TERMINAL_ID)" in notices[0]
    assert notices[0].endswith("Row: 101.")
    frame = splits.test.copy()
    frame.loc[::50, "terminal"] = ""
    index = build_transaction_index(frame, 7)
    is_empty = frame["terminal"].to_numpy()[index.order] == ""
    assert is_empty.sum() > 600
    assert (index.history_range[is_empty, 0] == index.history_range[is_empty, 1]).all()
    assert not is_empty[index.labelled_rows].any()
    assert (index.history_range[~is_empty, 1] > index.history_range[~is_empty, 0]).mean() > 0.5


@pytest.mark.parametrize(
    "columns",
    [
        ColumnsConfig(),
        ColumnsConfig(
            card="customer", time="step", time_unit="days", amount="amount", label="fraud", terminal="merchant"
        ),
    ],
)
def test_banksim(load, columns):
    splits, notices = load("banksim", columns=columns)
    assert splits.config.columns.time_unit == "days"
    assert splits.test["card"].iloc[0] == "C1000000023"
    assert (splits.test["time"].iloc[0], splits.test["time"].max()) == (0, 59 * 86_400)
    assert any('column "customer" has quotes' in notice for notice in notices)
    assert any("BankSim" in notice for notice in notices) == (columns == ColumnsConfig())
    if columns == ColumnsConfig():
        assert set(splits.test["category"]) >= {"es_travel", "es_misc_net"}


def test_steps_without_a_unit_are_an_error_that_names_the_option(load):
    columns = ColumnsConfig(card="customer", time="step", amount="amount", label="fraud", terminal="merchant")
    with pytest.raises(DataError, match=r"numbers 0 to 59, .*--columns.time-unit seconds\|.*59 days as days"):
        load("banksim", columns=columns)


def test_milliseconds_are_the_same_times(load):
    splits, notices = load("epoch_ms")
    np.testing.assert_array_equal(splits.test["time"], load("label_yn")[0].test["time"])
    assert any("milliseconds since 1970" in notice for notice in notices)


def test_amounts_in_euro_are_the_same_amounts(load):
    splits, _ = load("euro")
    np.testing.assert_allclose(splits.test["amount"], load("label_yn")[0].test["amount"])


def test_fraud_in_the_first_weeks_is_an_error_with_a_split_that_works(load):
    with pytest.raises(DataError, match=r"Days with fraud: 2020-06-07 to 2020-06-20. Use ") as raised:
        load("fraud_early")
    words = dict(re.findall(r"--split\.([\w-]+) ([\d-]*\d)", str(raised.value)))
    split = FraudSplitConfig(
        date.fromisoformat(words["training-from"]),
        *(int(words[name]) for name in ("training-days", "label-delay-days", "test-days")),
    )
    splits, _ = load("fraud_early", split=split)
    assert splits.test["fraud"][splits.test["is_scored_row"]].sum() > 0


def test_the_ulb_sample_is_recognized_and_divided_by_hours(real_data):
    path = real_data / "fraud" / "ulb-creditcard-sample" / "creditcard_sample.csv.gz"
    with collect_notices() as notices:
        splits = data.load(FraudConfig(data=str(path)))
    columns = splits.config.columns
    assert (columns.card, columns.terminal, columns.time, columns.time_unit) == (None, None, ("Time",), "seconds")
    assert columns.numeric == tuple(f"V{k}" for k in range(1, 29))
    assert len(splits.test) == 1_722
    assert splits.config.split.training_days < 1
    assert min(splits.size(name) for name in ("train", "validation", "test")) > 100
    assert any("ULB" in str(notice) for notice in notices)
    assert any("19 rows equal an earlier row" in str(notice) for notice in notices)
