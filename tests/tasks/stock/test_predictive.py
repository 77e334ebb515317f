"""Scores of predictive distributions against closed forms and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm

from tasks.stock.predictive import (
    LEVELS,
    MEDIAN,
    PINBALL_LEVELS,
    Forecast,
    concatenate_scored,
    location_scale_forecast,
    quantile_forecast,
    row_scores,
    score_forecast,
)


def normal_crps(value: float, location: float, scale: float) -> float:
    """Gneiting & Raftery (2007), equation 21."""
    z = (value - location) / scale
    return scale * (z * (2 * norm.cdf(z) - 1) + 2 * norm.pdf(z) - 1 / np.sqrt(np.pi))


@pytest.mark.parametrize("value", [-0.05, 0.0, 0.012])
def test_the_crps_equals_the_closed_form(value):
    returns, location, scale = (np.array([[x]]) for x in (value, 0.001, 0.02))
    scores = row_scores(location_scale_forecast(location, scale, returns, norm), returns)
    assert scores["crps"][0, 0] == pytest.approx(100 * normal_crps(value, 0.001, 0.02), rel=0.01)
    assert scores["log_score"][0, 0] == pytest.approx(-norm.logpdf(value, 0.001, 0.02))
    assert scores["absolute_error"][0, 0] == pytest.approx(abs(value - 0.001), abs=1e-8)


def test_the_pinball_loss_equals_that_of_scikit_learn():
    from sklearn.metrics import mean_pinball_loss

    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.02, (50, 1))
    forecast = location_scale_forecast(np.zeros((50, 1)), np.full((50, 1), 0.015), returns, norm)
    losses = [
        mean_pinball_loss(returns[:, 0], np.full(50, 0.015 * norm.ppf(level)), alpha=level) for level in PINBALL_LEVELS
    ]
    assert row_scores(forecast, returns)["pinball"].mean() == pytest.approx(100 * np.mean(losses), rel=1e-5)


def test_concatenated_parts_equal_the_whole():
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.02, (30, 2))
    returns[-3:, 1] = np.nan

    def score(rows: slice):
        shape = returns[rows].shape
        forecast = location_scale_forecast(np.zeros(shape), np.full(shape, 0.02), returns[rows], norm)
        return score_forecast(forecast, returns[rows])

    whole, parts = score(slice(None)), concatenate_scored([score(slice(0, 11)), score(slice(11, 30))])
    for name, value in whole.scores.items():
        np.testing.assert_array_equal(parts.scores[name], value)
    np.testing.assert_array_equal(parts.count_below, whole.count_below)
    np.testing.assert_array_equal(parts.median, whole.median)
    assert whole.count_below[1, -1] <= 27  # unknown outcomes add no count
    assert whole.median.base is None  # a view would keep the quantiles of all levels in memory


def test_coverage_is_one_for_outcomes_inside_the_interval():
    returns = np.array([[0.0], [1.5], [2.5]])
    forecast = location_scale_forecast(np.zeros((3, 1)), np.ones((3, 1)), returns, norm)
    scores = row_scores(forecast, returns)
    assert scores["coverage_80"][:, 0].tolist() == [1, 0, 0]
    assert scores["coverage_95"][:, 0].tolist() == [1, 1, 0]


def test_an_unknown_outcome_has_no_score():
    returns = np.array([[np.nan]])
    scores = row_scores(location_scale_forecast(np.zeros((1, 1)), np.ones((1, 1)), returns, norm), returns)
    assert all(np.isnan(value).all() for value in scores.values())


def test_quantiles_of_a_normal_distribution_give_that_distribution():
    levels = np.array([0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975])
    returns = np.array([[0.3, -4.0]])
    values = np.broadcast_to(0.1 + 2 * norm.ppf(levels), (1, 2, 7))
    forecast = quantile_forecast(levels, values, returns)
    expected = location_scale_forecast(np.full((1, 2), 0.1), np.full((1, 2), 2.0), returns, norm)
    np.testing.assert_allclose(forecast.quantiles, expected.quantiles, atol=1e-5)
    np.testing.assert_allclose(forecast.log_density, expected.log_density, atol=1e-6)
    np.testing.assert_allclose(forecast.up_probability, expected.up_probability, atol=1e-6)


def test_crossing_quantiles_are_sorted():
    forecast = quantile_forecast(np.array([0.1, 0.5, 0.9]), np.array([[[0.2, 0.1, 0.3]]]), np.array([[0.0]]))
    assert (np.diff(forecast.quantiles[0, 0]) >= 0).all()
    assert isinstance(forecast, Forecast)
    assert LEVELS[MEDIAN] == 0.5
