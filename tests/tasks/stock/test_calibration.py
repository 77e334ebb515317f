"""Conformal calibration gives the coverage it says, on days it has not seen."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from tasks.stock.calibration import KNOTS, NORMAL_KNOTS, at_levels, between, calibrate, normals_of
from tasks.stock.predictive import LEVELS


def test_a_forecast_too_narrow_and_too_light_is_put_right():
    rng = np.random.default_rng(0)
    seen, unseen = (1.5 * t(4).rvs((20_000, 1), random_state=rng) for _ in range(2))
    normals = normals_of(seen)
    for level in (0.025, 0.1, 0.5, 0.9, 0.975):
        assert np.mean(unseen < between(normals[0], norm.ppf(level))) == pytest.approx(level, abs=0.01)


def test_the_outer_quantiles_lean_outwards_as_conformal_ones_do():
    numbers = np.arange(1, 1000, dtype=float)[:, None]  # 999 of them: the k-th of (n + 1) lies exactly at k / 1000
    normals = normals_of(numbers)[0]
    np.testing.assert_allclose(normals[KNOTS > 0.5], np.ceil(1000 * (2 * KNOTS[KNOTS > 0.5] - 1) - 1e-9), atol=0.02)
    np.testing.assert_array_equal(normals, -normals[::-1])


def test_the_middle_of_a_year_that_rose_is_not_passed_on():
    normals = normals_of(0.5 + np.random.default_rng(0).normal(size=(5000, 1)))
    assert between(normals[0], np.zeros(1))[0] == 0


def test_with_few_answers_nothing_is_changed():
    numbers = np.where(np.arange(5000) < 50, 3.0, np.nan)[:, None]
    np.testing.assert_array_equal(normals_of(numbers)[0], NORMAL_KNOTS)


def test_the_density_after_calibration_is_one():
    normals = normals_of(1.4 * np.random.default_rng(0).normal(size=(5000, 1)))
    raw = np.linspace(-12, 12, 20_001)[:, None]
    density, nominal = calibrate(norm.logpdf(raw), raw, normals)
    assert np.trapezoid(np.exp(density[:, 0]), raw[:, 0]) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(between(normals[0], nominal[:, 0]), raw[:, 0], atol=1e-6)


def test_levels_increase():
    normals = normals_of(np.random.default_rng(0).normal(size=(300, 2)))
    assert at_levels(normals).shape == (2, len(LEVELS))
    assert (np.diff(at_levels(normals), axis=1) > 0).all()
