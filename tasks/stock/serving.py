"""The stock model's signatures, and how a user's rows become requests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from scipy.stats import norm

from shared import evaluation
from shared.columns import records_of
from shared.config import as_trained
from shared.pipelines import places_of, taken
from shared.signatures import endpoint_of
from shared.task import Call, Servable
from tasks.stock import prices
from tasks.stock.batches import Panel, open_panel
from tasks.stock.calibration import between
from tasks.stock.config import ForecastConfig, StockConfig
from tasks.stock.model import FIELDS, distribution_of, parts_of, price_quantiles

DAYS = 40  # of the example
ROWS = 1024  # forecasts asked for at once, so that a long file needs no more memory than a short one
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)  # for means over a standard normal number
EXAMPLES = tuple(
    json.dumps(
        {
            "Ticker": "ABC",
            "Date": str(np.datetime64("2018-11-05") + 7 * (k // 5) + k % 5),
            **{
                name: round(100 + 2 * np.sin(1.7 * k) + shift, 2)
                for name, shift in (("Open", 0.2), ("High", 1), ("Low", -1), ("Close", 0))
            },
            "Volume": 1_000_000 + 1_000 * k,
        }
    )
    for k in range(DAYS)
)


def servable(forecaster: keras.Model, facts: dict[str, Any]) -> Servable:
    """Gives the Keras model its signatures.

    `serving_default` takes the last days of tickers, one a row: `open`, `high`, `low`, `close` and `volume` float32
    `(tickers, days)`, oldest first, in any unit, adjusted for splits; not a number where not known, but for the close;
    and `length` int32 `(tickers,)`, how many days are real, padding on the right. It returns `price_quantiles` float32
    `(tickers, horizons, quantiles)` in the unit of the close, `expected_volatility` `(tickers, horizons)`, the standard
    deviation of the log-return over the horizon, `rise_probability` alike, and `memory` `(tickers, numbers)`.

    `step` takes one more day of each ticker, the same fields `(tickers,)`, and the memory after the day before, zeros at
    the beginning; it returns the same.
    """
    parts = parts_of(forecaster)
    normals = np.asarray(facts["normals"])
    served = served_normals(normals, facts["forecast"]["quantiles"])
    nodes = tf.constant(served_normals(normals, norm.cdf(NODES)), tf.float32)
    weights = tf.constant(WEIGHTS / WEIGHTS.sum(), tf.float32)

    def answers(after: Mapping[str, Any], last: Any, close: Any) -> dict[str, Any]:
        hidden, scale, close = (
            tf.gather(x, last, axis=1, batch_dims=1)[:, None] for x in (after["hidden"], after["scale"], close)
        )
        parameters = parts.head([hidden, scale])[:, 0]
        wide = distribution_of(parameters[..., None, :])
        values = wide.from_normal(nodes)
        mean = tf.reduce_sum(values * weights, axis=-1, keepdims=True)
        variance = tf.reduce_sum(tf.square(values - mean) * weights, axis=-1)
        return {
            "price_quantiles": price_quantiles(parameters, close, served),
            "expected_volatility": tf.sqrt(variance),
            "rise_probability": tf.sigmoid(parameters[..., 4]),
            "memory": after["memory"],
        }

    def whole(**fields: Any) -> dict[str, Any]:
        length = fields["length"]
        memory = tf.zeros((tf.shape(length)[0], parts.memory_size))
        after = parts.days({**fields, "memory": memory})
        return answers(after, tf.maximum(length - 1, 0), fields["close"])

    def step(**fields: Any) -> dict[str, Any]:
        memory = fields.pop("memory")
        single = {name: value[:, None] for name, value in fields.items()}
        length = tf.ones_like(fields["close"], tf.int32)
        after = parts.days({**single, "length": length, "memory": memory})
        return answers(after, length - 1, single["close"])

    request = sample_request()
    first = {name: request[name][:, 0] for name in FIELDS}
    first["memory"] = np.zeros((len(request["length"]), parts.memory_size), np.float32)
    endpoints = {"serving_default": endpoint_of(whole, request), "step": endpoint_of(step, first, fixed=("memory",))}
    return Servable(forecaster, endpoints, facts)


def served_normals(normals: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns the calibrated normal numbers of the levels, `(horizons, levels)` (see `tasks.stock.calibration`)."""
    return np.stack([between(knots, norm.ppf(levels)) for knots in normals])


