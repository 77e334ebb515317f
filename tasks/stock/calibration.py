"""Conformal calibration: widens or narrows the intervals of a forecast so that their coverage is right on days that trained nothing.

If a distribution is right, it turns outcomes into standard normal z-scores. The conformal quantiles of the absolute z-scores of the
validation days (Vovk, Gammerman & Shafer, 2005) give the true ends of a central interval; between the levels of `KNOTS` the
calibration is linear. The median stays, because the trend of the validation year says nothing about the next year.

Outcomes of overlapping periods, and of several tickers on one day, are not independent: a year has a dozen periods of 20 days. The
quantiles are therefore shrunk, as far as the independent outcomes are few, toward the calibration of the next shorter horizon, and
the intervals are widened by the error that remains (see `conformal_z_scores`).
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm, t

from shared.data.notices import add_notice
from tasks.stock.bars import MIN_LONG_STEP
from tasks.stock.predictive import LEVEL_Z_SCORES

KNOTS = np.array([0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995])
KNOT_Z_SCORES = norm.ppf(KNOTS)
MEDIAN = len(KNOTS) // 2
UPPER_LEVELS = 2 * KNOTS[MEDIAN + 1 :] - 1  # of the central intervals
UPPER_Z_SCORES = KNOT_Z_SCORES[MEDIAN + 1 :]
SCALE_LEVELS = 3  # the intervals of 50, 80 and 90 % measure the scale
SCALE_VARIANCE = 0.7  # times 1 / outcomes: variance of the logarithm of the scale, from these levels
SCALE_PRIOR = 20.0  # independent outcomes that weigh as much as the prior: its standard deviation is 0.19
SHAPE_PRIOR = 100.0  # the same for the ratio of an interval to the scale: 0.1
MIN_INDEPENDENT = 30.0  # independent outcomes for a calibration on held-out days alone
MAX_CLIPPED = 3.0  # larger z-scores count as 3 in the correlation of tickers
MIN_GAP = 1e-3  # between two knots


def conformal_z_scores(
    outcomes: np.ndarray, counts: np.ndarray | None = None, prior: np.ndarray | None = None
) -> np.ndarray:
    """Returns the calibrated z-scores at `KNOTS` for each horizon, `(horizons, knots)`.

    The logarithm of the scale of a horizon has a normal prior around that of the next shorter horizon, and the ratio of each interval
    to the scale one around its prior ratio. An interval is that of Student's t distribution with as many degrees of freedom as the
    error of the scale has.

    Args:
        outcomes: z-scores of outcomes in their forecasts, `(rows, horizons)`, shortest horizon first; NaN without an outcome.
        counts: numbers of independent outcomes, float `(horizons,)` (see `count_independent`); by default all are independent.
        prior: earlier calibration `(horizons, knots)`; by default the nominal z-scores for the first horizon, and the calibration
            of the next shorter horizon for the others.
    """
    if counts is None:
        counts = np.isfinite(outcomes).sum(axis=0)
    result = np.empty((outcomes.shape[1], len(KNOTS)))
    center = np.zeros(len(UPPER_LEVELS))
    for k, (column, count) in enumerate(zip(outcomes.T, counts, strict=True)):
        if prior is not None:
            center = np.log(prior[k, MEDIAN + 1 :] / UPPER_Z_SCORES)
        sizes = np.sort(np.abs(column[np.isfinite(column)]))
        if len(sizes):
            center = _shrink(_log_ratios(sizes), center, count)
        elif prior is not None:
            result[k] = prior[k]
            continue
        degrees = (count + SCALE_PRIOR) / (2 * SCALE_VARIANCE)
        ends = np.exp(center) * t(degrees).ppf(KNOTS[MEDIAN + 1 :])
        upper = np.maximum.accumulate(ends + MIN_GAP * np.arange(1, MEDIAN + 1))
        result[k] = np.concatenate([-upper[::-1], [0.0], upper])
    return result


def count_independent(outcomes: np.ndarray, day: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """Returns the number of independent outcomes of each horizon, float `(horizons,)`.

    It is the number of days divided by the horizon, because later periods overlap, times the effective number of tickers: the
    variance of the absolute z-scores divided by the variance of their means over the tickers of a day.

    Args:
        outcomes: as in `conformal_z_scores`.
        day: day of each row, `(rows,)`.
        horizons: trading days ahead.
    """
    counts = np.zeros(len(horizons))
    for k, (column, horizon) in enumerate(zip(outcomes.T, horizons, strict=True)):
        is_known = np.isfinite(column)
        if not is_known.any():
            continue
        sizes = np.minimum(np.abs(column[is_known]), MAX_CLIPPED)
        _, number = np.unique(day[is_known], return_inverse=True)
        tickers = np.bincount(number)
        means = np.bincount(number, sizes) / tickers
        effective = np.var(sizes) / max(float(np.var(means)), 1e-12)
        counts[k] = len(tickers) / horizon * np.clip(effective, 1.0, tickers.mean())
    return counts


def notice_few_periods(source: str, day: np.ndarray, horizons: tuple[int, ...]) -> None:
    """Adds a notice if the days hold too few separate periods of the longest horizon for a calibration without chance.

    Args:
        source: the data, as the user named them.
        day: all days, with repetitions.
        horizons: trading days ahead.
    """
    days, horizon = len(np.unique(day)), max(horizons)
    needed = int(MIN_INDEPENDENT * horizon)
    if days >= needed:
        return
    unit, period = ("days", "trading days") if _are_daily(np.unique(day)) else ("rows", "rows")
    add_notice(
        f"{source}: {days} {unit} hold only {days // horizon} separate periods of {horizon} {period}. The intervals of this horizon "
        "are widened by the error of their calibration, but their coverage on the next days, and the scores of the test split, are "
        "largely chance.",
        hint=f"Use at least {needed} {unit}, or shorter --forecast.horizons.",
    )


def _are_daily(days: np.ndarray) -> bool:
    """Returns True for days, and for numbers of rows; False for times that are minutes or weeks apart."""
    if not np.issubdtype(days.dtype, np.datetime64) or len(days) < 2:
        return True
    step = np.median(np.diff(days).astype("timedelta64[s]").astype(np.int64)) / 86_400
    return bool(0.5 <= step < MIN_LONG_STEP)


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


def _log_ratios(sizes: np.ndarray) -> np.ndarray:
    """Returns the logarithms of the conformal ends of the upper intervals divided by the nominal ones."""
    position = np.ceil((len(sizes) + 1) * UPPER_LEVELS - 1e-9).astype(int) - 1
    ends = np.maximum(sizes[np.clip(position, 0, len(sizes) - 1)], MIN_GAP)
    return np.log(ends / UPPER_Z_SCORES)


def _shrink(log_ratios: np.ndarray, center: np.ndarray, count: float) -> np.ndarray:
    """Returns the posterior mean of the logarithms of the ratios, from `count` independent outcomes."""
    scale = count / (count + SCALE_PRIOR) * (log_ratios - center)[:SCALE_LEVELS].mean()
    center = center + scale
    return center + count / (count + SHAPE_PRIOR) * (log_ratios - center)


def _interpolate(x: np.ndarray, y: np.ndarray, at: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns value and slope of the piecewise linear function through (x, y)."""
    position = np.clip(np.searchsorted(x, at) - 1, 0, len(x) - 2)
    slope = (y[position + 1] - y[position]) / (x[position + 1] - x[position])
    return y[position] + slope * (at - x[position]), slope
