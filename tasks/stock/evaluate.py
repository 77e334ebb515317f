"""Scores the stock model on the test days, beside random walk, drift, EWMA, GARCH(1,1) and gradient boosting of quantiles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cached_property, partial
from typing import Any, cast

import numpy as np
import pandas as pd

from shared.data.sources import Splits
from shared.evaluation.metric import Score
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel, trained_config
from tasks.stock import backtest, plots
from tasks.stock.batches import Panel, WindowBatches, build_panel, predict_parameters
from tasks.stock.config import StockConfig
from tasks.stock.forecasts import (
    Forecaster,
    baseline_forecasters,
    calibrated_forecast,
    recalibrated_forecaster,
    score_in_blocks,
    simple_forecast,
)
from tasks.stock.model import build_parameter_model, get_submodels
from tasks.stock.predictive import Forecast, ScoredForecast, quantile_forecast
from tasks.stock.scores import crps_difference, summarize_scores
from tasks.stock.trajectories import score_trajectories

RECALIBRATED = "recalibrated"
OWN_MODELS = (EXPORTED, RECALIBRATED)


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the forecasts of any model for the rows of a table with an outcome.

    Args:
        records: the test split, or a table from `tasks.stock.serving.read_records`.
        predictions: the outputs of the exported model from `tasks.stock.serving.predict`, whose quantiles between the exported levels
            are interpolated; or the fields of a `ScoredForecast`, which has all levels and the exact density.
        metadata: metadata of the model; `naive_errors` has the divisors of the MASE.
    """
    config = cast("StockConfig", trained_config(metadata))
    panel, horizons = build_panel(records, config), config.forecast.horizons
    rows = np.flatnonzero(panel.has_outcome)
    returns = panel.returns[rows].astype(np.float64)
    if "price_quantiles" in predictions:
        levels = np.asarray(config.forecast.quantiles)
        own = score_in_blocks(partial(_served_forecast, predictions, levels, panel, rows), panel)
    else:
        own = ScoredForecast.from_predictions(predictions)
    scored = {
        EXPORTED: own,
        "random_walk": score_in_blocks(partial(simple_forecast, "random_walk", panel, horizons), panel),
    }
    scales = error_scales(metadata["naive_errors"], panel.ticker[rows])
    return summarize_scores(EXPORTED, scored, returns, panel.day[rows], scales, horizons, config.evaluation)


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: StockConfig) -> EvaluationPlan:
    """Plans the evaluation on the test days: the model with exact densities, its walk-forward recalibration, and the baselines.

    Args:
        trained_model: from `tasks.stock.train.train_model`.
        splits: from `tasks.stock.data.load`.
        config: settings of the run.
    """
    comparison = Comparison(trained_model, splits, config)
    forecasters = baseline_forecasters(comparison.submodels, comparison.panel, splits, config)
    return EvaluationPlan(
        describe=comparison.describe,
        exact_predictions=lambda: comparison.predict(comparison.forecast),
        components={RECALIBRATED: lambda: comparison.predict(comparison.recalibrated())},
        baselines={name: partial(comparison.predict, forecaster) for name, forecaster in forecasters.items()},
        extra_scores=comparison.trajectory_scores,
    )


