"""Metrics of multi-label classifiers equal those of scikit-learn; thresholds maximize F1 and ignore chance."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from shared.evaluation import multilabel, scoring

NAMES = [metric.name for metric in multilabel.MULTILABEL_METRICS]


@pytest.fixture(scope="module")
def example():
    rng = np.random.default_rng(0)
    labels = (rng.random((200, 4)) < [0.5, 0.3, 0.1, 0.05]).astype(np.float32)
    probabilities = np.round(0.4 * labels + 0.6 * rng.random(labels.shape), 2)  # some are equal
    return labels, probabilities, probabilities > 0.55


def values(*arrays):
    return {metric.name: metric.compute(*arrays) for metric in multilabel.MULTILABEL_METRICS}


def test_the_metrics_are_those_of_scikit_learn(example):
    labels, probabilities, has_label = example
    expected = {
        "f1_macro": metrics.f1_score(labels, has_label, average="macro"),
        "f1_micro": metrics.f1_score(labels, has_label, average="micro"),
        "f1_samples": metrics.f1_score(labels, has_label, average="samples", zero_division=1.0),
        "average_precision_macro": metrics.average_precision_score(labels, probabilities, average="macro"),
        "exact_match": metrics.accuracy_score(labels, has_label),
        "hamming_loss": metrics.hamming_loss(labels, has_label),
        "log_loss": np.mean([metrics.log_loss(labels[:, k], probabilities[:, k]) for k in range(4)]),
    }
    result = values(*example)
    assert {name: result[name] for name in expected} == pytest.approx(expected)
    assert 0 < result["expected_calibration_error"] < 1


def test_each_metric_has_an_interval_around_its_value(example):
    labels, probabilities, has_label = example
    scores = scoring.score("m", labels, probabilities, multilabel.MULTILABEL_METRICS, has_label)
    assert [score.metric for score in scores] == NAMES
    assert all(score.low < score.value < score.high for score in scores)


def test_a_label_that_neither_occurs_nor_is_predicted_does_not_count():
    labels = np.array([[1, 0, 0], [0, 0, 0]], np.float32)
    probabilities = np.array([[0.9, 0.1, 0.1], [0.1, 0.1, 0.8]])
    result = values(labels, probabilities, probabilities > 0.5)
    assert result["f1_macro"] == pytest.approx(0.5)  # 1 and 0; the second label does not count
    assert result["f1_samples"] == pytest.approx(0.5)
    assert result["average_precision_macro"] == 1.0
    empty = np.zeros((2, 2), np.float32)
    nothing = values(empty, empty, empty > 0)
    assert np.isnan([nothing["f1_macro"], nothing["f1_micro"], nothing["average_precision_macro"]]).all()
    assert (nothing["f1_samples"], nothing["exact_match"], nothing["hamming_loss"]) == (1.0, 1.0, 0.0)


def test_scores_by_label_are_those_of_scikit_learn(example):
    labels, probabilities, has_label = example
    result = multilabel.scores_by_label(labels, probabilities, has_label, "abcd", np.full(4, 0.55))
    expected = metrics.precision_recall_fscore_support(labels, has_label)
    for k, name in enumerate("abcd"):
        row = [result[name][key] for key in ("precision", "recall", "f1", "support")]
        assert row == pytest.approx([values[k] for values in expected], abs=1e-4)
        assert result[name]["threshold"] == 0.55
    none = multilabel.scores_by_label(np.zeros((2, 1)), np.zeros((2, 1)), np.zeros((2, 1), bool), "a", np.array([0.5]))
    assert np.isnan([none["a"][key] for key in ("precision", "recall", "f1", "average_precision")]).all()


def test_thresholds_maximize_f1_in_the_middle_of_a_gap():
    labels = np.repeat([[0.0], [1.0]], 50, axis=0)
    probabilities = np.concatenate([np.linspace(0.0, 0.1, 50), np.linspace(0.3, 0.35, 50)])[:, None]
    (threshold,) = multilabel.choose_thresholds(labels, probabilities)
    assert 0.1 < threshold < 0.31
    rng = np.random.default_rng(0)
    labels = (rng.random((2000, 1)) < 0.2).astype(float)
    probabilities = np.clip(0.15 * labels + 0.3 * rng.random(labels.shape), 0, 1)
    (threshold,) = multilabel.choose_thresholds(labels, probabilities)
    best = max(metrics.f1_score(labels, probabilities > t) for t in np.linspace(0, 0.5, 200))
    assert metrics.f1_score(labels, probabilities >= threshold) == pytest.approx(best, abs=0.01)


def test_a_rare_label_has_the_threshold_of_all_labels():
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 3)) < [0.4, 0.4, 0.01]).astype(float)
    probabilities = 0.2 * labels + 0.1 * rng.random(labels.shape)
    thresholds = multilabel.choose_thresholds(labels, probabilities)
    assert labels[:, 2].sum() < multilabel.MIN_POSITIVES
    assert 0.1 <= thresholds[2] <= 0.21
    assert multilabel.choose_thresholds(labels * 0, probabilities).tolist() == [0.5] * 3
    assert multilabel.choose_thresholds(labels, np.zeros_like(labels)).tolist() == [0.5] * 3


def test_thresholds_of_few_examples_stay_near_one_half():
    """One example more or less is chance, and does not move a threshold away from 0.5."""
    labels = np.array([1] * 12 + [0] * 12)[:, None]
    probabilities = np.array([0.9] * 11 + [0.05] + [0.01] * 12)[:, None]
    (threshold,) = multilabel.choose_thresholds(labels, probabilities)
    assert 0.4 < threshold < 0.6
