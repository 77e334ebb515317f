"""Forecasts of all models for the rows of a panel with an outcome, and their scores in blocks of whole tickers.

The quantiles of a block are dropped after scoring, because they need by far the most memory.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from itertools import pairwise

import numpy as np

from shared.data.sources import Splits
from tasks.stock import baselines
from tasks.stock.batches import Panel, WindowBatches, build_panel, compute_features, keep_newest, predict_parameters
from tasks.stock.calibration import calibrate, z_scores_at_levels
from tasks.stock.config import StockConfig
from tasks.stock.model import Submodels, build_distribution, build_parameter_model
from tasks.stock.predictive import Forecast, ScoredForecast, concatenate_scored, score_forecast
from tasks.stock.recalibration import compute_outcomes, walk_forward

MAX_BOOSTING_ROWS = 60_000  # the newest training rows for gradient boosting
ROWS_PER_BLOCK = 20_000  # approximate number of forecasts whose quantiles are in memory at once

Forecaster = Callable[[slice], Forecast]
"""Function that forecasts some of the rows, which hold whole tickers."""


def score_in_blocks(forecaster: Forecaster, panel: Panel) -> ScoredForecast:
    """Scores the forecasts for all rows of a panel with an outcome.

    Args:
        forecaster: forecasts some of these rows.
        panel: the days.
    """
    rows = np.flatnonzero(panel.has_outcome)
    returns = panel.returns[rows].astype(np.float64)
    blocks = split_into_blocks(panel.first[rows])
    return concatenate_scored([score_forecast(forecaster(block), returns[block]) for block in blocks])


def split_into_blocks(first: np.ndarray) -> list[slice]:
    """Returns slices of whole tickers with about `ROWS_PER_BLOCK` rows each, so that memory does not grow with the tickers.

    Args:
        first: id of the ticker of each row, one ticker after the other.
    """
    starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
    ends = np.r_[starts[1:], len(first)]
    _, last = np.unique(ends // ROWS_PER_BLOCK, return_index=True)
    boundaries = np.unique(np.r_[0, ends[last], len(first)])
    return [slice(int(begin), int(end)) for begin, end in pairwise(boundaries)]


def calibrated_forecast(parameters: np.ndarray, returns: np.ndarray, z_scores: np.ndarray) -> Forecast:
    """Returns the calibrated forecast of the model.

    Args:
        parameters: `tasks.stock.model.PARAMETERS` after the day of each row, `(rows, horizons, 5)`.
        returns: outcomes `(rows, horizons)`.
        z_scores: from `tasks.stock.calibration.conformal_z_scores`.
    """
    at_outcome = build_distribution(parameters.astype(np.float64))
    at_levels = build_distribution(parameters[..., None, :])
    outcomes = np.asarray(at_outcome.to_z_score(returns), np.float64)
    density, _ = calibrate(np.asarray(at_outcome.log_density(returns), np.float64), outcomes, z_scores)
    quantiles = np.asarray(at_levels.from_z_score(z_scores_at_levels(z_scores).astype(np.float32)))
    return Forecast(quantiles, density, 1 / (1 + np.exp(-parameters[..., 4].astype(np.float64))))


def recalibrated_forecaster(
    submodels: Submodels,
    initial: np.ndarray,
    panel: Panel,
    parameters: np.ndarray,
    validation: Panel,
    config: StockConfig,
) -> Forecaster:
    """Returns the forecaster of the exported model whose calibration is updated during the test days.

    Args:
        submodels: submodels of the trained model.
        initial: calibration from training, `(horizons, knots)`.
        panel: the test table.
        parameters: `tasks.stock.model.PARAMETERS` after each of its rows with an outcome, `(rows, horizons, 5)`.
        validation: the validation table, whose outcomes are known at the start.
        config: settings of the run.
    """
    returns, horizons = panel.returns[panel.has_outcome].astype(np.float64), config.forecast.horizons
    batches = WindowBatches(validation, config.features)
    earlier = compute_outcomes(validation, predict_parameters(build_parameter_model(submodels), batches), horizons)
    periods = list(walk_forward(earlier, compute_outcomes(panel, parameters, horizons), horizons, initial))
    z_scores = np.stack([period_z_scores for _, period_z_scores in periods])
    period = np.empty(len(returns), np.int64)
    for k, (rows, _) in enumerate(periods):
        period[rows] = k

    def forecast(block: slice) -> Forecast:
        periods_of_rows = period[block]
        order = np.argsort(periods_of_rows, kind="stable")
        arrays = parameters[block][order], returns[block][order], periods_of_rows[order]
        boundaries = np.flatnonzero(np.diff(periods_of_rows[order])) + 1
        forecasts = [
            calibrated_forecast(p, r, z_scores[k[0]])
            for p, r, k in zip(*(np.split(values, boundaries) for values in arrays), strict=True)
        ]
        restored = np.argsort(order)
        names = ("quantiles", "log_density", "up_probability")
        joined = (np.concatenate([getattr(f, name) for f in forecasts])[restored] for name in names)
        return Forecast(*joined)

    return forecast


def baseline_forecasters(
    submodels: Submodels, panel: Panel, splits: Splits, config: StockConfig
) -> dict[str, Forecaster]:
    """Returns the forecasters of the baselines by name; each forecast uses what was known on its day.

    Args:
        submodels: submodels of the trained model; gradient boosting reads its input features.
        panel: the test table.
        splits: from `tasks.stock.data.load`.
        config: settings of the run.
    """
    close, horizons, rows = panel.fields["close"], config.forecast.horizons, np.flatnonzero(panel.has_outcome)
    returns = panel.returns[rows].astype(np.float64)

    def garch(innovations: str, block: slice) -> Forecast:
        return baselines.garch_forecast(close, panel.first, rows[block], horizons, returns[block], innovations)

    return {
        **{name: partial(simple_forecast, name, panel, horizons) for name in ("random_walk", "drift", "ewma")},
        "garch": partial(garch, "normal"),
        "garch_t": partial(garch, "t"),
        "gradient_boosting": _gradient_boosting(submodels, panel, splits, config),
    }


def simple_forecast(name: str, panel: Panel, horizons: tuple[int, ...], block: slice) -> Forecast:
    """Returns the forecast of `random_walk`, `drift` or `ewma` for a block of the rows with an outcome."""
    rows = np.flatnonzero(panel.has_outcome)[block]
    moments = baselines.compute_moments(panel.fields["close"], panel.first, rows, horizons)
    return baselines.simple_forecasts({name: moments[name]}, panel.returns[rows].astype(np.float64))[name]


def _gradient_boosting(submodels: Submodels, panel: Panel, splits: Splits, config: StockConfig) -> Forecaster:
    """Returns the forecaster of gradient boosting, which is fitted at its first call."""
    roots = np.sqrt(config.forecast.horizons)

    def arrays(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        features, scale = compute_features(submodels, WindowBatches(panel, config.features), config.lstm.units[-1])
        return features, scale[:, None] * roots, panel.returns[panel.has_outcome].astype(np.float64)

    @cache
    def fit() -> tuple[Callable[..., Forecast], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        train = keep_newest(build_panel(splits.train, config), MAX_BOOSTING_ROWS)
        return baselines.fit_gradient_boosting(*arrays(train), config.training.seed), arrays(panel)

    def forecast(block: slice) -> Forecast:
        model, test_arrays = fit()
        return model(*(values[block] for values in test_arrays))

    return forecast
