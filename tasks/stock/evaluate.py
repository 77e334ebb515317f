"""The stock model on the test days, beside random walk, drift, EWMA, GARCH(1,1) and gradient boosting of quantiles."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import cache, partial
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from shared.evaluation import Score
from shared.sources import Splits
from shared.task import Evaluation, TrainedModel
from tasks.stock import backtest, baselines, paths, plots
from tasks.stock.batches import Panel, WindowBatches, forecasts, inputs_of, open_panel
from tasks.stock.calibration import at_levels, calibrate
from tasks.stock.config import StockConfig
from tasks.stock.model import Submodels, distribution_of, get_submodels, trainer_of
from tasks.stock.predictive import Forecast, Scored, joined, of_quantiles, scored_of
from tasks.stock.recalibration import answers_of, walk_forward
from tasks.stock.scores import below, summary

BOOSTED_ROWS = 60_000  # rows that train the gradient boosting, the newest
ROWS = 20_000  # forecasts whose quantiles are in memory at once, about
Maker = Callable[[slice], dict[str, Forecast]]
"""What forecasts some of the rows asked for: whole tickers."""


def evaluate(trained_model: TrainedModel, splits: Splits, config: StockConfig) -> Evaluation:
    """Scores the exported model and the baselines on the judged days of the test split by the same metrics.

    Args:
        trained_model: from `tasks.stock.train.fit`.
        splits: from `tasks.stock.data.load`.
        config: the run's settings.
    """
    horizons, parts = config.forecast.horizons, get_submodels(trained_model.model)
    panel = open_panel(splits.test, config.forecast)
    asked = np.flatnonzero(panel.chosen)
    returns, days = panel.returns[asked].astype(np.float64), panel.day[asked]
    parameters = forecasts(trainer_of(parts), WindowBatches(panel, config.forecast))
    normals = np.asarray(trained_model.metadata["normals"])
    makers: dict[str, Maker] = {
        "exported": lambda rows: {"exported": exported(parameters[rows], returns[rows], normals)}
    }
    makers["recalibrated"] = _recalibrated(trained_model, panel, parameters, returns, splits, config)
    makers |= _baselines(parts, panel, asked, returns, splits, config)
    scored, minutes = _scored(makers, _blocks(panel.first[asked]), returns)
    scales = naive_scales(splits.train, panel, asked, horizons)
    scores: list[Score] = []
    for name in scored:
        scores += summary(name, scored, returns, days, scales, horizons, config.direction)
    scores += paths.scores(splits, asked, scored["exported"].median, horizons, config.protocol.paths)
    tickers = pd.factorize(panel.ticker[asked])[0]
    most = np.flatnonzero(tickers == np.argmax(np.bincount(tickers)))
    shown = int(most[max(0, len(most) - 1 - max(horizons))])
    first = panel.first[asked[shown]]
    fan = exported(parameters[[shown]], returns[[shown]], normals).quantiles[0]
    return Evaluation(
        scores,
        output_description=(
            f"`price_quantiles` are the levels {', '.join(map(str, config.forecast.quantiles))} of the close "
            f"{', '.join(map(str, horizons))} trading days ahead; `expected_volatility` is the standard deviation of the "
            "log-return over that time; `up_probability` that of a higher close."
        ),
        notes={
            "minutes of the baselines": {
                name: spent for name, spent in minutes.items() if name not in ("exported", "recalibrated")
            },
            "CRPS beside each baseline, in %": {
                name: below(scored, name, days, horizons) for name in scored if name not in ("exported", "recalibrated")
            },
            "coverage by year": {
                name: coverage_by_year(scored[name].scores, days, horizons) for name in ("exported", "recalibrated")
            },
            "backtest": backtest.compare(scored["exported"].rise[:, 0], returns[:, 0], days, tickers),
        },
        plots={
            "fan.png": partial(
                plots.fan, panel.fields["close"][panel.first == first], asked[shown] - first, fan, horizons
            ),
            "calibration.png": partial(plots.calibration, scored, returns, horizons),
            "walk_forward.png": partial(plots.walk_forward, scored, days, horizons),
        },
    )


def _scored(
    makers: Mapping[str, Maker], blocks: list[slice], returns: np.ndarray
) -> tuple[dict[str, Scored], dict[str, float]]:
    """Returns what each maker's forecasts of all blocks of rows are worth, and its minutes."""
    scored: dict[str, Scored] = {}
    minutes = {}
    for name, make in makers.items():
        started = time.monotonic()
        found = [{name: scored_of(f, returns[rows]) for name, f in make(rows).items()} for rows in blocks]
        scored |= {name: joined([part[name] for part in found]) for name in found[0]}
        minutes[name] = (time.monotonic() - started) / 60
    return scored, minutes