def sample_request() -> dict[str, np.ndarray]:
    """Returns two tickers, one of 40 days and one of 25 without range and volume."""
    days = np.arange(DAYS)
    close = np.stack([1 + 0.02 * np.sin(1.7 * days), 0.2 + 0.003 * np.cos(2.3 * days)]).astype(np.float32)
    request = {
        "open": close * 1.001,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": 100 + days * close,
    }
    length = np.array([DAYS, 25], np.int32)
    real = days < length[:, None]
    request = {name: np.where(real, value, 0).astype(np.float32) for name, value in request.items()}
    for name in ("open", "high", "low", "volume"):
        request[name][1, :25] = np.nan
    return {**request, "length": length}


def answered(panel: Panel, asked: np.ndarray, days: int, call: Call) -> dict[str, np.ndarray]:
    """Returns an exported model's answers after the days asked for, each from at most so many days up to it.

    Args:
        panel: the days of all tickers.
        asked: positions of rows.
        days: most days of a request.
        call: the exported model.
    """
    parts = []
    for start in range(0, len(asked), ROWS):
        rows = asked[start : start + ROWS]
        begin = np.maximum(panel.first[rows], rows - days + 1)
        places, real = places_of(begin, rows - begin + 1)
        request = {name: taken(panel.fields[name], places) for name in FIELDS}
        parts.append(call({**request, "length": real.sum(axis=1).astype(np.int32)}))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def judge(config: StockConfig, source: str, facts: dict[str, Any], call: Call) -> list[evaluation.Score]:
    """Scores an exported model on a file of prices, each day forecast from the days before it.

    Raises:
        DataError: the file cannot be used.
    """
    from tasks.stock.evaluate import scores_of_answers

    config = settings_of(config, facts)
    panel = open_panel(prices.read(config, source).assign(judged=True), config.forecast)
    days = config.forecast.history + config.forecast.window
    return scores_of_answers(panel, answered(panel, np.flatnonzero(panel.chosen), days, call), facts, config)


def predict(lines: Sequence[str], facts: dict[str, Any], call: Call) -> Mapping[str, np.ndarray]:
    """Returns an exported model's forecasts after each of the days given, one JSON object a line, by the user's columns;
    `median` is the middle one of the price quantiles.

    The lines are read together: those of one ticker are its history.

    Raises:
        DataError: a line is no JSON object, or lacks a column, or a value cannot be used.
    """
    config = settings_of(StockConfig(), facts)
    table = config.table
    wanted = [name for name in (table.ticker, table.date, table.close) if name]
    frame = prices.tidy(records_of(lines, wanted), config, "input", whole=False)
    panel = open_panel(frame.assign(judged=True), config.forecast)
    forecast = config.forecast
    found = answered(panel, np.arange(len(frame)), forecast.history + forecast.window, call)
    del found["memory"]
    levels = np.asarray(config.forecast.quantiles)
    found["median"] = found["price_quantiles"][..., int(np.argmin(np.abs(levels - 0.5)))]
    order = frame[prices.ROW].to_numpy() - 1
    return {name: _back(values, order) for name, values in found.items()}


def settings_of(config: StockConfig, facts: Mapping[str, Any]) -> StockConfig:
    """Returns the configuration with the table, the moves and the forecast of the trained model, unless others were asked for."""
    return dataclasses.replace(
        config,
        table=as_trained(config.table, facts["table"]),
        direction=as_trained(config.direction, facts["direction"]),
        forecast=as_trained(ForecastConfig(), facts["forecast"]),
    )


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    placed = np.empty_like(values)
    placed[order] = values
    return placed
