"""The baselines know what was known, and are what they are called."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.stock import baselines

HORIZONS = (1, 5)


@pytest.fixture
def walk():
    """Two tickers of 700 days, by turns fifty calm and fifty stormy ones."""
    rng = np.random.default_rng(0)
    deviation = np.tile(np.repeat([0.01, 0.03], 50), 7)
    change = rng.normal(0, 1, (2, 700)) * deviation
    return np.exp(np.cumsum(change, axis=1)).astype(np.float32).ravel(), np.repeat([0, 700], 700)


def test_moments_are_those_of_the_past_worked_by_hand(walk):
    close, first = walk
    asked = np.array([100, 900])
    found = baselines.moments(close, first, asked, HORIZONS)
    for k, row in enumerate(asked):
        change = np.diff(np.log(close[first[row] : row + 1].astype(float)))
        assert found["random_walk"]["scale"][k, 1] == pytest.approx(np.sqrt(5 * np.mean(change**2)))
        assert found["drift"]["location"][k, 1] == pytest.approx(5 * change.mean())
        level = np.mean(change[: baselines.START] ** 2)
        for value in change:
            level = 0.94 * level + 0.06 * value**2
        assert found["ewma"]["scale"][k, 0] == pytest.approx(np.sqrt(level))
    assert not found["random_walk"]["location"].any()


@pytest.mark.parametrize("shape", ["normal", "t"])
def test_garch_follows_the_volatility_and_sees_no_future(walk, shape):
    close, first = walk
    asked = np.array([349, 399, 1049, 1099])  # the last day of a calm spell and of a stormy one, of each
    returns = np.zeros((4, 2))
    found = baselines.garch(close, first, asked, HORIZONS, returns, shape)
    width = found.quantiles[..., -20] - found.quantiles[..., 19]
    assert (width[[1, 3]] > 1.5 * width[[0, 2]]).all()
    assert (width[:, 1] > 1.7 * width[:, 0]).all()
    alone = baselines.garch(close, first, asked[:1], HORIZONS, returns[:1], shape)  # with no later day at hand
    np.testing.assert_allclose(alone.quantiles, found.quantiles[:1], rtol=1e-4)


def test_garch_of_few_days_is_ewma(walk):
    close, first = walk
    asked = np.array([30])
    found = baselines.garch(close, first, asked, HORIZONS, np.zeros((1, 2)), "normal")
    expected = baselines.simple(baselines.moments(close, first, asked, HORIZONS), np.zeros((1, 2)))["ewma"]
    np.testing.assert_allclose(found.quantiles, expected.quantiles)


def test_boosted_quantiles_find_what_hangs_on_a_feature():
    rng = np.random.default_rng(0)
    features = rng.uniform(0, 1, (4000, 2))
    deviation = 0.5 + features[:, :1]
    returns = rng.normal(0, 1, (4000, 1)) * deviation
    ask = np.array([[0.05, 0.5], [0.95, 0.5]])
    forecast = baselines.boosted_quantiles(features, np.ones((4000, 1)), returns, seed=0)
    found = forecast(ask, np.ones((2, 1)), np.zeros((2, 1)))
    width = found.quantiles[:, 0, -20] - found.quantiles[:, 0, 19]
    assert 1.8 < width[1] / width[0] < 3.5
