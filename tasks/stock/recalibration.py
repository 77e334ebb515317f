"""Calibration that follows the market: by what the model said of the last trading year and what came of it.

The widths that a validation year asked for need not be those of a year long after it. Answers come in every day, and each
tells how wide the forecast should have been; nothing has to be trained for that.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from shared.errors import DataError
from tasks.stock import prices, serving
from tasks.stock.batches import Panel, WindowBatches, forecasts, open_panel
from tasks.stock.calibration import FEWEST, normals_of
from tasks.stock.config import ForecastConfig, StockConfig
from tasks.stock.model import distribution_of, parts_of, trainer_of, whole_of

RECENT = 250  # trading days, about a year, whose answers count
REFRESH = 20  # trading days from one calibration to the next


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


def recent_normals(answers: Answers, calendar: np.ndarray, today: int) -> np.ndarray:
    """Returns the calibrated normal numbers by the answers known on a day, of the `RECENT` trading days up to it.

    Args:
        answers: of any days; those that were not known yet are not looked at.
        calendar: trading days, increasing.
        today: position of the day in it.
    """
    known = np.searchsorted(calendar, answers.known)
    counted = (known <= today) & (known > today - RECENT)
    return normals_of(np.where(counted, answers.numbers, np.nan))


def walk_forward(before: Answers, test: Answers) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Returns rows of the test days and the calibration they were forecast with, anew every `REFRESH` trading days.

    Args:
        before: of the validation days.
        test: of the test days.
    """
    calendar = np.unique(np.concatenate([part.ravel() for a in (before, test) for part in (a.day, a.known)]))
    both = Answers(
        *(np.concatenate([getattr(a, name) for a in (before, test)]) for name in ("numbers", "day", "known"))
    )
    day = np.searchsorted(calendar, test.day)
    days = np.unique(day)
    for start in range(0, len(days), REFRESH):
        rows = np.flatnonzero(np.isin(day, days[start : start + REFRESH]))
        yield rows, recent_normals(both, calendar, int(days[start]))


def recalibrate(
    config: StockConfig, source: str, model: keras.Model, facts: dict[str, Any]
) -> tuple[keras.Model, dict[str, Any]]:
    """Returns a trained model calibrated anew by a file of prices, and its facts; its weights stay as they are.

    Args:
        config: the command line's settings; the table and the forecast are the model's.
        source: a file of prices up to today, with at least the year before.
        model: as `tasks.stock.model.whole_of` made it.
        facts: beside it.

    Raises:
        DataError: the file cannot be used, or holds fewer answers than a calibration takes.
    """
    config = serving.settings_of(config, facts)
    panel = open_panel(prices.read(config, source).assign(judged=True), config.forecast)
    calendar = np.unique(panel.day)
    parts = parts_of(model)
    answers = answers_of(panel, forecasts(trainer_of(parts), WindowBatches(panel, config.forecast)), config.forecast)
    today = len(calendar) - 1
    recent = (np.searchsorted(calendar, answers.known) > today - RECENT) & np.isfinite(answers.numbers)
    counts = recent.sum(axis=0)
    if counts.min() < FEWEST:
        horizon = config.forecast.horizons[int(np.argmin(counts))]
        raise DataError(
            f"{source}: {counts.min()} forecasts of {horizon} trading days have their answer in the last {RECENT} days; a "
            f"calibration takes {FEWEST}. Give a longer file, or more tickers."
        )
    normals = recent_normals(answers, calendar, today)
    served = serving.served_normals(normals, config.forecast.quantiles)
    known = {"until": str(calendar[-1])[:10], "answers": counts.tolist()}
    return whole_of(parts, served), {**facts, "normals": normals.tolist(), "recalibrated": known}
