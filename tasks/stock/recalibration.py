"""Calibration that follows the market: by what the model said of the last trading year and what came of it.

The widths that a validation year asked for need not be those of a year long after it. Answers come in every day, and each
tells how wide the forecast should have been; nothing has to be trained for that.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from scipy.stats import norm

from shared.errors import DataError
from tasks.stock import data, serving
from tasks.stock.batches import Panel, WindowBatches, forecasts, open_panel
from tasks.stock.calibration import FEWEST, between, normals_of
from tasks.stock.config import ForecastConfig, StockConfig
from tasks.stock.model import distribution_of, get_submodels, trainer_of, whole_of

RECENT = 250  # trading days, about a year, whose answers count
REFRESH = 20  # trading days from one calibration to the next
LIMITS = norm.ppf([0.9])  # of the 80 % interval


@dataclass(frozen=True)
class Answers:
    """What came of the forecasts of a model that is not calibrated."""

    numbers: np.ndarray
    """Where the returns lay, as standard normal quantiles of their forecasts, `(rows, horizons)`; not numbers where there is
    no answer."""
    day: np.ndarray
    """Of the forecast, `(rows,)`."""
    known: np.ndarray
    """Day at whose close the answer was known, `(rows, horizons)`; means nothing where there is none."""


def answers_of(panel: Panel, parameters: np.ndarray, forecast: ForecastConfig) -> Answers:
    """Returns what came of the forecasts of a panel's chosen rows.

    Args:
        panel: the days.
        parameters: `tasks.stock.model.PARAMETERS` after each, `(chosen, horizons, 5)`.
        forecast: has the horizons.
    """
    asked = np.flatnonzero(panel.chosen)
    distribution = distribution_of(parameters.astype(np.float64))
    numbers = np.asarray(distribution.to_normal(panel.returns[asked].astype(np.float64)), np.float64)
    later = asked[:, None] + np.asarray(forecast.horizons)
    return Answers(numbers, panel.day[asked], panel.day[np.minimum(later, len(panel.day) - 1)])


def recent_normals(
    answers: Answers, calendar: np.ndarray, today: int, otherwise: np.ndarray | None = None
) -> np.ndarray:
    """Returns the calibrated normal numbers by the answers known on a day, of the `RECENT` trading days up to it.

    Args:
        answers: of any days; those that were not known yet are not looked at.
        calendar: trading days, increasing.
        today: position of the day in it.
        otherwise: the calibration of a horizon with too few of them (see `normals_of`).
    """
    known = np.searchsorted(calendar, answers.known)
    counted = (known <= today) & (known > today - RECENT)
    return normals_of(np.where(counted, answers.numbers, np.nan), otherwise)


def walk_forward(
    before: Answers, test: Answers, normals: np.ndarray | None = None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Returns rows of the test days and the calibration they were forecast with, anew every `REFRESH` trading days.

    Args:
        before: of the validation days.
        test: of the test days.
        normals: the calibration to begin with; it stands until there are answers enough.
    """
    calendar = np.unique(np.concatenate([part.ravel() for a in (before, test) for part in (a.day, a.known)]))
    both = Answers(
        *(np.concatenate([getattr(a, name) for a in (before, test)]) for name in ("numbers", "day", "known"))
    )
    day = np.searchsorted(calendar, test.day)
    days = np.unique(day)
    for start in range(0, len(days), REFRESH):
        rows = np.flatnonzero(np.isin(day, days[start : start + REFRESH]))
        normals = recent_normals(both, calendar, int(days[start]), normals)
        yield rows, normals


def recalibrate(
    config: StockConfig, model: keras.Model, metadata: dict[str, Any]
) -> tuple[keras.Model, dict[str, Any], dict[str, Any]]:
    """Returns a trained model calibrated anew by prices, its metadata, and what changed; its weights stay as they are.

    Forecasts count that were made after the training days, with as many days before them as in training, and whose answer
    came in over the last `RECENT` trading days.

    Args:
        config: the command line's settings: `data` holds prices up to today; the form of the table is the model's where nothing
            else is said, the forecast the model's.
        model: as `tasks.stock.model.whole_of` made it.
        metadata: beside it.

    Raises:
        DataError: the prices cannot be used, are no newer than the training, or hold fewer answers than a calibration takes.
    """
    config = serving.settings_of(config, metadata)
    frame, _ = data.read_all(config)
    panel = open_panel(frame.assign(judged=True), config.forecast)
    calendar = np.unique(panel.day)
    _require_newer(calendar[-1], metadata, config)
    parts = get_submodels(model)
    answers = answers_of(panel, forecasts(trainer_of(parts), WindowBatches(panel, config.forecast)), config.forecast)
    counted, counts = _counted(answers, panel, calendar, metadata, config)
    if counts.min() < FEWEST:
        horizon = config.forecast.horizons[int(np.argmin(counts))]
        raise DataError(
            f"{config.data}: {counts.min()} forecasts of {horizon} trading days count; a calibration takes {FEWEST}. They must be "
            f"made after the days of training, up to {metadata.get('trained_until', 'none')}, have {config.forecast.history} days "
            f"before them, and have their answer in the last {RECENT} days. Give a longer file, or more tickers."
        )
    before = np.asarray(metadata["normals"])
    normals = recent_normals(dataclasses.replace(answers, numbers=counted), calendar, len(calendar) - 1)
    served = serving.served_normals(normals, config.forecast.quantiles)
    wider = [between(new, LIMITS)[0] / between(old, LIMITS)[0] for new, old in zip(normals, before, strict=True)]
    told = {
        "prices until": str(calendar[-1])[:10],
        **{
            f"{horizon} trading days": f"{count:,} answers; 80 % interval {100 * change - 100:+.1f} % wide"
            for horizon, count, change in zip(config.forecast.horizons, counts, wider, strict=True)
        },
    }
    new_facts = {**metadata, "normals": normals.tolist(), "calibrated_until": str(calendar[-1])[:10]}
    return whole_of(parts, served), new_facts, told


def _require_newer(last: np.generic, metadata: dict[str, Any], config: StockConfig) -> None:
    """Raises a `DataError` where prices end before those that the model was calibrated by; days without dates tell nothing."""
    until = metadata.get("calibrated_until")
    if until is not None and isinstance(last, np.datetime64) and str(last)[:10] < until:
        raise DataError(
            f"{config.data}: ends on {str(last)[:10]}; the model was calibrated by prices until {until}. Give newer ones."
        )


def _counted(
    answers: Answers, panel: Panel, calendar: np.ndarray, metadata: dict[str, Any], config: StockConfig
) -> tuple[np.ndarray, np.ndarray]:
    """Returns the numbers of the forecasts that a calibration may count, others not being numbers, and how many of each
    horizon are recent."""
    asked = np.flatnonzero(panel.chosen)
    warm = asked - panel.first[asked] >= config.forecast.history - 1
    trained = metadata.get("trained_until")
    if trained is not None and np.issubdtype(calendar.dtype, np.datetime64):
        warm &= answers.day > np.datetime64(trained)
    counted = np.where(warm[:, None], answers.numbers, np.nan)
    recent = np.searchsorted(calendar, answers.known) > len(calendar) - 1 - RECENT
    return counted, (recent & np.isfinite(counted)).sum(axis=0)
