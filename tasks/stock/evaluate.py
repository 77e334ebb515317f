"""The stock model on the test days, beside random walk, drift, EWMA, GARCH(1,1) and gradient boosting of quantiles."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from shared.evaluation import Score
from shared.sources import Splits
from shared.task import Evaluation, Fitted
from tasks.stock import backtest, baselines, plots
from tasks.stock.batches import Panel, WindowBatches, forecasts, inputs_of, open_panel
from tasks.stock.calibration import at_levels, calibrate
from tasks.stock.config import StockConfig
from tasks.stock.model import Parts, distribution_of, parts_of, trainer_of
from tasks.stock.predictive import Forecast, of_quantiles, row_scores
from tasks.stock.scores import below, summary

BOOSTED_ROWS = 60_000  # rows that train the gradient boosting, the newest


def evaluate(fitted: Fitted, splits: Splits, config: StockConfig) -> Evaluation:
    """Scores the exported model and the baselines on the judged days of the test split by the same metrics.

    Args:
        fitted: from `tasks.stock.train.fit`.
        splits: from `tasks.stock.data.load`.
        config: the run's settings.
    """
    horizons, parts = config.forecast.horizons, parts_of(fitted.model)
    panel = open_panel(splits.test, config.forecast)
    asked = np.flatnonzero(panel.chosen)
    returns, days = panel.returns[asked].astype(np.float64), panel.day[asked]
    parameters = forecasts(trainer_of(parts), WindowBatches(panel, config.forecast))[asked]
    answers = {"exported": exported(parameters, returns, np.asarray(fitted.facts["normals"]))}
    minutes = {}
    for name, make in _baselines(parts, panel, asked, returns, splits, config).items():
        started = time.monotonic()
        answers |= make()
        minutes[name] = (time.monotonic() - started) / 60
    scored = {name: row_scores(answer, returns) for name, answer in answers.items()}
    scales = naive_scales(splits.train, panel, asked, horizons)
    scores: list[Score] = []
    for name, answer in answers.items():
        scores += summary(name, answer, scored, returns, days, scales, horizons, config.direction)
    others = [name for name in answers if name != "exported"]
    tickers = pd.factorize(panel.ticker[asked])[0]
    most = asked[tickers == np.argmax(np.bincount(tickers))]
    place = int(most[max(0, len(most) - 1 - max(horizons))])
    ticker = panel.fields["close"][panel.first == panel.first[place]]
    return Evaluation(
        scores,
        answers=(
            f"`price_quantiles` are the levels {', '.join(map(str, config.forecast.quantiles))} of the close "
            f"{', '.join(map(str, horizons))} trading days ahead; `expected_volatility` is the standard deviation of the "
            "log-return over that time; `rise_probability` that of a higher close."
        ),
        notes={
            "minutes of the baselines": minutes,
            "CRPS beside each baseline, in %": {name: below(scored, name, days, horizons) for name in others},
            "coverage by year": coverage_by_year(scored["exported"], days, horizons),
            "backtest": backtest.compare(answers["exported"].rise[:, 0], returns[:, 0], days, tickers),
        },
        plots={
            "fan.png": partial(
                plots.fan,
                ticker,
                place - panel.first[place],
                answers["exported"].quantiles[asked.searchsorted(place)],
                horizons,
            ),
            "calibration.png": partial(plots.calibration, answers, returns, horizons),
            "walk_forward.png": partial(plots.walk_forward, scored, days, horizons),
        },
    )


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
    panel: Panel, answer: Mapping[str, np.ndarray], facts: Mapping[str, Any], config: StockConfig
) -> list[Score]:
    """Returns the scores of an exported model's answers to the chosen rows of a panel.

    With no training days at hand, the scale of the MASE is the mean absolute log-return of these very rows.
    """
    asked = np.flatnonzero(panel.chosen)
    returns, close, horizons = panel.returns[asked].astype(np.float64), panel.fields["close"], config.forecast.horizons
    quantiles = np.log(answer["price_quantiles"].astype(np.float64) / close[asked, None, None])
    own = of_quantiles(np.asarray(facts["forecast"]["quantiles"]), quantiles, returns)
    own = Forecast(own.quantiles, own.log_density, answer["rise_probability"])
    naive = baselines.simple(baselines.moments(close, panel.first, asked, horizons), returns)["random_walk"]
    scored = {"exported": row_scores(own, returns), "random_walk": row_scores(naive, returns)}
    scales = np.broadcast_to(np.nanmean(np.abs(returns), axis=0), returns.shape)
    return summary("exported", own, scored, returns, panel.day[asked], scales, horizons, config.direction)


def naive_scales(train: pd.DataFrame, panel: Panel, asked: np.ndarray, horizons: tuple[int, ...]) -> np.ndarray:
    """Returns what divides an absolute error in the MASE: of each row's ticker, the mean absolute log-return over the horizon
    on its training days, which is the error of a forecast of no change there; `(rows, horizons)`. A ticker without
    training days takes the mean of all.
    """
    table = pd.DataFrame({"ticker": train["ticker"], "log": np.log(train["close"])})
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


def _baselines(
    parts: Parts, panel: Panel, asked: np.ndarray, returns: np.ndarray, splits: Splits, config: StockConfig
) -> dict[str, Callable[[], dict[str, Forecast]]]:
    """Returns functions that make the baselines' forecasts, each of what was known on the day."""
    close, horizons = panel.fields["close"], config.forecast.horizons

    def boosted() -> dict[str, Forecast]:
        learn = open_panel(splits.train, config.forecast)
        rows = np.flatnonzero(learn.chosen)
        rows = rows[np.argsort(learn.day[rows], kind="stable")][-BOOSTED_ROWS:]
        rows.sort()
        tables = []
        for given, chosen in ((learn, rows), (panel, asked)):
            features, unit = inputs_of(parts, WindowBatches(given, config.forecast), config.lstm.units[-1])
            tables.append(
                (features[chosen], unit[chosen, None] * np.sqrt(horizons), given.returns[chosen].astype(np.float64))
            )
        return {"gradient_boosting": baselines.boosted_quantiles(tables[0], tables[1], config.fit.seed)}

    return {
        "simple": lambda: baselines.simple(baselines.moments(close, panel.first, asked, horizons), returns),
        "garch": lambda: {"garch": baselines.garch(close, panel.first, asked, horizons, returns, "normal")},
        "garch_t": lambda: {"garch_t": baselines.garch(close, panel.first, asked, horizons, returns, "t")},
        "gradient_boosting": boosted,
    }