class Comparison:
    """The test days, and the parameters of the model for them.

    Args:
        trained_model: from `tasks.stock.train.train_model`.
        splits: from `tasks.stock.data.load`.
        config: settings of the run.

    Attributes:
        submodels: submodels of the trained model.
        panel: the test table.
        rows: its rows with an outcome, int64 `(rows,)`.
        returns: outcomes, float64 `(rows, horizons)`.
    """

    def __init__(self, trained_model: TrainedModel, splits: Splits, config: StockConfig) -> None:
        self.splits, self.config = splits, config
        self.submodels = get_submodels(trained_model.model)
        self.z_scores = np.asarray(trained_model.metadata["z_scores"])
        self.panel = build_panel(splits.test, config)
        self.rows = np.flatnonzero(self.panel.has_outcome)
        self.returns = self.panel.returns[self.rows].astype(np.float64)

    @cached_property
    def parameters(self) -> np.ndarray:
        """`tasks.stock.model.PARAMETERS` after each row, `(rows, horizons, 5)`."""
        batches = WindowBatches(self.panel, self.config.features)
        return predict_parameters(build_parameter_model(self.submodels), batches)

    def predict(self, forecaster: Forecaster) -> Predictions:
        """Returns the fields of the `ScoredForecast` of a model."""
        return score_in_blocks(forecaster, self.panel).as_predictions()

    def forecast(self, block: slice) -> Forecast:
        """Returns the forecast of the exported model for some of the rows, with the exact density of each outcome."""
        return calibrated_forecast(self.parameters[block], self.returns[block], self.z_scores)

    def recalibrated(self) -> Forecaster:
        """Returns the forecaster of the exported model whose calibration is updated during the test days."""
        validation = build_panel(self.splits.validation, self.config)
        return recalibrated_forecaster(
            self.submodels, self.z_scores, self.panel, self.parameters, validation, self.config
        )

    def trajectory_scores(self, predictions: Mapping[str, Predictions]) -> list[Score]:
        """Returns the errors over whole trajectories, which need the prices of the training days."""
        medians, lengths = predictions[EXPORTED]["median"], self.config.evaluation.trajectory_days
        return score_trajectories(self.splits, self.rows, medians, self.config.forecast.horizons, lengths)

    def describe(self, predictions: Mapping[str, Predictions], scores: Sequence[Score]) -> Description:
        """Describes the outputs, the models relative to each other, and the test days."""
        scored = {name: ScoredForecast.from_predictions(values) for name, values in predictions.items()}
        horizons, days = self.config.forecast.horizons, self.panel.day[self.rows]
        tickers = pd.factorize(self.panel.ticker[self.rows])[0]
        up_probability = scored[EXPORTED].up_probability[:, 0]
        return Description(
            output_description=(
                f"`price_quantiles` are the levels {', '.join(map(str, self.config.forecast.quantiles))} of the close "
                f"{', '.join(map(str, horizons))} trading days ahead. `expected_volatility` is the standard deviation of the "
                "log-return over this time, and `up_probability` the probability of a higher close."
            ),
            notes={
                "CRPS relative to each baseline, in %": {
                    name: crps_difference(scored, name, days, horizons) for name in scored if name not in OWN_MODELS
                },
                "coverage by year": {
                    name: coverage_by_year(scored[name].scores, days, horizons) for name in OWN_MODELS
                },
                "backtest": backtest.compare_portfolios(up_probability, self.returns[:, 0], days, tickers),
            },
            plots={
                "fan.png": self._fan_plot(tickers),
                "calibration.png": partial(plots.calibration, scored, self.returns, horizons),
                "walk_forward.png": partial(plots.walk_forward, scored, days, horizons),
            },
        )

    def _fan_plot(self, tickers: np.ndarray) -> Callable[..., None]:
        """Returns a function that draws the last complete forecast of the ticker with the most rows."""
        horizons = self.config.forecast.horizons
        ticker_rows = np.flatnonzero(tickers == np.argmax(np.bincount(tickers)))
        row = int(ticker_rows[max(0, len(ticker_rows) - 1 - max(horizons))])
        first = self.panel.first[self.rows[row]]
        quantiles = self.forecast(slice(row, row + 1)).quantiles[0]
        close = self.panel.fields["close"][self.panel.first == first]
        return partial(plots.fan, close, self.rows[row] - first, quantiles, horizons)


def naive_errors(train: pd.DataFrame, horizons: tuple[int, ...]) -> dict[str, Any]:
    """Returns the mean absolute log-return over each horizon on the training days, the error of a forecast of no change.

    Args:
        train: table from `tasks.stock.data.load`.
        horizons: trading days ahead.

    Returns:
        JSON-ready: `tickers`, a list `(horizons,)` by ticker, None where there are too few days; and `mean`, that of all tickers.
    """
    log_close = np.log(train["close"]).where(train["is_scored_row"])
    table = pd.DataFrame({"ticker": train["ticker"], "log": log_close})
    means = []
    for horizon in horizons:
        change = (table.groupby("ticker")["log"].shift(-horizon) - table["log"]).abs()
        means.append(change.groupby(table["ticker"]).mean())
    tickers = pd.concat(means, axis=1)
    values = tickers.astype(object).where(tickers.notna(), None)
    return {
        "tickers": {str(ticker): row for ticker, row in zip(tickers.index, values.to_numpy().tolist(), strict=True)},
        "mean": [float(mean.mean()) for mean in means],
    }


def error_scales(errors: Mapping[str, Any], tickers: np.ndarray) -> np.ndarray:
    """Returns the divisors of absolute errors in the MASE, `(rows, horizons)`.

    Args:
        errors: from `naive_errors`; a ticker without training days has the mean of all tickers.
        tickers: ticker of each row, `(rows,)`.
    """
    names, position = np.unique(tickers.astype(str), return_inverse=True)
    unknown = [None] * len(errors["mean"])
    table = np.array([errors["tickers"].get(name, unknown) for name in names], np.float64)
    return np.where(np.isnan(table), errors["mean"], table)[position]


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


def _served_forecast(
    predictions: Predictions, levels: np.ndarray, panel: Panel, rows: np.ndarray, block: slice
) -> Forecast:
    """Returns the forecast of a block of rows from the outputs of an exported model."""
    selected = rows[block]
    close, returns = panel.fields["close"][selected], panel.returns[selected].astype(np.float64)
    quantiles = np.log(predictions["price_quantiles"][selected].astype(np.float64) / close[:, None, None])
    forecast = quantile_forecast(levels, quantiles, returns)
    return Forecast(forecast.quantiles, forecast.log_density, predictions["up_probability"][selected])
