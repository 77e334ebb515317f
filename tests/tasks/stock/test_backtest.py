"""The backtest pays its costs and earns what its shares earn."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.stock.backtest import COST, YEAR, compare


def test_two_days_worked_by_hand():
    """Two tickers of the same price; the first is held on both days, and falls by 1 %, then rises by 2 %."""
    rise = np.array([0.9, 0.1, 0.9, 0.1])
    returns = np.log1p(np.array([-0.01, 0.05, 0.02, 0.0]))
    days, tickers = np.array([1, 1, 2, 2]), np.array([0, 1, 0, 1])
    found = compare(rise, returns, days, tickers)["said to rise"]
    wealth = (1 - 0.01 - COST) * (1 + 0.02)  # bought once, held on
    assert found["yearly return"] == pytest.approx(wealth ** (YEAR / 2) - 1)
    assert found["deepest fall"] == pytest.approx(0.01 + COST)


def test_holding_everything_costs_less_than_turning_it_over():
    rng = np.random.default_rng(0)
    days, tickers = np.repeat(np.arange(200), 5), np.tile(np.arange(5), 200)
    found = compare(rng.uniform(size=1000), np.zeros(1000), days, tickers)
    assert found["said to rise"]["yearly return"] < found["buy and hold"]["yearly return"] < 0


def test_a_day_without_an_answer_is_left_out():
    returns = np.array([0.01, np.nan])
    found = compare(np.array([0.9, 0.9]), returns, np.array([1, 2]), np.array([0, 0]))
    assert np.isfinite(found["buy and hold"]["yearly return"])
