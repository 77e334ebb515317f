"""How metrics are compared and written."""

from __future__ import annotations

import pytest

from shared import metric_format
from tests.shared.scores import SCORES, score


def test_the_best_baseline_has_the_highest_accuracy_or_the_lowest_loss():
    assert metric_format.best_baseline(SCORES, "accuracy", ["exported"]).model == "a"
    assert metric_format.best_baseline(SCORES, "log_loss", ["exported"]).model == "b"


def test_an_undefined_metric_has_no_best_baseline():
    assert metric_format.best_baseline(SCORES, "roc_auc", ["exported"]) is None


def test_the_best_coverage_is_the_nearest_to_its_level_and_the_best_crps_the_lowest():
    scores = [score("a", "coverage_80_5d", 0.7), score("b", "coverage_80_5d", 0.82), score("c", "coverage_80_5d", 0.99)]
    assert metric_format.best_baseline(scores, "coverage_80_5d", ["exported"]).model == "b"
    scores = [
        score("a", "crps_20d", 0.7),
        score("b", "crps_20d", 0.6),
        score("a", "crps_skill", 0.1),
        score("b", "crps_skill", 0.2),
    ]
    assert metric_format.best_baseline(scores, "crps_20d", ["exported"]).model == "b"
    assert metric_format.best_baseline(scores, "crps_skill", ["exported"]).model == "b"


@pytest.mark.parametrize(
    ("metric", "value", "text", "title"),
    [
        ("accuracy", 0.8325, "83.25", "accuracy %"),
        ("accuracy_1d", 0.5152, "51.52", "accuracy 1d %"),
        ("word_error_rate", 0.1112, "11.12", "word error rate %"),
        ("coverage_80", 0.775, "77.5", "80 % coverage"),
        ("perplexity_adaptive", 81.774, "81.77", "perplexity with cache"),
        ("crps_skill", 0.0661, "0.0661", "CRPS skill"),
        ("crps_5d", 0.0123, "0.0123", "CRPS 5d"),
        ("log_loss", 0.5, "0.5000", "log loss, nats"),
    ],
)
def test_values_and_titles(metric, value, text, title):
    assert metric_format.format_value(metric, value) == text
    assert metric_format.title(metric) == title


def test_a_score_without_an_interval_is_written_without_one():
    assert metric_format.format_score(score("a", "accuracy", 0.9, 0.89, 0.91)) == "90.00 (89.00–91.00)"
    assert metric_format.format_score(score("a", "accuracy", 0.9)) == "90.00"
    assert metric_format.format_score(score("a", "accuracy", 0.9, float("nan"), float("nan"))) == "90.00"


def test_the_common_title_names_shared_words_once():
    assert metric_format.common_title(["crps_1d", "crps_5d", "crps_20d"]) == "CRPS 1d / 5d / 20d"
    assert metric_format.common_title(["accuracy"]) == "accuracy %"
    assert metric_format.common_title(["accuracy_a", "accuracy_b"]) == "accuracy a / b %"
    assert metric_format.common_title(["coverage_80_1d", "coverage_80_5d"]) == "80 % coverage 1d / 5d"
    assert metric_format.title("coverage_80_5d") == "80 % coverage 5d"
