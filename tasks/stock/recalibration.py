"""Calibration on the outcomes of held-out days: those of the validation split, and later those of the last trading year.

The scale that a validation year needs may be wrong a year later. Every day brings new outcomes, and each shows how wide its forecast
should have been.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pandas as pd
from scipy.stats import norm

from shared.errors import DataError
from tasks.stock import serving
from tasks.stock.batches import Panel, WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import MIN_INDEPENDENT, conformal_z_scores, count_independent, interpolate_z_scores
from tasks.stock.config import StockConfig
from tasks.stock.model import build_distribution, build_full_model, build_parameter_model, get_submodels

CALIBRATION_DAYS = 250  # trading days, about a year, whose outcomes count
MIN_OUTCOMES = 20  # of the shortest horizon, for `recalibrate`
UPDATE_DAYS = 20  # trading days between two calibrations
INTERVAL_END = norm.ppf([0.9])  # upper end of the 80 % interval


@dataclass(frozen=True)
class Outcomes:
    """Outcomes of the forecasts of a model without calibration."""

    z_scores: np.ndarray
    """z-scores of the returns in their forecasts, `(rows, horizons)`; NaN without an outcome."""
    day: np.ndarray
    """Day of each forecast, `(rows,)`."""
    known_day: np.ndarray
    """Day at whose close the outcome was known, `(rows, horizons)`; undefined without an outcome."""


def compute_outcomes(panel: Panel, parameters: np.ndarray, horizons: tuple[int, ...]) -> Outcomes:
    """Returns the outcomes of the forecasts for the rows of a panel that have one.

    Args:
        panel: the days.
        parameters: `tasks.stock.model.PARAMETERS` after each row, `(rows, horizons, 5)`.
        horizons: trading days ahead.
    """
    rows = np.flatnonzero(panel.has_outcome)
    distribution = build_distribution(parameters.astype(np.float64))
    z_scores = np.asarray(distribution.to_z_score(panel.returns[rows].astype(np.float64)), np.float64)
    later = rows[:, None] + np.asarray(horizons)
    return Outcomes(z_scores, panel.day[rows], panel.day[np.minimum(later, len(panel.day) - 1)])


def join_outcomes(*parts: Outcomes) -> Outcomes:
    """Returns the outcomes of several parts in one."""
    return Outcomes(
        *(np.concatenate([getattr(part, name) for part in parts]) for name in ("z_scores", "day", "known_day"))
    )


def initial_z_scores(
    held_out: Outcomes, training: Callable[[], Outcomes], horizons: tuple[int, ...]
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the calibration of a new model, `(horizons, knots)`, and the number of independent outcomes of each horizon.

    Args:
        held_out: outcomes of days that did not train the model.
        training: returns those of the training days. They are used for horizons with fewer than `MIN_INDEPENDENT` independent outcomes,
            although the model fits them a little too well: a few periods say less about the scale.
        horizons: trading days ahead.
    """
    counts = count_independent(held_out.z_scores, held_out.day, horizons)
    if (counts >= MIN_INDEPENDENT).all():
        return conformal_z_scores(held_out.z_scores, counts), counts
    earlier = training()
    is_used = np.r_[
        np.ones((len(earlier.day), 1), bool) & (counts < MIN_INDEPENDENT), np.ones_like(held_out.z_scores, bool)
    ]
    outcomes = join_outcomes(earlier, held_out)
    z_scores = np.where(is_used, outcomes.z_scores, np.nan)
    counts = count_independent(z_scores, outcomes.day, horizons)
    return conformal_z_scores(z_scores, counts), counts


def recent_z_scores(
    outcomes: Outcomes, calendar: np.ndarray, today: int, horizons: tuple[int, ...], prior: np.ndarray | None = None
) -> np.ndarray:
    """Returns the calibrated z-scores from the outcomes of the `CALIBRATION_DAYS` trading days up to a day.

    Args:
        outcomes: outcomes of any days; those that were not yet known are ignored.
        calendar: trading days, increasing.
        today: position of the day in the calendar.
        horizons: trading days ahead.
        prior: earlier calibration (see `conformal_z_scores`).
    """
    known = np.searchsorted(calendar, outcomes.known_day)
    is_recent = (known <= today) & (known > today - CALIBRATION_DAYS)
    z_scores = np.where(is_recent, outcomes.z_scores, np.nan)
    return conformal_z_scores(z_scores, count_independent(z_scores, outcomes.day, horizons), prior)


