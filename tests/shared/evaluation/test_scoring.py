"""Intervals of scores against known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import binom

from shared.evaluation import scoring
from shared.evaluation.classification import ACCURACY, CLASSIFICATION_METRICS


def test_interval_of_an_accuracy_equals_the_binomial_interval():
    labels = np.zeros(400, int)
    probabilities = np.tile([0.9, 0.1], (400, 1))
    probabilities[:80] = [0.1, 0.9]
    (score,) = scoring.score("m", labels, probabilities, [ACCURACY])
    low, high = binom.interval(0.95, 400, 0.8) / np.float64(400)
    assert score.value == 0.8
    assert score.low == pytest.approx(low, abs=0.012)
    assert score.high == pytest.approx(high, abs=0.012)


def test_perfect_predictions_have_an_interval_without_a_warning(recwarn):
    labels = np.array([0, 1] * 20)
    scores = scoring.score("m", labels, np.eye(2)[labels] * 0.98 + 0.01, CLASSIFICATION_METRICS)
    assert all(s.low <= s.value + 1e-9 and s.high >= s.value - 1e-9 for s in scores)
    assert not [w for w in recwarn if "degenerate" in str(w.message).lower() or "BCa" in str(w.message)]


def test_block_bootstrap_interval_is_wider_if_successive_days_are_correlated():
    rng = np.random.default_rng(0)
    independent = rng.normal(0, 1, 400)
    correlated = np.repeat(rng.normal(0, 1, 20), 20)

    def mean(totals: np.ndarray) -> np.ndarray:
        return totals[..., 0] / totals[..., 1]

    widths = []
    for values in (independent, correlated):
        sums = np.stack([values, np.ones(400)], axis=1)
        score = scoring.block_bootstrap_score("model", "mean", sums, mean, block_length=20)
        assert score.value == pytest.approx(values.mean())
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[0] == pytest.approx(2 * 1.96 / 20, rel=0.25)
    assert widths[1] > 3 * widths[0]


def test_a_metric_without_a_function_is_an_error():
    with pytest.raises(ValueError, match="crps has no function"):
        scoring.score("m", np.zeros(2), np.zeros(2), [scoring.Metric("crps", "CRPS")])