def exported(parameters: np.ndarray, returns: np.ndarray, normals: np.ndarray) -> Forecast:
    """Returns the calibrated forecast of the model.

    Args:
        parameters: `tasks.stock.model.PARAMETERS` after each row's day, `(rows, horizons, 5)`.
        returns: what came to pass `(rows, horizons)`.
        normals: from `tasks.stock.calibration.normals_of`.
    """
    narrow, wide = distribution_of(parameters.astype(np.float64)), distribution_of(parameters[..., None, :])
    numbers = np.asarray(narrow.to_normal(returns), np.float64)
    density, _ = calibrate(np.asarray(narrow.log_density(returns), np.float64), numbers, normals)
    quantiles = np.asarray(wide.from_normal(at_levels(normals).astype(np.float32)))
    return Forecast(quantiles, density, 1 / (1 + np.exp(-parameters[..., 4].astype(np.float64))))


def scores_of_answers(
    panel: Panel, answer: Mapping[str, np.ndarray], metadata: Mapping[str, Any], config: StockConfig
) -> list[Score]:
    """Returns the scores of an exported model's answers to the chosen rows of a panel.

    With no training days at hand, the scale of the MASE is the mean absolute log-return of these very rows.
    """
    asked = np.flatnonzero(panel.chosen)
    returns, close, horizons = panel.returns[asked].astype(np.float64), panel.fields["close"], config.forecast.horizons
    quantiles = np.log(answer["price_quantiles"].astype(np.float64) / close[asked, None, None])
    own = of_quantiles(np.asarray(metadata["forecast"]["quantiles"]), quantiles, returns)
    own = Forecast(own.quantiles, own.log_density, answer["up_probability"])
    naive = baselines.simple(baselines.moments(close, panel.first, asked, horizons), returns)["random_walk"]
    scored = {"exported": scored_of(own, returns), "random_walk": scored_of(naive, returns)}
    scales = np.broadcast_to(np.nanmean(np.abs(returns), axis=0), returns.shape)
    return summary("exported", scored, returns, panel.day[asked], scales, horizons, config.direction)


