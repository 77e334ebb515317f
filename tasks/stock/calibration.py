"""Conformal calibration: widens or narrows the intervals of a forecast so that their coverage is right on validation days.

If a distribution is right, it turns outcomes into standard normal z-scores. The conformal quantiles of the absolute z-scores of the
validation days (Vovk, Gammerman & Shafer, 2005) give the true ends of a central interval; between the levels of `KNOTS` the
calibration is linear. The median stays, because the trend of the validation year says nothing about the next year.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from tasks.stock.predictive import LEVEL_Z_SCORES

KNOTS = np.array([0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995])
KNOT_Z_SCORES = norm.ppf(KNOTS)
MEDIAN = len(KNOTS) // 2
MIN_OUTCOMES = 200  # for the outermost quantile
MIN_GAP = 1e-3  # between two knots


def conformal_z_scores(outcomes: np.ndarray, default: np.ndarray | None = None) -> np.ndarray:
    """Returns the calibrated z-scores at `KNOTS` for each horizon, `(horizons, knots)`.

    Args:
        outcomes: z-scores of the outcomes of the validation days in their forecasts, `(rows, horizons)`; NaN without an outcome.
        default: result for a horizon with fewer than 200 outcomes, `(horizons, knots)`; by default the nominal z-scores.
    """
    result = np.tile(KNOT_Z_SCORES, (outcomes.shape[1], 1)) if default is None else default.copy()
    for k, column in enumerate(outcomes.T):
        sizes = np.sort(np.abs(column[np.isfinite(column)]))
        if len(sizes) < MIN_OUTCOMES:
            continue
        position = np.ceil((len(sizes) + 1) * (2 * KNOTS[MEDIAN + 1 :] - 1) - 1e-9).astype(int) - 1
        gaps = MIN_GAP * np.arange(1, MEDIAN + 1)
        upper = np.maximum.accumulate(sizes[np.clip(position, 0, len(sizes) - 1)] + gaps)
        result[k] = np.concatenate([-upper[::-1], [0.0], upper])
    return result


def interpolate_z_scores(calibrated: np.ndarray, nominal: np.ndarray) -> np.ndarray:
    """Returns the calibrated z-scores at nominal z-scores; beyond the knots, the line through the last two continues.

    Args:
        calibrated: calibrated z-scores at `KNOTS` of one horizon, `(knots,)`.
        nominal: z-scores of any shape.
    """
    return _interpolate(KNOT_Z_SCORES, calibrated, nominal)[0]


def calibrate(log_density: np.ndarray, outcomes: np.ndarray, calibrated: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns log density and nominal z-score of each outcome after calibration, `(rows, horizons)` each.

    Args:
        log_density: log density of the outcomes before calibration.
        outcomes: z-scores of the outcomes before calibration.
        calibrated: calibrated z-scores at `KNOTS`, `(horizons, knots)`.
    """
    nominal, density = np.empty_like(outcomes), np.empty_like(log_density)
    for k, knots in enumerate(calibrated):
        nominal[:, k], slope = _interpolate(knots, KNOT_Z_SCORES, outcomes[:, k])
        change = norm.logpdf(nominal[:, k]) - norm.logpdf(outcomes[:, k]) + np.log(slope)
        density[:, k] = log_density[:, k] + change
    return density, nominal


def z_scores_at_levels(calibrated: np.ndarray) -> np.ndarray:
    """Returns the calibrated z-scores at `tasks.stock.predictive.LEVELS`, `(horizons, levels)`."""
    return np.stack([interpolate_z_scores(knots, LEVEL_Z_SCORES) for knots in calibrated])


def _interpolate(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns value and slope of the piecewise linear function through (x, y)."""
    position = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    slope = (y[position + 1] - y[position]) / (x[position + 1] - x[position])
    return y[position] + slope * (at - x[position]), slope
