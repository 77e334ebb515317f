"""Signatures of the stock model, and the conversion of tables and input lines to requests."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, cast

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from scipy.stats import norm

from shared.data.pipelines import gather_padded, padded_indices
from shared.export.checks import above_zero, between, checked, not_infinite, same_shape
from shared.export.signatures import make_signature
from shared.export.state_stamp import StateStamp
from shared.progress import report_progress
from shared.task import ExportSpec, Predictions, Predictor, trained_config
from tasks.stock.batches import Panel, build_panel
from tasks.stock.calibration import interpolate_z_scores
from tasks.stock.config import FIELDS, PredictOptions, StockConfig
from tasks.stock.forecast_table import add_notice_of_short_history, clear_still_rows, forecast_rows, in_unit_of_file
from tasks.stock.model import build_distribution, get_submodels, price_quantiles

EXAMPLE_DAYS = 40
ROWS_PER_CALL = 1024  # forecasts per call, so that memory does not grow with the file
NODES, WEIGHTS = np.polynomial.hermite_e.hermegauss(15)  # Gauss-Hermite quadrature over a standard normal variable
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
    for k in range(EXAMPLE_DAYS)
)


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the Keras model.

    `serving_default` forecasts from the last days of tickers, one ticker per row. Inputs: `open`, `high`, `low`, `close` and `volume`
    float32 `(tickers, days)`, oldest first, in any unit, adjusted for splits, NaN if unknown, except for the close; and `length` int32
    `(tickers,)`, the number of days before the padding on the right. Outputs: `price_quantiles` float32 `(tickers, horizons, quantiles)`
    in the unit of the close, `expected_volatility` `(tickers, horizons)`, the standard deviation of the log-return over the horizon,
    `up_probability` of the same shape, and `state` `(tickers, state size)`. All but the state are NaN for a ticker with fewer than
    `min_history` days.

    `step` takes one more day of each ticker. Inputs: the same fields `(tickers,)` and the state after the previous day, zeros at the
    start. Outputs: the same as above.

    Inputs that can only give NaN, and states of another version, raise an error that names the input.
    """
    submodels = get_submodels(model)
    z_scores = np.asarray(metadata["z_scores"])
    exported = exported_z_scores(z_scores, metadata["forecast"]["quantiles"])
    nodes = tf.constant(exported_z_scores(z_scores, norm.cdf(NODES)), tf.float32)
    weights = tf.constant(WEIGHTS / WEIGHTS.sum(), tf.float32)
    min_history = float(metadata["features"]["min_history"])

    def outputs(after: Mapping[str, Any], last: Any, close: Any) -> dict[str, Any]:
        hidden, scale, close = (
            tf.gather(x, last, axis=1, batch_dims=1)[:, None] for x in (after["hidden"], after["scale"], close)
        )
        parameters = submodels.head([hidden, scale])[:, 0]
        values = build_distribution(parameters[..., None, :]).from_z_score(nodes)
        mean = tf.reduce_sum(values * weights, axis=-1, keepdims=True)
        variance = tf.reduce_sum(tf.square(values - mean) * weights, axis=-1)
        forecasts = {
            "price_quantiles": price_quantiles(parameters, close, exported),
            "expected_volatility": tf.sqrt(variance),
            "up_probability": tf.sigmoid(parameters[..., 4]),
        }
        is_short = after["state"][:, 0] < min_history  # the state counts the days
        return {**_clear_rows(forecasts, is_short), "state": after["state"]}

    def forecast_series(**fields: Any) -> dict[str, Any]:
        length = fields["length"]
        state = tf.zeros((tf.shape(length)[0], submodels.state_size))
        after = submodels.days({**fields, "state": state})
        return outputs(after, tf.maximum(length - 1, 0), fields["close"])

    def step(**fields: Any) -> dict[str, Any]:
        state = fields.pop("state")
        single = {name: value[:, None] for name, value in fields.items()}
        length = tf.ones_like(fields["close"], tf.int32)
        after = submodels.days({**single, "length": length, "state": state})
        return outputs(after, length - 1, single["close"])

    request = example_request()
    forecast, next_step = _with_checks(StateStamp(model, metadata), forecast_series, step)
    earlier = forecast(**{name: tf.constant(values) for name, values in request.items()})
    next_day = {name: request[name][:, 0] for name in FIELDS}
    next_day["state"] = earlier["state"].numpy()  # after enough days for a forecast
    signatures = {
        "serving_default": make_signature(forecast, request),
        "step": make_signature(next_step, next_day, fixed=("state",)),
    }
    return ExportSpec(model, signatures, metadata)


def _clear_rows(forecasts: Mapping[str, Any], is_cleared: Any) -> dict[str, Any]:
    """Returns forecasts, float32 `(tickers, …)`, with NaN in the rows where `is_cleared`, bool `(tickers,)`."""
    unknown = tf.where(is_cleared, np.float32(np.nan), np.float32(0))
    shapes = {name: [-1] + [1] * (len(values.shape) - 1) for name, values in forecasts.items()}
    return {name: values + tf.reshape(unknown, shapes[name]) for name, values in forecasts.items()}


