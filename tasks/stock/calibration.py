"""Conformal calibration: how wide the intervals of a forecast have to be so that validation days lay inside as often as said.

A distribution turns what came to pass into a standard normal number, if it is right. Of validation, the conformal quantiles
of these numbers' sizes (Vovk, Gammerman & Shafer, 2005) tell where a central interval truly ends; between the levels of
`KNOTS` the way is straight. The middle stays: whether the validation year rose or fell says nothing of the next.
"""

from __future__ import annotations

import numpy as np
from scipy.stats import norm

from tasks.stock.predictive import NORMAL

KNOTS = np.array([0.005, 0.025, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.975, 0.995])
NORMAL_KNOTS = norm.ppf(KNOTS)
MIDDLE = len(KNOTS) // 2
FEWEST = 200  # numbers to take the outermost quantile of
GAP = 1e-3  # between two knots, at least


def normals_of(numbers: np.ndarray, otherwise: np.ndarray | None = None) -> np.ndarray:
    """Returns the calibrated normal numbers at `KNOTS`, of each horizon, `(horizons, knots)`.

    Args:
        numbers: where validation's returns lie, as standard normal quantiles of their forecasts, `(rows, horizons)`; not
            numbers where there is no answer.
        otherwise: what is returned for a horizon of fewer than 200 answers, `(horizons, knots)`; by default the nominal ones.
    """
    found = np.tile(NORMAL_KNOTS, (numbers.shape[1], 1)) if otherwise is None else otherwise.copy()
    for k, column in enumerate(numbers.T):
        known = np.sort(np.abs(column[np.isfinite(column)]))
        if len(known) < FEWEST:
            continue
        place = np.ceil((len(known) + 1) * (2 * KNOTS[MIDDLE + 1 :] - 1) - 1e-9).astype(int) - 1
        half = np.maximum.accumulate(known[np.clip(place, 0, len(known) - 1)] + GAP * np.arange(1, MIDDLE + 1))
        found[k] = np.concatenate([-half[::-1], [0.0], half])
    return found


def between(normals: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """Returns the calibrated normal numbers at the nominal ones asked for, beyond the knots with the slope of the last two.

    Args:
        normals: of one horizon, `(knots,)`.
        asked: any shape.
    """
    return _line(NORMAL_KNOTS, normals, asked)[0]


def calibrate(log_density: np.ndarray, numbers: np.ndarray, normals: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the log density and the nominal standard normal number of each answer after calibration, `(rows, horizons)`.

    Args:
        log_density: of the answers before it.
        numbers: their standard normal numbers before it.
        normals: of each horizon, `(horizons, knots)`.
    """
    nominal, density = np.empty_like(numbers), np.empty_like(log_density)
    for k, knots in enumerate(normals):
        nominal[:, k], slope = _line(knots, NORMAL_KNOTS, numbers[:, k])
        change = norm.logpdf(nominal[:, k]) - norm.logpdf(numbers[:, k]) + np.log(slope)
        density[:, k] = log_density[:, k] + change
    return density, nominal


def at_levels(normals: np.ndarray) -> np.ndarray:
    """Returns the calibrated normal numbers at `tasks.stock.predictive.LEVELS`, `(horizons, levels)`."""
    return np.stack([between(knots, NORMAL) for knots in normals])


def _line(x: np.ndarray, y: np.ndarray, asked: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns value and slope of the broken line through (x, y)."""
    place = np.clip(np.searchsorted(x, asked) - 1, 0, len(x) - 2)
    slope = (y[place + 1] - y[place]) / (x[place + 1] - x[place])
    return y[place] + slope * (asked - x[place]), slope