def naive_scales(train: pd.DataFrame, panel: Panel, asked: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """Returns what divides an absolute error in the MASE: of each row's ticker, the mean absolute log-return over the horizon
    on its training days, which is the error of a forecast of no change there; `(rows, horizons)`. A ticker without
    training days takes the mean of all.
    """
    table = pd.DataFrame({"ticker": train["ticker"], "log": np.log(train["close"]).where(train["judged"])})
    scales = np.empty((len(asked), len(horizons)))
    for k, horizon in enumerate(horizons):
        change = (table.groupby("ticker")["log"].shift(-horizon) - table["log"]).abs()
        mean = change.groupby(table["ticker"]).mean()
        scales[:, k] = pd.Series(panel.ticker[asked]).map(mean).fillna(mean.mean()).to_numpy()
    return scales


def coverage_by_year(
    scored: Mapping[str, np.ndarray], days: np.ndarray, horizons: tuple[int, ...], fewest: int = 20
) -> dict[str, Any]:
    """Returns the share of answers inside the intervals, by the year of the day forecast from, of years with enough days."""
    if not np.issubdtype(days.dtype, np.datetime64):
        return {}
    years = days.astype("datetime64[Y]").astype(str)
    found = {}
    for year in np.unique(years):
        rows = years == year
        for name in ("coverage_80", "coverage_95"):
            for k, horizon in enumerate(horizons):
                inside = scored[name][rows, k]
                if len(np.unique(days[rows][np.isfinite(inside)])) >= fewest:
                    found[f"{year} {name} {horizon}d"] = float(np.nanmean(inside))
    return found


def _blocks(first: np.ndarray) -> list[slice]:
    """Returns slices of whole tickers with about `ROWS` rows each, so that many tickers take no more memory than some.

    Args:
        first: a number of each row's ticker, one ticker after the other.
    """
    starts = np.flatnonzero(np.r_[True, first[1:] != first[:-1]])
    ends = np.r_[starts[1:], len(first)]
    _, last = np.unique(ends // ROWS, return_index=True)
    cuts = np.unique(np.r_[0, ends[last], len(first)])
    return [slice(int(begin), int(end)) for begin, end in pairwise(cuts)]


def _recalibrated(
    trained_model: TrainedModel, panel: Panel, parameters: np.ndarray, returns: np.ndarray, splits: Splits, config: StockConfig
) -> Maker:
    """Returns what forecasts rows by the exported model, calibrated anew as the test days pass."""
    parts, before = get_submodels(trained_model.model), open_panel(splits.validation, config.forecast)
    learned = answers_of(before, forecasts(trainer_of(parts), WindowBatches(before, config.forecast)), config.forecast)
    start = np.asarray(trained_model.metadata["normals"])
    periods = list(walk_forward(learned, answers_of(panel, parameters, config.forecast), start))
    normals = np.stack([normals for _, normals in periods])
    period = np.empty(len(returns), np.int64)
    for k, (rows, _) in enumerate(periods):
        period[rows] = k

    def make(rows: slice) -> dict[str, Forecast]:
        kinds = period[rows]
        order = np.argsort(kinds, kind="stable")
        mine, came = parameters[rows][order], returns[rows][order]
        cuts = np.flatnonzero(np.diff(kinds[order])) + 1
        found = [
            exported(p, r, normals[k[0]])
            for p, r, k in zip(*(np.split(values, cuts) for values in (mine, came, kinds[order])), strict=True)
        ]
        back = np.argsort(order)
        names = ("quantiles", "log_density", "rise")
        return {"recalibrated": Forecast(*(np.concatenate([getattr(f, name) for f in found])[back] for name in names))}

    return make


def _baselines(
    parts: Submodels, panel: Panel, asked: np.ndarray, returns: np.ndarray, splits: Splits, config: StockConfig
) -> dict[str, Maker]:
    """Returns functions that make the baselines' forecasts of some of the rows, each of what was known on the day."""
    close, horizons = panel.fields["close"], config.forecast.horizons

    def simple(rows: slice) -> dict[str, Forecast]:
        return baselines.simple(baselines.moments(close, panel.first, asked[rows], horizons), returns[rows])

    def garch(rows: slice) -> dict[str, Forecast]:
        return {
            name: baselines.garch(close, panel.first, asked[rows], horizons, returns[rows], shape)
            for name, shape in (("garch", "normal"), ("garch_t", "t"))
        }

    return {"simple": simple, "garch": garch, "gradient_boosting": _boosted(parts, panel, splits, config)}


def _boosted(parts: Submodels, panel: Panel, splits: Splits, config: StockConfig) -> Maker:
    """Returns what forecasts rows by gradient boosting, which learns when it is first asked."""
    root = np.sqrt(config.forecast.horizons)

    def table(panel: Panel) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        features, unit = inputs_of(parts, WindowBatches(panel, config.forecast), config.lstm.units[-1])
        return features, unit[:, None] * root, panel.returns[panel.chosen].astype(np.float64)

    @cache
    def learned() -> tuple[Callable[..., Forecast], tuple[np.ndarray, np.ndarray, np.ndarray]]:
        learn = open_panel(splits.train, config.forecast)
        whole = np.isfinite(learn.returns).all(axis=1)
        rows = np.flatnonzero(whole if whole.any() else learn.chosen)
        kept = np.zeros((len(learn.first), 1), bool)
        kept[rows[np.argsort(learn.day[rows], kind="stable")][-BOOSTED_ROWS:]] = True
        learn = dataclasses.replace(learn, returns=np.where(kept, learn.returns, np.float32(np.nan)))
        return baselines.boosted_quantiles(*table(learn), config.training.seed), table(panel)

    def make(rows: slice) -> dict[str, Forecast]:
        forecast, asked = learned()
        return {"gradient_boosting": forecast(*(values[rows] for values in asked))}

    return make
