"""The sinh-arcsinh distribution against numbers worked out by scipy and by differences."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import norm

from tasks.stock.distribution import SinhArcsinh, log_score

SHAPES = [(0.0, 1.0, 0.0, 1.0), (0.3, 2.0, -0.4, 0.7), (-1.0, 0.02, 0.2, 1.3)]


@pytest.mark.parametrize("shape", SHAPES)
def test_where_a_quantile_lies_is_undone_by_asking_for_its_normal_number(shape):
    normal = np.linspace(-2.5, 2.5, 11).astype("float32")
    distribution = SinhArcsinh(*(np.float32(value) for value in shape))
    np.testing.assert_allclose(distribution.to_normal(distribution.from_normal(normal)), normal, atol=1e-3)


@pytest.mark.parametrize("shape", SHAPES)
def test_the_density_is_a_density_and_that_of_the_quantiles(shape):
    location, scale, *_ = shape
    distribution = SinhArcsinh(*(np.float32(value) for value in shape))

    def density(value: float) -> float:
        return float(np.exp(distribution.log_density(np.float32(value))))

    whole, _ = quad(density, location - 40 * scale, location + 40 * scale, limit=500, points=[location])
    assert whole == pytest.approx(1, abs=2e-3)
    middle = float(distribution.from_normal(np.float32(0.5)))
    below, _ = quad(density, location - 40 * scale, middle, limit=500)
    assert below == pytest.approx(norm.cdf(0.5), abs=2e-3)


def test_without_skew_and_with_a_tail_of_one_it_is_the_normal_distribution():
    value = np.linspace(-4, 4, 9).astype("float32")
    distribution = SinhArcsinh(np.float32(0.5), np.float32(2), np.float32(0), np.float32(1))
    np.testing.assert_allclose(log_score(value, distribution), -norm.logpdf(value, 0.5, 2), atol=1e-5)


def test_a_smaller_tail_is_a_heavier_one():
    heavy, light = (SinhArcsinh(np.float32(0), np.float32(1), np.float32(0), np.float32(tail)) for tail in (0.6, 1.0))
    assert float(heavy.from_normal(np.float32(3))) > 1.3 * float(light.from_normal(np.float32(3)))


def test_an_answer_far_out_has_a_finite_score():
    distribution = SinhArcsinh(np.float32(0), np.float32(1e-4), np.float32(0), np.float32(1.0))
    assert np.isfinite(float(log_score(np.float32(5.0), distribution)))
