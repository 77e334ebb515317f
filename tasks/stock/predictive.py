"""Predictive distributions of log-returns in one form for all models, and their scores.

All arrays are `(rows, horizons)` or `(rows, horizons, levels)`; returns are natural logarithms of price ratios.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

LEVELS = np.arange(1, 200) / 200
"""Levels of the quantiles of a forecast: 0.005, 0.01 … 0.995."""
LEVEL_Z_SCORES = norm.ppf(LEVELS)
MEDIAN = len(LEVELS) // 2
INTERVALS = {"coverage_80": (0.1, 0.9), "coverage_95": (0.025, 0.975)}
PINBALL_LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
"""Levels of the pinball loss that is reported separately."""


@dataclass(frozen=True)
class Forecast:
    """Forecast of one model for all rows."""

    quantiles: np.ndarray
    """Log-returns at `LEVELS`, float32 `(rows, horizons, levels)`."""
    log_density: np.ndarray
    """Natural logarithm of the density at the outcome, `(rows, horizons)`."""
    up_probability: np.ndarray
    """Probability of a higher price, `(rows, horizons)`."""


@dataclass(frozen=True)
class ScoredForecast:
    """What remains of a forecast after scoring; the quantiles are dropped because they need by far the most memory."""

    scores: Mapping[str, np.ndarray]
    """Scores from `row_scores`, `(rows, horizons)` each."""
    up_probability: np.ndarray
    """Probability of a higher price, `(rows, horizons)`."""
    median: np.ndarray
    """Median of the log-return, `(rows, horizons)`."""
    count_below: np.ndarray
    """Number of outcomes at or below the quantiles at `LEVELS`, `(horizons, levels)`."""

    def as_predictions(self) -> dict[str, np.ndarray]:
        """Returns the fields by name, each of the scores as a field of its own."""
        others = {name: getattr(self, name) for name in ("up_probability", "median", "count_below")}
        return {**self.scores, **others}

    @classmethod
    def from_predictions(cls, predictions: Mapping[str, np.ndarray]) -> ScoredForecast:
        """Restores a scored forecast from the result of `as_predictions`."""
        scores = dict(predictions)
        return cls(scores=scores, **{name: scores.pop(name) for name in ("up_probability", "median", "count_below")})


def score_forecast(forecast: Forecast, returns: np.ndarray) -> ScoredForecast:
    """Scores a forecast against the outcomes `(rows, horizons)`; NaN marks an unknown outcome."""
    count_below = (returns[..., None] <= forecast.quantiles).sum(axis=0)
    median = forecast.quantiles[..., MEDIAN].copy()  # a view would keep all levels in memory
    return ScoredForecast(row_scores(forecast, returns), forecast.up_probability, median, count_below)


def concatenate_scored(parts: Sequence[ScoredForecast]) -> ScoredForecast:
    """Joins scored forecasts of several groups of rows."""
    return ScoredForecast(
        {name: np.concatenate([part.scores[name] for part in parts]) for name in parts[0].scores},
        np.concatenate([part.up_probability for part in parts]),
        np.concatenate([part.median for part in parts]),
        np.sum([part.count_below for part in parts], axis=0),
    )


def location_scale_forecast(
    location: np.ndarray, scale: np.ndarray, returns: np.ndarray, distribution: object
) -> Forecast:
    """Returns the forecast of a location, a scale and a distribution of `scipy.stats`, such as `norm` or a frozen `t`.

    Args:
        location: `(rows, horizons)`.
        scale: greater than 0, `(rows, horizons)`.
        returns: outcomes `(rows, horizons)`.
        distribution: object with `ppf`, `logpdf` and `sf`.
    """
    quantiles = location[..., None] + scale[..., None] * distribution.ppf(LEVELS)  # type: ignore[attr-defined]
    log_density = distribution.logpdf((returns - location) / scale) - np.log(scale)  # type: ignore[attr-defined]
    up_probability = distribution.sf(-location / scale)  # type: ignore[attr-defined]
    return Forecast(quantiles.astype(np.float32), log_density, up_probability)


def quantile_forecast(levels: np.ndarray, values: np.ndarray, returns: np.ndarray) -> Forecast:
    """Returns the forecast that interpolates a few quantiles linearly over z-scores and extrapolates beyond them.

    Args:
        levels: increasing, in (0, 1), `(quantiles,)`.
        values: quantiles of the log-return `(rows, horizons, quantiles)`; they are sorted here, so that none cross.
        returns: outcomes `(rows, horizons)`.
    """
    knots = norm.ppf(levels)
    values = np.maximum.accumulate(np.sort(values, axis=-1) + 1e-9 * np.arange(len(levels)), axis=-1)
    position = np.clip(np.searchsorted(knots, LEVEL_Z_SCORES) - 1, 0, len(knots) - 2)
    weight = (LEVEL_Z_SCORES - knots[position]) / (knots[position + 1] - knots[position])
    quantiles = values[..., position] * (1 - weight) + values[..., position + 1] * weight
    left = np.clip((values <= returns[..., None]).sum(axis=-1) - 1, 0, len(knots) - 2)[..., None]
    below, above = (np.take_along_axis(values, left + k, axis=-1)[..., 0] for k in (0, 1))
    slope = (knots[left[..., 0] + 1] - knots[left[..., 0]]) / np.maximum(above - below, 1e-9)
    z_score = knots[left[..., 0]] + slope * (returns - below)
    left = np.clip((values <= 0).sum(axis=-1) - 1, 0, len(knots) - 2)[..., None]
    below, above = (np.take_along_axis(values, left + k, axis=-1)[..., 0] for k in (0, 1))
    span = knots[left[..., 0] + 1] - knots[left[..., 0]]
    up_probability = norm.sf(knots[left[..., 0]] + span * (0 - below) / np.maximum(above - below, 1e-9))
    return Forecast(quantiles.astype(np.float32), norm.logpdf(z_score) + np.log(slope), up_probability)


def row_scores(forecast: Forecast, returns: np.ndarray) -> Mapping[str, np.ndarray]:
    """Returns the scores of every row and horizon by name, `(rows, horizons)`; NaN without an outcome.

    `crps`: continuous ranked probability score, twice the mean pinball loss over the levels (Gneiting & Ranjan, 2011), in hundredths of
    the log-return, about percent of the price. `pinball`: mean at `PINBALL_LEVELS`, in the same unit. `log_score`: negative log density,
    in nats. `coverage_80`, `coverage_95`: 1 if the central interval contains the outcome. `absolute_error`: error of the median, in units
    of the log-return.
    """
    error = returns[..., None] - forecast.quantiles
    pinball = np.maximum(LEVELS * error, (LEVELS - 1) * error)
    scores = {
        "crps": 200 * pinball.mean(axis=-1),
        "pinball": 100 * pinball[..., np.searchsorted(LEVELS, np.array(PINBALL_LEVELS) - 1e-9)].mean(axis=-1),
        "log_score": -forecast.log_density,
        "absolute_error": np.abs(error[..., MEDIAN]),
    }
    for name, (low, high) in INTERVALS.items():
        lower, upper = np.searchsorted(LEVELS, [low - 1e-9, high - 1e-9])
        inside = (forecast.quantiles[..., lower] <= returns) & (returns <= forecast.quantiles[..., upper])
        scores[name] = np.where(np.isfinite(returns), inside, np.nan)
    return {name: np.where(np.isfinite(returns), value, np.nan) for name, value in scores.items()}
