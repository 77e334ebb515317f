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
from shared.columns import parse_json_lines
from shared.config import with_trained_defaults
from shared.pipelines import gather_padded, padded_indices
from shared.signatures import make_signature
from shared.task import ExportSpec, Predictor
from tasks.stock import prices
from tasks.stock.batches import Panel, open_panel
from tasks.stock.calibration import between
from tasks.stock.config import ForecastConfig, StockConfig
from tasks.stock.model import FIELDS, distribution_of, get_submodels, price_quantiles

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


def export_spec(forecaster: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Gives the Keras model its signatures.

    `serving_default` takes the last days of tickers, one a row: `open`, `high`, `low`, `close` and `volume` float32
    `(tickers, days)`, oldest first, in any unit, adjusted for splits; not a number where not known, but for the close;
    and `length` int32 `(tickers,)`, how many days are real, padding on the right. It returns `price_quantiles` float32
    `(tickers, horizons, quantiles)` in the unit of the close, `expected_volatility` `(tickers, horizons)`, the standard
    deviation of the log-return over the horizon, `up_probability` alike, and `memory` `(tickers, numbers)`.

    `step` takes one more day of each ticker, the same fields `(tickers,)`, and the memory after the day before, zeros at
    the beginning; it returns the same.
    """
    parts = get_submodels(forecaster)
    normals = np.asarray(metadata["normals"])
    served = served_normals(normals, metadata["forecast"]["quantiles"])
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
            "up_probability": tf.sigmoid(parameters[..., 4]),
            "state": after["state"],
        }

    def whole(**fields: Any) -> dict[str, Any]:
        length = fields["length"]
        memory = tf.zeros((tf.shape(length)[0], parts.state_size))
        after = parts.days({**fields, "state": memory})
        return answers(after, tf.maximum(length - 1, 0), fields["close"])

    def step(**fields: Any) -> dict[str, Any]:
        memory = fields.pop("state")
        single = {name: value[:, None] for name, value in fields.items()}
        length = tf.ones_like(fields["close"], tf.int32)
        after = parts.days({**single, "length": length, "state": memory})
        return answers(after, length - 1, single["close"])

    request = sample_request()
    first = {name: request[name][:, 0] for name in FIELDS}
    first["state"] = np.zeros((len(request["length"]), parts.state_size), np.float32)
    signatures = {"serving_default": make_signature(whole, request), "step": make_signature(step, first, fixed=("state",))}
    return ExportSpec(forecaster, signatures, metadata)


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


def answered(panel: Panel, asked: np.ndarray, days: int, call: Predictor) -> dict[str, np.ndarray]:
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
        places, real = padded_indices(begin, rows - begin + 1)
        request = {name: gather_padded(panel.fields[name], places) for name in FIELDS}
        parts.append(call({**request, "length": real.sum(axis=1).astype(np.int32)}))
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def score_file(config: StockConfig, source: str, metadata: dict[str, Any], call: Predictor) -> list[evaluation.Score]:
    """Scores an exported model on a file of prices, each day forecast from the days before it.

    Raises:
        DataError: the file cannot be used.
    """
    from tasks.stock.evaluate import scores_of_answers

    config = settings_of(config, metadata)
    panel = open_panel(prices.read(config, source).assign(judged=True), config.forecast)
    days = config.forecast.history + config.forecast.window
    return scores_of_answers(panel, answered(panel, np.flatnonzero(panel.chosen), days, call), metadata, config)


def predict(lines: Sequence[str], metadata: dict[str, Any], call: Predictor) -> Mapping[str, np.ndarray]:
    """Returns an exported model's forecasts after each of the days given, one JSON object a line, by the user's columns;
    `median` is the middle one of the price quantiles.

    The lines are read together: those of one ticker are its history.

    Raises:
        DataError: a line is no JSON object, or lacks a column, or a value cannot be used.
    """
    config = settings_of(StockConfig(), metadata)
    table = config.table
    wanted = [name for name in (table.ticker, table.date, table.close) if name]
    frame = prices.tidy(parse_json_lines(lines, wanted), config, "input", whole=False)
    panel = open_panel(frame.assign(judged=True), config.forecast)
    forecast = config.forecast
    found = answered(panel, np.arange(len(frame)), forecast.history + forecast.window, call)
    del found["state"]
    levels = np.asarray(config.forecast.quantiles)
    found["median"] = found["price_quantiles"][..., int(np.argmin(np.abs(levels - 0.5)))]
    order = frame[prices.ROW].to_numpy() - 1
    return {name: _back(values, order) for name, values in found.items()}


def settings_of(config: StockConfig, metadata: Mapping[str, Any]) -> StockConfig:
    """Returns the configuration with the table, the moves and the forecast of the trained model, unless others were asked for."""
    return dataclasses.replace(
        config,
        table=with_trained_defaults(config.table, metadata["table"]),
        direction=with_trained_defaults(config.direction, metadata["direction"]),
        forecast=with_trained_defaults(ForecastConfig(), metadata["forecast"]),
    )


def _back(values: np.ndarray, order: np.ndarray) -> np.ndarray:
    placed = np.empty_like(values)
    placed[order] = values
    return placed
