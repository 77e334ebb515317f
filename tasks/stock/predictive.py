"""Predictive distributions of log-returns, however they were made, in one form, and the scores that judge them.

All arrays are `(rows, horizons)` or `(rows, horizons, levels)`; returns are natural logarithms of price ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

LEVELS = np.arange(1, 200) / 200
"""At which quantiles are kept: 0.005, 0.01 … 0.995."""
NORMAL = norm.ppf(LEVELS)
MIDDLE = len(LEVELS) // 2
INTERVALS = {"coverage_80": (0.1, 0.9), "coverage_95": (0.025, 0.975)}
PINBALL = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Levels whose pinball loss is told by itself."""


@dataclass(frozen=True)
class Forecast:
    """What one model says of all rows."""

    quantiles: np.ndarray
    """Log-returns at `LEVELS`, float32 `(rows, horizons, levels)`."""
    log_density: np.ndarray
    """Natural logarithm of the density at what came to pass, `(rows, horizons)`."""
    rise: np.ndarray
    """Probability that the price is higher, `(rows, horizons)`."""


@dataclass(frozen=True)
class Scored:
    """What is kept of a forecast once it was scored: not its quantiles, which take the most memory by far."""

    scores: Mapping[str, np.ndarray]
    """By `row_scores`, `(rows, horizons)` each."""
    rise: np.ndarray
    """Probability that the price is higher, `(rows, horizons)`."""
    median: np.ndarray
    """Of the log-return, `(rows, horizons)`."""
    below: np.ndarray
    """How many answers lay at or below the quantiles at `LEVELS`, `(horizons, levels)`."""


def scored_of(forecast: Forecast, returns: np.ndarray) -> Scored:
    """Scores a forecast by what came to pass, `(rows, horizons)`, not numbers where that is not known."""
    below = (returns[..., None] <= forecast.quantiles).sum(axis=0)
    median = forecast.quantiles[..., MIDDLE].copy()  # a view would keep all levels
    return Scored(row_scores(forecast, returns), forecast.rise, median, below)


def joined(parts: Sequence[Scored]) -> Scored:
    """Returns forecasts of some rows and of others as one."""
    names = parts[0].scores
    return Scored(
        {name: np.concatenate([part.scores[name] for part in parts]) for name in names},
        np.concatenate([part.rise for part in parts]),
        np.concatenate([part.median for part in parts]),
        np.sum([part.below for part in parts], axis=0),
    )


def standardized(location: np.ndarray, scale: np.ndarray, returns: np.ndarray, shape: object) -> Forecast:
    """Returns the forecast of a location, a scale and a distribution of `scipy.stats`, such as `norm` or a frozen `t`.

    Args:
        location: `(rows, horizons)`.
        scale: above 0, `(rows, horizons)`.
        returns: what came to pass.
        shape: has `ppf`, `logpdf` and `sf`.
    """
    quantiles = location[..., None] + scale[..., None] * shape.ppf(LEVELS)  # type: ignore[attr-defined]
    log_density = shape.logpdf((returns - location) / scale) - np.log(scale)  # type: ignore[attr-defined]
    return Forecast(quantiles.astype(np.float32), log_density, shape.sf(-location / scale))  # type: ignore[attr-defined]


def of_quantiles(levels: np.ndarray, values: np.ndarray, returns: np.ndarray) -> Forecast:
    """Returns the forecast that runs straight, over standard normal numbers, from quantile to quantile and on beyond.

    Args:
        levels: increasing, in (0, 1), `(few,)`.
        values: quantiles of the log-return `(rows, horizons, few)`; sorted here, so that none cross.
        returns: what came to pass.
    """
    knots = norm.ppf(levels)
    values = np.maximum.accumulate(np.sort(values, axis=-1) + 1e-9 * np.arange(len(levels)), axis=-1)
    place = np.clip(np.searchsorted(knots, NORMAL) - 1, 0, len(knots) - 2)
    share = (NORMAL - knots[place]) / (knots[place + 1] - knots[place])
    quantiles = values[..., place] * (1 - share) + values[..., place + 1] * share
    left = np.clip((values <= returns[..., None]).sum(axis=-1) - 1, 0, len(knots) - 2)[..., None]
    below, above = (np.take_along_axis(values, left + k, axis=-1)[..., 0] for k in (0, 1))
    slope = (knots[left[..., 0] + 1] - knots[left[..., 0]]) / np.maximum(above - below, 1e-9)
    normal = knots[left[..., 0]] + slope * (returns - below)
    left = np.clip((values <= 0).sum(axis=-1) - 1, 0, len(knots) - 2)[..., None]
    below, above = (np.take_along_axis(values, left + k, axis=-1)[..., 0] for k in (0, 1))
    span = knots[left[..., 0] + 1] - knots[left[..., 0]]
    rise = norm.sf(knots[left[..., 0]] + span * (0 - below) / np.maximum(above - below, 1e-9))
    return Forecast(quantiles.astype(np.float32), norm.logpdf(normal) + np.log(slope), rise)


def row_scores(forecast: Forecast, returns: np.ndarray) -> Mapping[str, np.ndarray]:
    """Returns the scores of every row and horizon by name, `(rows, horizons)`, not numbers where there is no answer.

    `crps`: continuous ranked probability score, twice the mean pinball loss over the levels (Gneiting & Ranjan, 2011), in
    hundredths of the log-return, about per cent of the price; `pinball` the mean at the levels of `PINBALL`, in the same
    unit. `log_score`: minus the log density, in nats. `coverage_80` and `coverage_95`: 1 where the central interval holds
    the answer. `absolute_error`: of the median, in units of the log-return.
    """
    error = returns[..., None] - forecast.quantiles
    pinball = np.maximum(LEVELS * error, (LEVELS - 1) * error)
    scores = {
        "crps": 200 * pinball.mean(axis=-1),
        "pinball": 100 * pinball[..., np.searchsorted(LEVELS, np.array(PINBALL) - 1e-9)].mean(axis=-1),
        "log_score": -forecast.log_density,
        "absolute_error": np.abs(error[..., MIDDLE]),
    }
    for name, (low, high) in INTERVALS.items():
        k, m = np.searchsorted(LEVELS, [low - 1e-9, high - 1e-9])
        inside = (forecast.quantiles[..., k] <= returns) & (returns <= forecast.quantiles[..., m])
        scores[name] = np.where(np.isfinite(returns), inside, np.nan)
    return {name: np.where(np.isfinite(returns), value, np.nan) for name, value in scores.items()}
