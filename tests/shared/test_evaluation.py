"""Metrics, intervals and calibration against known values."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax
from scipy.stats import binom

from shared import evaluation


def sample_labels(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels sampled from the softmax of logits, and those logits multiplied by `temperature`, so overconfident."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    return labels, logits * temperature


def test_metrics_of_a_small_example_equal_those_computed_by_hand():
    labels = np.array([0, 1, 1, 0])
    probabilities = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.7, 0.3]])
    assert evaluation.accuracy(labels, probabilities) == 0.75
    assert evaluation.f1_macro(labels, probabilities) == pytest.approx((0.8 + 2 / 3) / 2)
    assert evaluation.roc_auc(labels, probabilities) == 1.0
    assert evaluation.log_loss(labels, probabilities) == pytest.approx(-np.log([0.9, 0.8, 0.4, 0.7]).mean())
    # bins of width 1/15 with one example each: 0.6 (wrong), 0.7 (correct), 0.8 (correct), 0.9 (correct)
    assert evaluation.expected_calibration_error(labels, probabilities) == pytest.approx((0.6 + 0.3 + 0.2 + 0.1) / 4)


def test_interval_of_an_accuracy_equals_the_binomial_interval():
    labels = np.zeros(400, int)
    probabilities = np.tile([0.9, 0.1], (400, 1))
    probabilities[:80] = [0.1, 0.9]
    (score,) = evaluation.score("m", labels, probabilities, {"accuracy": evaluation.accuracy})
    low, high = binom.interval(0.95, 400, 0.8) / np.float64(400)
    assert score.value == 0.8
    assert score.low == pytest.approx(low, abs=0.012)
    assert score.high == pytest.approx(high, abs=0.012)


def test_calibration_finds_the_temperature_and_reduces_the_calibration_error():
    labels, overconfident = sample_labels(4000, temperature=3.0)
    (weight,) = evaluation.calibrate([overconfident], labels)
    assert weight == pytest.approx(1 / 3, rel=0.1)
    before = evaluation.expected_calibration_error(labels, softmax(overconfident, axis=1))
    after = evaluation.expected_calibration_error(labels, evaluation.mix_probabilities([overconfident], (weight,)))
    assert before > 0.1 > 0.03 > after
    calibrated = evaluation.mix_probabilities([overconfident], (weight,))
    np.testing.assert_allclose(
        evaluation.undo_temperature(calibrated, weight), softmax(overconfident, axis=1), atol=1e-6
    )


def test_calibration_gives_a_model_of_noise_almost_no_weight():
    labels, good = sample_labels(4000, temperature=1.0)
    noise = np.random.default_rng(9).normal(size=good.shape)
    good_weight, noise_weight = evaluation.calibrate([good, noise], labels)
    assert good_weight == pytest.approx(1.0, rel=0.1)
    assert noise_weight < 0.05


def test_weight_is_limited_if_the_validation_split_has_no_mistakes():
    labels = np.array([0, 1] * 50)
    logits = np.eye(2)[labels]
    (weight,) = evaluation.calibrate([logits], labels)
    assert weight <= np.exp(evaluation.LOG_WEIGHT_RANGE[1]) + 1e-6


def test_roc_auc_is_nan_if_a_class_is_missing():
    assert np.isnan(evaluation.roc_auc(np.zeros(3, int), np.tile([0.5, 0.5], (3, 1))))


def test_perfect_predictions_have_an_interval_without_a_warning(recwarn):
    labels = np.array([0, 1] * 20)
    scores = evaluation.score("m", labels, np.eye(2)[labels] * 0.98 + 0.01, evaluation.CLASSIFICATION_METRICS)
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
        score = evaluation.block_bootstrap_score("model", "mean", sums, mean, block_length=20)
        assert score.value == pytest.approx(values.mean())
        assert score.low < score.value < score.high
        widths.append(score.high - score.low)
    assert widths[0] == pytest.approx(2 * 1.96 / 20, rel=0.25)
    assert widths[1] > 3 * widths[0]
