"""Metrics of classifiers against values computed by hand."""

from __future__ import annotations

import numpy as np
import pytest

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
