"""What holding the shares that are said to rise would have earned, net of costs: a check of the size of things, no promise."""

from __future__ import annotations

import numpy as np

COST = 0.0010
"""Of each amount bought or sold: 10 basis points, commission and half the spread of a large stock."""
YEAR = 252  # trading days


def compare(
    rise: np.ndarray, returns: np.ndarray, days: np.ndarray, tickers: np.ndarray
) -> dict[str, dict[str, float]]:
    """Returns yearly return, volatility, Sharpe ratio and deepest fall of two portfolios, rebalanced at each close.

    `said to rise` holds in equal parts the tickers whose probability of a rise is above a half, and else cash without
    interest; `buy and hold` holds all in equal parts, put back at each close. Taxes and the gap between a close and a trade
    at it are left out; dividends are in where the closes are adjusted for them.

    Args:
        rise: probability of a rise the next day `(rows,)`.
        returns: log-return of the next day `(rows,)`; not a number where it is not known.
        days: of the rows `(rows,)`.
        tickers: number of each row's ticker `(rows,)`.
    """
    known = np.isfinite(returns)
    _, day = np.unique(days[known], return_inverse=True)
    shape = (int(day.max()) + 1, int(tickers[known].max()) + 1)
    change, listed, chosen = np.zeros(shape), np.zeros(shape, bool), np.zeros(shape, bool)
    place = day, tickers[known]
    change[place], listed[place], chosen[place] = np.expm1(returns[known]), True, rise[known] > 0.5
    return {name: _record(held, change) for name, held in (("said to rise", chosen), ("buy and hold", listed))}


def _record(held: np.ndarray, change: np.ndarray) -> dict[str, float]:
    """Returns the figures of a portfolio that holds `held` `(days, tickers)` in equal parts through `change`."""
    weights = held / np.maximum(held.sum(axis=1, keepdims=True), 1)
    drifted = weights * (1 + change)
    drifted /= np.maximum(1 + (weights * change).sum(axis=1, keepdims=True), 1e-9)
    before = np.vstack([np.zeros((1, held.shape[1])), drifted[:-1]])
    daily = (weights * change).sum(axis=1) - COST * np.abs(weights - before).sum(axis=1)
    wealth = np.cumprod(1 + daily)
    mean, deviation = daily.mean() * YEAR, daily.std() * np.sqrt(YEAR)
    return {
        "yearly return": float(wealth[-1] ** (YEAR / len(daily)) - 1),
        "yearly volatility": float(deviation),
        "Sharpe ratio": float(mean / deviation) if deviation > 0 else 0.0,
        "deepest fall": float(1 - np.min(wealth / np.maximum.accumulate(np.maximum(wealth, 1)))),
    }
