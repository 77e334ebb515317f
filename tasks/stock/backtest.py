"""Backtest of a portfolio of the tickers that are predicted up, net of costs: an order of magnitude, not a promise."""

from __future__ import annotations

import numpy as np

COST = 0.0010
"""Cost per amount bought or sold: 10 basis points, for commission and half the spread of a large stock."""
TRADING_DAYS_PER_YEAR = 252


def compare_portfolios(
    up_probability: np.ndarray, returns: np.ndarray, days: np.ndarray, tickers: np.ndarray
) -> dict[str, dict[str, float]]:
    """Returns yearly return, volatility, Sharpe ratio and maximum drawdown of two portfolios that are rebalanced at each close.

    `predicted up` holds, in equal parts, the tickers whose probability of a higher close is above 0.5, or else cash without interest.
    `buy and hold` holds all tickers in equal parts. Taxes, and the difference between a close and a trade at that close, are ignored;
    dividends are included if the closes are adjusted for them.

    Args:
        up_probability: probability of a higher close on the next day `(rows,)`.
        returns: log-return of the next day `(rows,)`; NaN if unknown.
        days: day of each row `(rows,)`.
        tickers: id of the ticker of each row `(rows,)`.
    """
    is_known = np.isfinite(returns)
    _, day = np.unique(days[is_known], return_inverse=True)
    shape = (int(day.max()) + 1, int(tickers[is_known].max()) + 1)
    change, is_listed, is_predicted_up = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    cell = day, tickers[is_known]
    change[cell], is_listed[cell] = np.expm1(returns[is_known]), True
    is_predicted_up[cell] = up_probability[is_known] > 0.5
    portfolios = {"predicted up": is_predicted_up, "buy and hold": is_listed}
    return {name: _performance(is_held, change) for name, is_held in portfolios.items()}


def _performance(is_held: np.ndarray, change: np.ndarray) -> dict[str, float]:
    """Returns the figures of a portfolio that holds `is_held` `(days, tickers)` in equal parts during `change`."""
    weights = is_held / np.maximum(is_held.sum(axis=1, keepdims=True), 1)
    drifted = weights * (1 + change)
    drifted /= np.maximum(1 + (weights * change).sum(axis=1, keepdims=True), 1e-9)
    previous = np.vstack([np.zeros((1, is_held.shape[1])), drifted[:-1]])
    daily = (weights * change).sum(axis=1) - COST * np.abs(weights - previous).sum(axis=1)
    wealth = np.cumprod(1 + daily)
    mean, deviation = daily.mean() * TRADING_DAYS_PER_YEAR, daily.std() * np.sqrt(TRADING_DAYS_PER_YEAR)
    return {
        "yearly return": float(wealth[-1] ** (TRADING_DAYS_PER_YEAR / len(daily)) - 1),
        "yearly volatility": float(deviation),
        "Sharpe ratio": float(mean / deviation) if deviation > 0 else 0.0,
        "maximum drawdown": float(1 - np.min(wealth / np.maximum.accumulate(np.maximum(wealth, 1)))),
    }
