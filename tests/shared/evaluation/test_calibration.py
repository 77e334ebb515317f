"""Calibration against known temperatures."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from shared.evaluation import calibration
from shared.evaluation.classification import expected_calibration_error


def sample_labels(count: int, temperature: float, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Returns labels sampled from the softmax of logits, and those logits multiplied by `temperature`, so overconfident."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 2, (count, 3))
    labels = np.array([rng.choice(3, p=p) for p in softmax(logits, axis=1)])
    return labels, logits * temperature


def test_calibration_finds_the_temperature_and_reduces_the_calibration_error():
    labels, overconfident = sample_labels(4000, temperature=3.0)
    (weight,) = calibration.calibrate([overconfident], labels)
    assert weight == pytest.approx(1 / 3, rel=0.1)
    before = expected_calibration_error(labels, softmax(overconfident, axis=1))
    after = expected_calibration_error(labels, softmax(weight * overconfident, axis=1))
    assert before > 0.1 > 0.03 > after
    calibrated = softmax(weight * overconfident, axis=1)
    np.testing.assert_allclose(
        calibration.undo_temperature(calibrated, weight), softmax(overconfident, axis=1), atol=1e-6
    )


def test_calibration_gives_a_model_of_noise_almost_no_weight():
    labels, good = sample_labels(4000, temperature=1.0)
    noise = np.random.default_rng(9).normal(size=good.shape)
    good_weight, noise_weight = calibration.calibrate([good, noise], labels)
    assert good_weight == pytest.approx(1.0, rel=0.1)
    assert noise_weight < 0.05


def test_weight_is_limited_if_the_validation_split_has_no_mistakes():
    labels = np.array([0, 1] * 50)
    logits = np.eye(2)[labels]
    (weight,) = calibration.calibrate([logits], labels)
    assert weight <= np.exp(calibration.LOG_WEIGHT_RANGE[1]) + 1e-6


def test_calibration_of_several_labels_finds_the_temperature_of_the_sigmoids():
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 2, (4000, 3))
    labels = (rng.random((4000, 3)) < 1 / (1 + np.exp(-logits))).astype(np.float32)
    weight, noise_weight = calibration.calibrate([3 * logits, rng.normal(size=logits.shape)], labels)
    assert weight == pytest.approx(1 / 3, rel=0.1)
    assert noise_weight < 0.1
