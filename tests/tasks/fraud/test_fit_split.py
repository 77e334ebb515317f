"""Lengths of the split are fitted to few days, unless the user chose them; a proposal has fraud in every span."""

from __future__ import annotations

import re
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shared.config import DefaultInt
from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud.config import FraudSplitConfig
from tasks.fraud.fit_split import fit_split, propose_split, require_both_classes
from tasks.fraud.split import Bounds, find_bounds, find_empty_class, mark_rows, split_spans

DAY, HOUR = 86_400, 3_600
START = 18_000 * DAY  # 2019-04-14


def bounds_of(days: float) -> Bounds:
    return Bounds(START, START + round(days * 24) * HOUR)


def lengths(split: FraudSplitConfig) -> tuple[float, float, float]:
    return split.training_days, split.label_delay_days, split.test_days


@pytest.mark.parametrize(
    ("days", "expected"),
    [(35, (7, 7, 7)), (34, (7, 6, 6)), (20, (4, 4, 4)), (14, (6, 2, 2)), (6, (2, 1, 1)), (5, (1, 1, 1))],
)
def test_lengths_are_fitted_to_few_days(days, expected):
    with collect_notices() as notices:
        split = fit_split(FraudSplitConfig(), bounds_of(days), "x.csv")
    assert lengths(split) == expected
    assert split_spans(split, bounds_of(days))["train"].training_start >= START
    assert len(notices) == (days < 35)
    if notices:
        training, delay, test = expected
        assert f"{training} training days, {delay} days of label delay, {test} test days" in notices[0].message
        assert f"--split.training-days {training}" in notices[0].hint


def test_two_days_are_divided_by_hours():
    bounds = bounds_of(2)
    split = fit_split(FraudSplitConfig(), bounds, "x.csv")
    assert [round(value * 24) for value in lengths(split)] == [20, 4, 9] or sum(lengths(split)) < 2
    spans = split_spans(split, bounds)
    assert spans["train"].training_start >= bounds.first
    assert spans["test"].scored_end == bounds.end
    assert spans["test"].scored_start - spans["validation"].training_end == round(split.label_delay_days * 24) * HOUR


def test_lengths_that_the_user_chose_stay_and_the_others_are_fitted():
    split = fit_split(FraudSplitConfig(label_delay_days=2), bounds_of(20), "x.csv")
    assert lengths(split) == (6, 2, 5)
    assert fit_split(FraudSplitConfig(training_days=DefaultInt(60)), bounds_of(40), "x").training_days < 40
    with pytest.raises(
        DataError, match=r"35 days are needed.*These fit: --split.training-days 4 --split.label-delay-days 4"
    ):
        fit_split(FraudSplitConfig(None, 7, 7, 7), bounds_of(20), "x.csv")


def test_a_first_day_that_does_not_fit_names_those_that_do():
    with pytest.raises(DataError, match=r"--split.training-from can be 2019-04-28 to 2019-05-10"):
        fit_split(FraudSplitConfig(date(2021, 1, 1), 7, 7, 7), bounds_of(41), "x.csv")
    fitted = fit_split(FraudSplitConfig(date(2019, 4, 20)), bounds_of(40), "x.csv")  # six days before it
    assert fitted.label_delay_days + fitted.test_days <= 6


def test_hopelessly_few_hours_are_an_error():
    with pytest.raises(DataError, match=r"4 hours, which are too few.*Use more days"):
        fit_split(FraudSplitConfig(), bounds_of(4 / 24), "x.csv")


def build_frame(fraud_days: range, days: int = 60) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    time = np.sort(rng.integers(0, days * DAY, 20 * days)) + START
    is_fraud = np.isin((time - START) // DAY, list(fraud_days)) & (rng.uniform(size=len(time)) < 0.3)
    card = rng.integers(0, 300, len(time)).astype(str).astype(object)
    return pd.DataFrame({"card": card, "time": time, "fraud": is_fraud.astype(np.int8)})


def test_an_error_about_missing_fraud_names_days_with_fraud_and_a_split_that_works():
    frame, bounds = build_frame(range(6, 20)), bounds_of(60)
    with pytest.raises(DataError, match=r"split has no frauds.* Days with fraud: 2019-04-20 to 2019-05-03") as raised:
        require_both_classes(frame, FraudSplitConfig(), bounds, True, "x.csv")
    words = dict(re.findall(r"--split\.([\w-]+) ([\d-]+\d|\d+)", str(raised.value)))
    split = FraudSplitConfig(
        date.fromisoformat(words["training-from"]),
        *(int(words[name]) for name in ("training-days", "label-delay-days", "test-days")),
    )
    assert not find_empty_class(mark_rows(frame, split, bounds, True), frame["fraud"].to_numpy())


def test_the_first_day_of_a_proposal_for_relative_times_is_a_number():
    frame = build_frame(range(6, 20))
    frame["time"] -= START
    split = propose_split(frame, FraudSplitConfig(), Bounds(0, 60 * DAY), True)
    assert isinstance(split.training_from, int)
    assert split_spans(split, Bounds(0, 60 * DAY))["validation"].training_start == split.training_from * DAY


def test_no_split_is_proposed_if_no_split_has_fraud_in_each_span():
    assert propose_split(build_frame(range(30, 31)), FraudSplitConfig(), bounds_of(60), True) is None
    with pytest.raises(DataError, match="no transaction is labelled as fraud; 1,200 are genuine"):
        require_both_classes(build_frame(range(0)), FraudSplitConfig(), bounds_of(60), True, "x.csv")


def test_pending_labels_do_not_count_for_the_end_of_the_split():
    time = START + np.arange(40 * 24) * HOUR
    is_labelled = time < START + 30 * DAY
    assert find_bounds(time, is_labelled) == Bounds(START, START + 30 * DAY)
    is_labelled[35 * 24] = True  # one fraud that is known early
    assert find_bounds(time, is_labelled) == Bounds(START, START + 30 * DAY)


def test_rows_without_a_label_are_neither_trained_nor_scored():
    frame = build_frame(range(60))
    frame.loc[::3, "fraud"] = -1
    for is_training, is_scored in mark_rows(frame, FraudSplitConfig(), bounds_of(60), True).values():
        assert not is_training[::3].any()
        assert not is_scored[::3].any()
