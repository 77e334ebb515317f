"""Results stand beside the best baseline by each metric, and are JSON whatever the metric gave."""

import json

from shared import report
from shared.evaluation import Score


def score(model, metric, value):
    return Score(model, metric, value, value, value)


SCORES = [
    score("exported", "accuracy", 0.9),
    score("a", "accuracy", 0.8),
    score("b", "accuracy", 0.7),
    score("exported", "log_loss", 0.3),
    score("a", "log_loss", 0.5),
    score("b", "log_loss", 0.4),
    score("a", "roc_auc", float("nan")),
]


def test_the_best_baseline_is_the_highest_accuracy_and_the_lowest_loss():
    assert report.best_baseline(SCORES, "accuracy", ["exported"]).model == "a"
    assert report.best_baseline(SCORES, "log_loss", ["exported"]).model == "b"


def test_a_metric_that_is_not_defined_is_no_baseline_and_null_in_json():
    assert report.best_baseline(SCORES, "roc_auc", ["exported"]) is None
    ready = report._json_ready({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": (1, "x")})
    assert json.loads(json.dumps(ready, allow_nan=False)) == {"a": [None, 1.5], "b": {"c": None}, "d": [1, "x"]}


def test_the_table_has_a_row_for_each_model_and_a_column_for_each_metric():
    lines = report.score_table(SCORES).splitlines()
    assert lines[0] == "| model | accuracy | log_loss | roc_auc |"
    assert lines[2] == "| exported | 0.9000 (0.9000–0.9000) | 0.3000 (0.3000–0.3000) |  |"
    assert [line.split("|")[1].strip() for line in lines[2:]] == ["exported", "a", "b"]


def test_the_machine_is_told_by_kind_and_not_by_name():
    import platform

    assert "cores" in report.machine()
    assert platform.node() not in report.machine() or not platform.node()


def test_of_a_coverage_the_nearest_is_best_and_of_a_crps_the_lowest():
    scores = [score("a", "coverage_80_5d", 0.7), score("b", "coverage_80_5d", 0.82), score("c", "coverage_80_5d", 0.99)]
    assert report.best_baseline(scores, "coverage_80_5d", ["exported"]).model == "b"
    scores = [
        score("a", "crps_20d", 0.7),
        score("b", "crps_20d", 0.6),
        score("a", "crps_skill", 0.1),
        score("b", "crps_skill", 0.2),
    ]
    assert report.best_baseline(scores, "crps_20d", ["exported"]).model == "b"
    assert report.best_baseline(scores, "crps_skill", ["exported"]).model == "b"


def test_many_metrics_stand_one_below_the_other():
    scores = [score(model, f"m{k}", k / 10) for model in ("exported", "a") for k in range(8)]
    lines = report.score_table(scores).splitlines()
    assert lines[0] == "| metric | exported | a |"
    assert len(lines) == 10
    assert lines[3].startswith("| m1 | 0.1000")
