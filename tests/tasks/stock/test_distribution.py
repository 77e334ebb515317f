"""The sinh-arcsinh distribution against numerical integration and the normal distribution of scipy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tasks.stock.distribution import SinhArcsinh, log_score

SHAPES = [(0.0, 1.0, 0.0, 1.0), (0.3, 2.0, -0.4, 0.7), (-1.0, 0.02, 0.2, 1.3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_to_z_score_is_the_inverse_of_from_z_score(shape):
    z_scores = np.linspace(-2.5, 2.5, 11).astype("float32")
    distribution = SinhArcsinh(*(np.float32(value) for value in shape))
    np.testing.assert_allclose(distribution.to_z_score(distribution.from_z_score(z_scores)), z_scores, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_density_integrates_to_one_and_agrees_with_the_quantiles(shape):
    location, scale, *_ = shape
    distribution = SinhArcsinh(*(np.float32(value) for value in shape))

    def density(value: float) -> float:
        return float(np.exp(distribution.log_density(np.float32(value))))

    total, _ = quad(density, location - 40 * scale, location + 40 * scale, limit=500, points=[location])
    assert total == pytest.approx(1, abs=2e-3)
    quantile = float(distribution.from_z_score(np.float32(0.5)))
    below, _ = quad(density, location - 40 * scale, quantile, limit=500)
    assert below == pytest.approx(norm.cdf(0.5), abs=2e-3)


def test_a_skew_of_zero_and_a_tail_of_one_give_the_normal_distribution():
    value = np.linspace(-4, 4, 9).astype("float32")
    distribution = SinhArcsinh(np.float32(0.5), np.float32(2), np.float32(0), np.float32(1))
    np.testing.assert_allclose(log_score(value, distribution), -norm.logpdf(value, 0.5, 2), atol=1e-5)


def test_a_smaller_tail_parameter_gives_heavier_tails():
    heavy, light = (SinhArcsinh(np.float32(0), np.float32(1), np.float32(0), np.float32(tail)) for tail in (0.6, 1.0))
    assert float(heavy.from_z_score(np.float32(3))) > 1.3 * float(light.from_z_score(np.float32(3)))


def test_an_extreme_outcome_has_a_finite_score():
    distribution = SinhArcsinh(np.float32(0), np.float32(1e-4), np.float32(0), np.float32(1.0))
    assert np.isfinite(float(log_score(np.float32(5.0), distribution)))
