"""Baselines: their definitions, and that they use no later prices."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.stock import baselines

HORIZONS = (1, 5)


@pytest.fixture
def walk():
    """Two tickers of 700 days; the volatility is low and high in turn, 50 days each."""
    rng = np.random.default_rng(0)
    deviation = np.tile(np.repeat([0.01, 0.03], 50), 7)
    change = rng.normal(0, 1, (2, 700)) * deviation
    return np.exp(np.cumsum(change, axis=1)).astype(np.float32).ravel(), np.repeat([0, 700], 700)


def test_moments_equal_a_calculation_from_earlier_days(walk):
    close, first = walk
    rows = np.array([100, 900])
    moments = baselines.compute_moments(close, first, rows, HORIZONS)
    for k, row in enumerate(rows):
        change = np.diff(np.log(close[first[row] : row + 1].astype(float)))
        assert moments["random_walk"]["scale"][k, 1] == pytest.approx(np.sqrt(5 * np.mean(change**2)))
        assert moments["drift"]["location"][k, 1] == pytest.approx(5 * change.mean())
        level = np.mean(change[: baselines.INITIAL_RETURNS] ** 2)
        for value in change:
            level = 0.94 * level + 0.06 * value**2
        assert moments["ewma"]["scale"][k, 0] == pytest.approx(np.sqrt(level))
    assert not moments["random_walk"]["location"].any()


@pytest.mark.parametrize("innovations", ["normal", "t"])
def test_garch_follows_the_volatility_and_uses_no_later_prices(walk, innovations):
    close, first = walk
    rows = np.array([349, 399, 1049, 1099])  # of each ticker, the last day with low and with high volatility
    returns = np.zeros((4, 2))
    forecast = baselines.garch_forecast(close, first, rows, HORIZONS, returns, innovations)
    width = forecast.quantiles[..., -20] - forecast.quantiles[..., 19]
    assert (width[[1, 3]] > 1.5 * width[[0, 2]]).all()
    assert (width[:, 1] > 1.7 * width[:, 0]).all()
    single = baselines.garch_forecast(close, first, rows[:1], HORIZONS, returns[:1], innovations)  # without later days
    np.testing.assert_allclose(single.quantiles, forecast.quantiles[:1], rtol=1e-4)


def test_garch_with_few_days_equals_ewma(walk):
    close, first = walk
    rows = np.array([30])
    forecast = baselines.garch_forecast(close, first, rows, HORIZONS, np.zeros((1, 2)), "normal")
    moments = baselines.compute_moments(close, first, rows, HORIZONS)
    expected = baselines.simple_forecasts(moments, np.zeros((1, 2)))["ewma"]
    np.testing.assert_allclose(forecast.quantiles, expected.quantiles)


def test_gradient_boosting_learns_that_the_scale_depends_on_a_feature():
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 1, (4000, 2))
    deviation = 0.5 + features[:, :1]
    returns = rng.normal(0, 1, (4000, 1)) * deviation
    test_features = np.array([[0.05, 0.5], [0.95, 0.5]])
    model = baselines.fit_gradient_boosting(features, np.ones((4000, 1)), returns, seed=0)
    forecast = model(test_features, np.ones((2, 1)), np.zeros((2, 1)))
    width = forecast.quantiles[:, 0, -20] - forecast.quantiles[:, 0, 19]
    assert 1.8 < width[1] / width[0] < 3.5
