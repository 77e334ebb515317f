"""Backtest: returns and costs of the portfolios."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.stock.backtest import COST, TRADING_DAYS_PER_YEAR, compare_portfolios


def test_two_days_equal_a_calculation_by_hand():
    """The first of two tickers is held on both days: it goes down by 1 %, then up by 2 %."""
    up_probability = np.array([0.9, 0.1, 0.9, 0.1])
    returns = np.log1p(np.array([-0.01, 0.05, 0.02, 0.0]))
    days, tickers = np.array([1, 1, 2, 2]), np.array([0, 1, 0, 1])
    result = compare_portfolios(up_probability, returns, days, tickers)["predicted up"]
    wealth = (1 - 0.01 - COST) * (1 + 0.02)  # bought once
    assert result["yearly return"] == pytest.approx(wealth ** (TRADING_DAYS_PER_YEAR / 2) - 1)
    assert result["maximum drawdown"] == pytest.approx(0.01 + COST)


def test_holding_all_tickers_costs_less_than_trading_every_day():
    rng = np.random.default_rng(0)
    days, tickers = np.repeat(np.arange(200), 5), np.tile(np.arange(5), 200)
    results = compare_portfolios(rng.uniform(size=1000), np.zeros(1000), days, tickers)
    assert results["predicted up"]["yearly return"] < results["buy and hold"]["yearly return"] < 0


def test_a_day_without_an_outcome_is_ignored():
    returns = np.array([0.01, np.nan])
    results = compare_portfolios(np.array([0.9, 0.9]), returns, np.array([1, 2]), np.array([0, 0]))
    assert np.isfinite(results["buy and hold"]["yearly return"])