def walk_forward(
    validation: Outcomes, test: Outcomes, horizons: tuple[int, ...], prior: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields rows of the test days with their calibration, which is updated every `UPDATE_DAYS` trading days.

    Args:
        validation: outcomes of the validation days.
        test: outcomes of the test days.
        horizons: trading days ahead.
        prior: calibration from training.
    """
    both = join_outcomes(validation, test)
    calendar = trading_days(both)
    day = np.searchsorted(calendar, test.day)
    test_days = np.unique(day)
    for start in range(0, len(test_days), UPDATE_DAYS):
        rows = np.flatnonzero(np.isin(day, test_days[start : start + UPDATE_DAYS]))
        yield rows, recent_z_scores(both, calendar, int(test_days[start]), horizons, prior)


def trading_days(outcomes: Outcomes) -> np.ndarray:
    """Returns all days of forecasts and outcomes, increasing."""
    return np.unique(np.concatenate([outcomes.day, outcomes.known_day.ravel()]))


def recalibrate(
    prices: tuple[pd.DataFrame, StockConfig], model: keras.Model, metadata: dict[str, Any]
) -> tuple[keras.Model, dict[str, Any], dict[str, Any]]:
    """Returns a trained model with a calibration on newer prices, its metadata, and a description of the change.

    The weights stay unchanged. A forecast counts if it was made after the training days, has as many days before it as in training, and
    its outcome is from the last `CALIBRATION_DAYS` trading days. Where few outcomes count, the calibration of the training prevails.

    Args:
        prices: table of prices up to today, and the configuration that read it, from `tasks.stock.inputs.read_newer`.
        model: from `tasks.stock.model.build_full_model`.
        metadata: metadata of the model.

    Raises:
        DataError: too few outcomes count.
    """
    frame, config = prices
    panel = build_panel(frame.assign(is_scored_row=True), config)
    calendar = np.unique(panel.day)
    submodels = get_submodels(model)
    parameters = predict_parameters(build_parameter_model(submodels), WindowBatches(panel, config.features))
    outcomes = compute_outcomes(panel, parameters, config.forecast.horizons)
    z_scores, counts = _select_outcomes(outcomes, panel, calendar, metadata, config)
    if counts[0] < MIN_OUTCOMES:
        horizon = config.forecast.horizons[0]
        raise DataError(
            f"{config.data}: a calibration needs {MIN_OUTCOMES} forecasts of {horizon} trading days. Received: {counts[0]}. "
            f"A forecast counts if it was made after the training days, up to {metadata.get('trained_until', 'none')}, has "
            f"{config.features.burn_in} days before it, and its outcome is from the last {CALIBRATION_DAYS} trading days. Use a "
            "longer file, or more tickers."
        )
    before = np.asarray(metadata["z_scores"])
    prior = metadata.get("trained_z_scores", metadata["z_scores"])
    selected = dataclasses.replace(outcomes, z_scores=z_scores)
    calibrated = recent_z_scores(selected, calendar, len(calendar) - 1, config.forecast.horizons, np.asarray(prior))
    exported = serving.exported_z_scores(calibrated, config.forecast.quantiles)
    ratios = [
        interpolate_z_scores(new, INTERVAL_END)[0] / interpolate_z_scores(old, INTERVAL_END)[0]
        for new, old in zip(calibrated, before, strict=True)
    ]
    last_day = str(calendar[-1])[:10]
    changes = {
        "prices until": last_day,
        **{
            f"{horizon} trading days": f"{count:,} outcomes; width of the 80 % interval {100 * ratio - 100:+.1f} %"
            for horizon, count, ratio in zip(config.forecast.horizons, counts, ratios, strict=True)
        },
    }
    new_metadata = {
        **metadata,
        "z_scores": calibrated.tolist(),
        "trained_z_scores": prior,
        "calibrated_until": last_day,
    }
    return build_full_model(submodels, exported), new_metadata, changes


def _select_outcomes(
    outcomes: Outcomes, panel: Panel, calendar: np.ndarray, metadata: dict[str, Any], config: StockConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the z-scores of the forecasts that count, NaN for others, and the number of recent ones of each horizon."""
    rows = np.flatnonzero(panel.has_outcome)
    counts_for_calibration = rows - panel.first[rows] >= config.features.burn_in - 1
    trained_until = metadata.get("trained_until")
    if trained_until is not None and np.issubdtype(calendar.dtype, np.datetime64):
        counts_for_calibration &= outcomes.day > np.datetime64(trained_until)
    z_scores = np.where(counts_for_calibration[:, None], outcomes.z_scores, np.nan)
    is_recent = np.searchsorted(calendar, outcomes.known_day) > len(calendar) - 1 - CALIBRATION_DAYS
    return z_scores, (is_recent & np.isfinite(z_scores)).sum(axis=0)
