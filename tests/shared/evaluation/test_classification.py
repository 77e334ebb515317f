"""Metrics of classifiers against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics

from shared.evaluation import classification


def test_metrics_of_a_small_example_equal_those_computed_by_hand():
    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    assert classification.accuracy(labels, probabilities) == 0.75
    assert classification.f1_macro(labels, probabilities) == pytest.approx((0.8 + 2 / 3) / 2)
    assert classification.roc_auc(labels, probabilities) == 1.0
    assert classification.log_loss(labels, probabilities) == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean())
    # bins of width 1/15 with one example each: 0.6 (wrong), 0.7 (correct), 0.8 (correct), 0.9 (correct)
    assert classification.expected_calibration_error(labels, probabilities) == pytest.approx(
        (0.6 + 0.3 + 0.2 + 0.1) / 4
    )


def test_roc_auc_is_nan_if_a_class_is_missing():
    assert np.isnan(classification.roc_auc(np.zeros(3, int), np.tile([0.5, 0.5], (3, 1))))


def test_roc_auc_of_many_classes_leaves_out_those_that_do_not_occur():
    probabilities = np.array([[0.7, 0.2, 0.1], [0.3, 0.6, 0.1], [0.6, 0.3, 0.1]])
    assert classification.roc_auc(np.array([0, 1, 1]), probabilities) == 1.0


def test_roc_auc_of_many_classes_is_the_mean_of_scikit_learn():
    rng = np.random.default_rng(0)
    labels, probabilities = rng.integers(0, 5, 100), rng.random((100, 6)).round(1)  # class 5 does not occur
    areas = [metrics.roc_auc_score(labels == k, probabilities[:, k]) for k in range(5)]
    assert classification.roc_auc(labels, probabilities) == pytest.approx(np.mean(areas), abs=1e-12)
    assert np.isnan(classification.roc_auc(np.zeros(3, int), probabilities[:3]))


def test_scores_by_class_have_precision_recall_and_support():
    labels, predictions = np.array([0, 0, 0, 1, 1]), np.array([0, 0, 1, 1, 3])
    scores = classification.scores_by_class(labels, np.eye(4)[predictions], ["a", "b", "c", "d"])
    assert scores["a"] == {"precision": 1.0, "recall": 0.6667, "f1": 0.8, "support": 3}
    assert scores["b"] == {"precision": 0.5, "recall": 0.5, "f1": 0.5, "support": 2}
    assert scores["c"]["support"] == scores["d"]["support"] == 0
    assert np.isnan(scores["c"]["precision"])
    assert scores["d"]["precision"] == 0.0
