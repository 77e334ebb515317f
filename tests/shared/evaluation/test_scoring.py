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


def test_groups_that_are_drawn_twice_count_twice():
    groups = np.repeat(np.arange(200), 5)

    def distinct(rows: np.ndarray, ids: np.ndarray) -> float:
        assert len(rows) == len(ids)
        return float(len(np.unique(ids)))

    score = scoring.group_bootstrap_score("m", "groups", distinct, groups)
    assert (score.low, score.value, score.high) == (200, 200, 200)


def test_the_interval_over_groups_is_that_of_independent_groups():
    rng = np.random.default_rng(0)
    means = np.repeat(rng.normal(0, 1, 300), 4)
    score = scoring.group_bootstrap_score("m", "mean", lambda rows, _: means[rows].mean(), np.repeat(np.arange(300), 4))
    assert score.high - score.low == pytest.approx(2 * 1.96 / np.sqrt(300), rel=0.15)
    single = scoring.group_bootstrap_score("m", "mean", lambda rows, _: means[rows].mean(), np.zeros(1200, int))
    assert np.isnan(single.low)


@pytest.mark.parametrize("seed", range(5))
def test_an_interval_always_contains_its_value(seed):
    rng = np.random.default_rng(seed)
    values = rng.exponential(1, 6)
    highest = scoring.Metric("highest", "highest", compute=lambda labels, x: float(x.max() + len(np.unique(labels))))
    (score,) = scoring.score("m", np.arange(6), values, [highest])
    assert score.low <= score.value <= score.high
    block = scoring.block_bootstrap_score("m", "max", values[:, None], lambda sums: np.abs(sums[..., 0]) ** 3, 1)
    assert block.low <= block.value <= block.high
