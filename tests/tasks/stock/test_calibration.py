"""Conformal calibration: coverage on new data, and the properties of the calibrated distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from tasks.stock.calibration import (
    KNOT_Z_SCORES,
    KNOTS,
    calibrate,
    conformal_z_scores,
    interpolate_z_scores,
    z_scores_at_levels,
)
from tasks.stock.predictive import LEVELS


def test_calibration_corrects_a_forecast_with_small_scale_and_light_tails():
    rng = np.random.default_rng(0)
    validation, test = (1.5 * t(4).rvs((20_000, 1), random_state=rng) for _ in range(2))
    z_scores = conformal_z_scores(validation)
    for level in (0.025, 0.1, 0.5, 0.9, 0.975):
        coverage = np.mean(test < interpolate_z_scores(z_scores[0], norm.ppf(level)))
        assert coverage == pytest.approx(level, abs=0.01)


def test_quantiles_are_conformal_and_symmetric():
    outcomes = np.arange(1, 1000, dtype=float)[:, None]  # 999 outcomes: k is exactly the quantile at level k / 1000
    z_scores = conformal_z_scores(outcomes)[0]
    np.testing.assert_allclose(z_scores[KNOTS > 0.5], np.ceil(1000 * (2 * KNOTS[KNOTS > 0.5] - 1) - 1e-9), atol=0.02)
    np.testing.assert_array_equal(z_scores, -z_scores[::-1])


def test_calibration_does_not_move_the_median():
    z_scores = conformal_z_scores(0.5 + np.random.default_rng(0).normal(size=(5000, 1)))
    assert interpolate_z_scores(z_scores[0], np.zeros(1))[0] == 0


def test_few_outcomes_give_the_nominal_z_scores():
    outcomes = np.where(np.arange(5000) < 50, 3.0, np.nan)[:, None]
    np.testing.assert_array_equal(conformal_z_scores(outcomes)[0], KNOT_Z_SCORES)


def test_the_calibrated_density_integrates_to_one():
    z_scores = conformal_z_scores(1.4 * np.random.default_rng(0).normal(size=(5000, 1)))
    outcomes = np.linspace(-12, 12, 20_001)[:, None]
    density, nominal = calibrate(norm.logpdf(outcomes), outcomes, z_scores)
    assert np.trapezoid(np.exp(density[:, 0]), outcomes[:, 0]) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(interpolate_z_scores(z_scores[0], nominal[:, 0]), outcomes[:, 0], atol=1e-6)


def test_calibrated_z_scores_increase_with_the_level():
    z_scores = conformal_z_scores(np.random.default_rng(0).normal(size=(300, 2)))
    assert z_scores_at_levels(z_scores).shape == (2, len(LEVELS))
    assert (np.diff(z_scores_at_levels(z_scores), axis=1) > 0).all()