def _with_checks(
    stamp: StateStamp, forecast_series: Callable[..., Any], step: Callable[..., Any]
) -> tuple[Callable[..., Any], Callable[..., Any]]:
    """Returns the functions of both signatures with checks of their inputs, and with a stamp in their states."""
    all_fields = not_infinite(*FIELDS)
    shapes = (same_shape("close", *FIELDS), between("length", 1, "close"))
    forecast = checked(stamp.outputs(forecast_series), *shapes, above_zero("close", "length"), all_fields)
    return forecast, checked(stamp.step(step), above_zero("close"), all_fields)


def exported_z_scores(z_scores: np.ndarray, levels: Sequence[float] | np.ndarray) -> np.ndarray:
    """Returns the calibrated z-scores of the levels, `(horizons, levels)` (see `tasks.stock.calibration`)."""
    return np.stack([interpolate_z_scores(knots, norm.ppf(levels)) for knots in z_scores])


def example_request() -> dict[str, np.ndarray]:
    """Returns two tickers, one with 40 days, and one with 25 days without range and volume."""
    days = np.arange(EXAMPLE_DAYS)
    close = np.stack([1 + 0.02 * np.sin(1.7 * days), 0.2 + 0.003 * np.cos(2.3 * days)]).astype(np.float32)
    request = {
        "open": close * 1.001,
        "high": close * 1.01,
        "low": close * 0.99,
        "close": close,
        "volume": 100 + days * close,
    }
    length = np.array([EXAMPLE_DAYS, 25], np.int32)
    is_real = days < length[:, None]
    request = {name: np.where(is_real, value, 0).astype(np.float32) for name, value in request.items()}
    for name in ("open", "high", "low", "volume"):
        request[name][1, :25] = np.nan
    return {**request, "length": length}


def predict_rows(panel: Panel, rows: np.ndarray, days: int, predictor: Predictor) -> dict[str, np.ndarray]:
    """Returns the predictions of an exported model after each of the given rows, from at most `days` days up to the row.

    Args:
        panel: the days of all tickers.
        rows: positions of rows.
        days: maximum number of days in a request.
        predictor: the exported model.
    """
    batches = []
    for start in range(0, len(rows), ROWS_PER_CALL):
        last = rows[start : start + ROWS_PER_CALL]
        begin = np.maximum(panel.first[last], last - days + 1)
        indices, is_real = padded_indices(begin, last - begin + 1)
        request = {name: gather_padded(panel.fields[name], indices) for name in FIELDS}
        batches.append(predictor({**request, "length": is_real.sum(axis=1).astype(np.int32)}))
        report_progress((start + len(last)) / len(rows))
    return {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}


def predict(
    records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns the forecasts of an exported model after the newest day of each ticker, or after every row, in the order of the user.

    Args:
        records: table of prices from `read_inputs` or `parse_inputs`, sorted by ticker and day.
        metadata: metadata of the model.
        predictor: calls `serving_default`.
        options: options of `predict`.

    Returns:
        `price_quantiles` `(rows, horizons, quantiles)`, in the unit of the close in the file; `expected_volatility` and `up_probability`
        `(rows, horizons)`; NaN for rows with fewer than `min_history` days up to them, and where the close did not change on so many
        days.
    """
    config = cast("StockConfig", trained_config(metadata))
    panel = build_panel(records.assign(is_scored_row=True), config)
    rows = forecast_rows(records, options)
    predictions = predict_rows(panel, rows, _request_days(config), predictor)
    del predictions["state"]
    add_notice_of_short_history(records, rows, config.features.min_history)
    clear_still_rows(predictions, records, rows, config.features.min_history)
    return {**predictions, "price_quantiles": in_unit_of_file(predictions["price_quantiles"], records, rows)}


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the forecasts of an exported model after the days whose outcome is on a scored row; the other rows are NaN.

    Args:
        records: a split, or a table from `read_records`.
        metadata: metadata of the model.
        predictor: calls `serving_default`.

    Returns:
        `price_quantiles` `(rows, horizons, quantiles)`, `expected_volatility` and `up_probability` `(rows, horizons)`.
    """
    config = cast("StockConfig", trained_config(metadata))
    panel = build_panel(records, config)
    rows = np.flatnonzero(panel.has_outcome)
    predictions = predict_rows(panel, rows, _request_days(config), predictor)
    del predictions["state"]
    for name, values in predictions.items():
        predictions[name] = np.full((len(records), *values.shape[1:]), np.nan, values.dtype)
        predictions[name][rows] = values
    return predictions


def _request_days(config: StockConfig) -> int:
    return max(config.features.burn_in + config.features.window_length, config.features.min_history)
