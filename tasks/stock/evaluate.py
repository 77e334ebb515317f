"""Scores the stock model on the test days, beside random walk, drift, EWMA, GARCH(1,1) and gradient boosting of quantiles."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from shared.data.sources import Splits
from shared.evaluation.metric import Score
from shared.task import Evaluation, TrainedModel
from tasks.stock import backtest, baselines, plots
from tasks.stock.batches import Panel, WindowBatches, build_panel, compute_features, predict_parameters
from tasks.stock.calibration import calibrate, z_scores_at_levels
from tasks.stock.config import StockConfig
from tasks.stock.model import Submodels, build_distribution, build_parameter_model, get_submodels
from tasks.stock.predictive import Forecast, ScoredForecast, concatenate_scored, quantile_forecast, score_forecast
from tasks.stock.recalibration import compute_outcomes, walk_forward
from tasks.stock.scores import crps_difference, summarize_scores
from tasks.stock.trajectories import score_trajectories

MAX_BOOSTING_ROWS = 60_000  # the newest training rows for gradient boosting
ROWS_PER_BLOCK = 20_000  # approximate number of forecasts whose quantiles are in memory at once
OWN_MODELS = ("exported", "recalibrated")

Forecaster = Callable[[slice], dict[str, Forecast]]
"""Function that forecasts some of the rows, which hold whole tickers."""


def evaluate(trained_model: TrainedModel, splits: Splits, config: StockConfig) -> Evaluation:
    """Scores the exported model and the baselines on the scored rows of the test split by the same metrics.

    Args:
        trained_model: from `tasks.stock.train.train_model`.
        splits: from `tasks.stock.data.load`.
        config: settings of the run.
    """
    horizons, submodels = config.forecast.horizons, get_submodels(trained_model.model)
    panel = build_panel(splits.test, config)
    rows = np.flatnonzero(panel.has_outcome)
    returns, days = panel.returns[rows].astype(np.float64), panel.day[rows]
    parameters = predict_parameters(build_parameter_model(submodels), WindowBatches(panel, config.features))
    z_scores = np.asarray(trained_model.metadata["z_scores"])
    forecasters: dict[str, Forecaster] = {
        "exported": lambda block: {"exported": calibrated_forecast(parameters[block], returns[block], z_scores)}
    }
    forecasters["recalibrated"] = _recalibrated(trained_model, panel, parameters, returns, splits, config)
    forecasters |= _baselines(submodels, panel, rows, returns, splits, config)
    scored, minutes = _score_forecasters(forecasters, _split_into_blocks(panel.first[rows]), returns)
    scales = naive_scales(splits.train, panel, rows, horizons)
    scores: list[Score] = []
    for name in scored:
        scores += summarize_scores(name, scored, returns, days, scales, horizons, config.evaluation)
    medians, trajectory_days = scored["exported"].median, config.evaluation.trajectory_days
    scores += score_trajectories(splits, rows, medians, horizons, trajectory_days)
    tickers = pd.factorize(panel.ticker[rows])[0]
    return Evaluation(
        scores,
        output_description=(
            f"`price_quantiles` are the levels {', '.join(map(str, config.forecast.quantiles))} of the close "
            f"{', '.join(map(str, horizons))} trading days ahead. `expected_volatility` is the standard deviation of the "
            "log-return over this time, and `up_probability` the probability of a higher close."
        ),
        notes={
            "minutes per baseline": {name: value for name, value in minutes.items() if name not in OWN_MODELS},
            "CRPS relative to each baseline, in %": {
                name: crps_difference(scored, name, days, horizons) for name in scored if name not in OWN_MODELS
            },
            "coverage by year": {name: coverage_by_year(scored[name].scores, days, horizons) for name in OWN_MODELS},
            "backtest": backtest.compare_portfolios(
                scored["exported"].up_probability[:, 0], returns[:, 0], days, tickers
            ),
        },
        plots={
            "fan.png": _fan_plot(panel, rows, tickers, parameters, returns, z_scores, horizons),
            "calibration.png": partial(plots.calibration, scored, returns, horizons),
            "walk_forward.png": partial(plots.walk_forward, scored, days, horizons),
        },
    )


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


def score_predictions(
    panel: Panel, predictions: Mapping[str, np.ndarray], metadata: Mapping[str, Any], config: StockConfig
) -> list[Score]:
    """Returns the scores of an exported model's predictions for the rows of a panel with an outcome.

    There are no training days, so the scale of the MASE is the mean absolute log-return of these rows.
    """
    rows = np.flatnonzero(panel.has_outcome)
    returns, close, horizons = panel.returns[rows].astype(np.float64), panel.fields["close"], config.forecast.horizons
    quantiles = np.log(predictions["price_quantiles"].astype(np.float64) / close[rows, None, None])
    forecast = quantile_forecast(np.asarray(metadata["forecast"]["quantiles"]), quantiles, returns)
    forecast = Forecast(forecast.quantiles, forecast.log_density, predictions["up_probability"])
    moments = baselines.compute_moments(close, panel.first, rows, horizons)
    naive = baselines.simple_forecasts(moments, returns)["random_walk"]
    scored = {"exported": score_forecast(forecast, returns), "random_walk": score_forecast(naive, returns)}
    scales = np.broadcast_to(np.nanmean(np.abs(returns), axis=0), returns.shape)
    return summarize_scores("exported", scored, returns, panel.day[rows], scales, horizons, config.evaluation)


def naive_scales(train: pd.DataFrame, panel: Panel, rows: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """Returns the divisors of absolute errors in the MASE, `(rows, horizons)`.

    They are the mean absolute log-return of the row's ticker over the horizon on its training days, the error of a forecast of no
    change. A ticker without training days has the mean of all tickers.
    """
    log_close = np.log(train["close"]).where(train["is_scored_row"])
    table = pd.DataFrame({"ticker": train["ticker"], "log": log_close})
    scales = np.empty((len(rows), len(horizons)))
    for k, horizon in enumerate(horizons):
        change = (table.groupby("ticker")["log"].shift(-horizon) - table["log"]).abs()
        mean = change.groupby(table["ticker"]).mean()
        scales[:, k] = pd.Series(panel.ticker[rows]).map(mean).fillna(mean.mean()).to_numpy()
    return scales


def coverage_by_year(
    scores: Mapping[str, np.ndarray], days: np.ndarray, horizons: tuple[int, ...], min_days: int = 20
) -> dict[str, Any]:
    """Returns the coverage of the intervals by the year of the forecast, for years with at least `min_days` days."""
    if not np.issubdtype(days.dtype, np.datetime64):
        return {}
    years = days.astype("datetime64[Y]").astype(str)
    result = {}
    for year in np.unique(years):
        rows = years == year
        for name in ("coverage_80", "coverage_95"):
            for k, horizon in enumerate(horizons):
                is_inside = scores[name][rows, k]
                if len(np.unique(days[rows][np.isfinite(is_inside)])) >= min_days:
                    result[f"{year} {name} {horizon}d"] = float(np.nanmean(is_inside))
    return result


def _fan_plot(
    panel: Panel,
    rows: np.ndarray,
    tickers: np.ndarray,
    parameters: np.ndarray,
    returns: np.ndarray,
    z_scores: np.ndarray,
    horizons: tuple[int, ...],
) -> Callable[..., None]:
    """Returns a function that draws the last complete forecast of the ticker with the most rows."""
    ticker_rows = np.flatnonzero(tickers == np.argmax(np.bincount(tickers)))
    row = int(ticker_rows[max(0, len(ticker_rows) - 1 - max(horizons))])
    first = panel.first[rows[row]]
    quantiles = calibrated_forecast(parameters[[row]], returns[[row]], z_scores).quantiles[0]
    close = panel.fields["close"][panel.first == first]
    return partial(plots.fan, close, rows[row] - first, quantiles, horizons)


def _score_forecasters(
    forecasters: Mapping[str, Forecaster], blocks: list[slice], returns: np.ndarray
) -> tuple[dict[str, ScoredForecast], dict[str, float]]:
    """Returns the scored forecasts of all blocks of rows by name, and the minutes of each forecaster."""
    scored: dict[str, ScoredForecast] = {}
    minutes = {}
    for name, forecast in forecasters.items():
        started = time.monotonic()
        parts = [{key: score_forecast(f, returns[block]) for key, f in forecast(block).items()} for block in blocks]
        scored |= {key: concatenate_scored([part[key] for part in parts]) for key in parts[0]}
        minutes[name] = (time.monotonic() - started) / 60
    return scored, minutes


def _split_into_blocks(first: np.ndarray) -> list[slice]:
    """Returns slices of whole tickers with about `ROWS_PER_BLOCK` rows each, so that memory does not grow with the tickers.

    Args:
        first: id of the ticker of each row, one ticker after the other.
    """
    starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
    ends = np.r_[starts[1:], len(first)]
    _, last = np.unique(ends // ROWS_PER_BLOCK, return_index=True)
    boundaries = np.unique(np.r_[0, ends[last], len(first)])
    return [slice(int(begin), int(end)) for begin, end in pairwise(boundaries)]


def _recalibrated(
    trained_model: TrainedModel,
    panel: Panel,
    parameters: np.ndarray,
    returns: np.ndarray,
    splits: Splits,
    config: StockConfig,
) -> Forecaster:
    """Returns the forecaster of the exported model whose calibration is updated during the test days."""
    submodels, validation = get_submodels(trained_model.model), build_panel(splits.validation, config)
    horizons = config.forecast.horizons
    validation_parameters = predict_parameters(
        build_parameter_model(submodels), WindowBatches(validation, config.features)
    )
    earlier = compute_outcomes(validation, validation_parameters, horizons)
    initial = np.asarray(trained_model.metadata["z_scores"])
    periods = list(walk_forward(earlier, compute_outcomes(panel, parameters, horizons), initial))
    z_scores = np.stack([period_z_scores for _, period_z_scores in periods])
    period = np.empty(len(returns), np.int64)
    for k, (rows, _) in enumerate(periods):
        period[rows] = k

    def forecast(block: slice) -> dict[str, Forecast]:
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
        return {"recalibrated": Forecast(*joined)}

    return forecast


def _baselines(
    submodels: Submodels, panel: Panel, rows: np.ndarray, returns: np.ndarray, splits: Splits, config: StockConfig
) -> dict[str, Forecaster]:
    """Returns the forecasters of the baselines; each forecast uses what was known on its day."""
    close, horizons = panel.fields["close"], config.forecast.horizons

    def simple(block: slice) -> dict[str, Forecast]:
        moments = baselines.compute_moments(close, panel.first, rows[block], horizons)
        return baselines.simple_forecasts(moments, returns[block])

    def garch(block: slice) -> dict[str, Forecast]:
        return {
            name: baselines.garch_forecast(close, panel.first, rows[block], horizons, returns[block], innovations)
            for name, innovations in (("garch", "normal"), ("garch_t", "t"))
        }

    boosting = _gradient_boosting(submodels, panel, splits, config)
    return {"simple": simple, "garch": garch, "gradient_boosting": boosting}


def _gradient_boosting(submodels: Submodels, panel: Panel, splits: Splits, config: StockConfig) -> Forecaster:
    """Returns the forecaster of gradient boosting, which is fitted at its first call."""
    roots = np.sqrt(config.forecast.horizons)

    def arrays(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        features, scale = compute_features(submodels, WindowBatches(panel, config.features), config.lstm.units[-1])
        return features, scale[:, None] * roots, panel.returns[panel.has_outcome].astype(np.float64)

    @cache
    def fit() -> tuple[Callable[..., Forecast], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        train = build_panel(splits.train, config)
        is_complete = np.isfinite(train.returns).all(axis=1)
        rows = np.flatnonzero(is_complete if is_complete.any() else train.has_outcome)
        is_used = np.zeros((len(train.first), 1), bool)
        is_used[rows[np.argsort(train.day[rows], kind="stable")][-MAX_BOOSTING_ROWS:]] = True
        train = dataclasses.replace(train, returns=np.where(is_used, train.returns, np.float32(np.nan)))
        return baselines.fit_gradient_boosting(*arrays(train), config.training.seed), arrays(panel)

    def forecast(block: slice) -> dict[str, Forecast]:
        model, test_arrays = fit()
        return {"gradient_boosting": model(*(values[block] for values in test_arrays))}

    return forecast
