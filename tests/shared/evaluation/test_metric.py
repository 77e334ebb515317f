"""How metrics are compared and written."""

from __future__ import annotations

import pytest

from shared.evaluation.classification import ACCURACY, LOG_LOSS, ROC_AUC
from shared.evaluation.metric import Metric, best_baseline, common_heading, find_metric, format_score
from tests.shared.evaluation.scores import SCORES, score

CRPS = Metric("crps_{days}d", "CRPS {days}d", higher_is_better=False)
COVERAGE = Metric("coverage_80_{days}d", "80 % coverage {days}d", unit="%", decimals=1, target=0.8)
METRICS = (ACCURACY, LOG_LOSS, CRPS, COVERAGE)


def test_the_best_baseline_has_the_highest_accuracy_or_the_lowest_loss():
    assert best_baseline(SCORES, ACCURACY, ["exported"]).model == "a"
    assert best_baseline(SCORES, LOG_LOSS, ["exported"]).model == "b"


def test_an_undefined_metric_has_no_best_baseline():
    assert best_baseline(SCORES, ROC_AUC, ["exported"]) is None


def test_the_best_value_of_a_metric_with_a_target_is_the_nearest():
    values = {"a": 0.7, "b": 0.82, "c": 0.99}
    scores = [score(model, "coverage_80_5d", value) for model, value in values.items()]
    assert best_baseline(scores, find_metric(METRICS, "coverage_80_5d"), ["exported"]).model == "b"


def test_a_metric_of_a_new_task_is_compared_by_its_own_direction():
    scores = [score("a", "edit_distance", 3.0), score("b", "edit_distance", 9.0)]
    assert best_baseline(scores, Metric("edit_distance", "edit distance", higher_is_better=False), []).model == "a"
    assert best_baseline(scores, Metric("edit_distance", "edit distance"), []).model == "b"


@pytest.mark.parametrize(
    ("name", "value", "text", "heading"),
    [
        ("accuracy", 0.8325, "83.25", "accuracy %"),
        ("coverage_80_5d", 0.775, "77.5", "80 % coverage 5d"),
        ("crps_20d", 0.0123, "0.0123", "CRPS 20d"),
        ("log_loss", 0.5, "0.5000", "log loss, nats"),
    ],
)
def test_values_and_headings(name, value, text, heading):
    metric = find_metric(METRICS, name)
    assert metric.name == name
    assert metric.format(value) == text
    assert metric.heading == heading


@pytest.mark.parametrize("name", ["crps", "crps_xd", "crps_5d_more", "accuracy_1d"])
def test_a_name_that_no_metric_matches_is_an_error(name):
    with pytest.raises(ValueError, match=f"{name} is not a metric of the task"):
        find_metric(METRICS, name)


def test_a_score_without_an_interval_is_written_without_one():
    assert format_score(ACCURACY, score("a", "accuracy", 0.9, 0.89, 0.91)) == "90.00 (89.00–91.00)"
    assert format_score(ACCURACY, score("a", "accuracy", 0.9)) == "90.00"
    assert format_score(ACCURACY, score("a", "accuracy", 0.9, float("nan"), float("nan"))) == "90.00"


def test_the_common_heading_names_shared_words_once():
    assert common_heading([find_metric(METRICS, f"crps_{days}d") for days in (1, 5, 20)]) == "CRPS 1d / 5d / 20d"
    assert common_heading([find_metric(METRICS, f"coverage_80_{days}d") for days in (1, 5)]) == "80 % coverage 1d / 5d"
    assert common_heading([Metric(f"accuracy_{k}", f"accuracy {k}", unit="%") for k in "ab"]) == "accuracy a / b %"
    assert common_heading([ACCURACY]) == "accuracy %"
