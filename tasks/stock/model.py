"""The stock model: scale-free features in the graph, the LSTM stack over the days, a distribution for each horizon.

The state has a fixed size: the number of days, the last close, the moving averages, and the LSTM states. One more day therefore costs
the same after any history, and gives the same result as the whole series.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.layers.lstm import LSTMStack, gather_last_step
from tasks.stock.averages import MovingAverages
from tasks.stock.config import FIELDS, StockConfig
from tasks.stock.distribution import SinhArcsinh

PARAMETERS = ("location", "scale", "skew", "tail", "up_logit")
STATISTICS = 2  # in the state: number of days, last close
SERIES = 7  # series with moving averages
REFERENCE_HALF_LIFE = 20.0  # days, of the volatility that scales the returns
MIN_VOLATILITY = 1e-4  # daily; a constant price has this volatility
TYPICAL_VOLATILITY = 0.015  # daily, of a large stock; its logarithm becomes 0
MAX_HISTORY = 100.0  # days; longer histories look the same to the model


@dataclass(frozen=True)
class Submodels:
    """Trained submodels (see `SubmodelBuilder`) for scoring, serving and single steps."""

    days: keras.Model
    head: keras.Model

    @property
    def state_size(self) -> int:
        """Size of the state of a ticker."""
        return int(self.days.input["state"].shape[-1])


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a model from `build_full_model`, also after loading."""
    return Submodels(model.get_layer("days"), model.get_layer("head"))


def build_parameter_model(submodels: Submodels) -> keras.Model:
    """Returns a model from windows, `FIELDS` `(batch, time)` and `length` `(batch,)`, to `PARAMETERS` after each day, `(batch, time,
    horizons, 5)`."""
    inputs = _inputs()
    return keras.Model(inputs, _parameters(submodels, inputs), name="parameter_model")


def build_full_model(submodels: Submodels, z_scores: np.ndarray) -> keras.Model:
    """Returns the model of `model.keras`: from whole series to price quantiles `(batch, horizons, quantiles)`.

    Args:
        submodels: the trained submodels.
        z_scores: calibrated z-score of each horizon and quantile, `(horizons, quantiles)`.
    """
    inputs = _inputs()
    parameters = _parameters(submodels, inputs)
    mask = _mask(inputs["length"], inputs["close"])
    flat = keras.layers.Reshape((-1, len(z_scores) * len(PARAMETERS)))(parameters)
    last = ops.reshape(gather_last_step(flat, mask), (-1, len(z_scores), len(PARAMETERS)))
    close = gather_last_step(ops.expand_dims(inputs["close"], -1), mask)
    return keras.Model(inputs, price_quantiles(last, close, z_scores), name="stock")


class SubmodelBuilder:
    """Builds the submodels; training, serving and single steps share their weights.

    Args:
        config: settings of the task.

    Attributes:
        days: from fields `(batch, time)`, `length` `(batch,)` and `state` `(batch, state_size)` to `hidden` `(batch, time, features)`,
            `scale` `(batch, time)`, the daily volatility from the moving averages, and the state after the last day.
        head: from `hidden` and `scale` to `PARAMETERS` `(batch, time, horizons, 5)`: four parameters of the distribution of the
            log-return, and the logit of a higher close.
        submodels: both of them.
    """

    def __init__(self, config: StockConfig) -> None:
        self.config = config
        self.averages = MovingAverages(SERIES, config.features.half_lives, name="averages")
        self.state_size = STATISTICS + self.averages.size + 2 * sum(config.lstm.units)
        self.days = self._build_days()
        self.head = self._build_head()
        self.submodels = Submodels(self.days, self.head)

    def full_model(self, z_scores: np.ndarray) -> keras.Model:
        """Returns `build_full_model` of the submodels."""
        return build_full_model(self.submodels, z_scores)

    def _build_days(self) -> keras.Model:
        inputs, state = _inputs(), keras.Input((self.state_size,), name="state")
        mask = _mask(inputs["length"], inputs["close"])
        day = _day_values(inputs, mask, state[:, 0:1], state[:, 1:2])
        split = STATISTICS + self.averages.size
        averages, averages_state = self.averages(day["series"], state[:, STATISTICS:split], mask)
        features, scale = _features(day, averages, self.config)
        stack = LSTMStack(self.config.lstm)
        lstm_state = stack.unpack_states(state[:, split:])
        hidden, next_lstm_state = stack.sequence_with_states(features, lstm_state, mask)
        last_close = gather_last_step(ops.expand_dims(day["close"], -1), mask)
        days_seen = state[:, 0:1] + ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
        next_state = [days_seen, last_close, averages_state, stack.pack_states(next_lstm_state)]
        outputs = {
            "hidden": ops.concatenate([hidden, features], axis=-1),
            "scale": scale,
            "state": ops.concatenate(next_state, axis=-1),
        }
        return keras.Model({**inputs, "state": state}, outputs, name="days")

    def _build_head(self) -> keras.Model:
        forecast, model = self.config.forecast, self.config.model
        horizons = np.asarray(forecast.horizons, np.float32)
        hidden = keras.Input((None, self.days.output["hidden"].shape[-1]), name="hidden")
        scale = keras.Input((None,), name="scale")
        inner = keras.layers.Dense(model.hidden_units, "silu", name="head_hidden")(hidden)
        inner = keras.layers.Dropout(model.hidden_dropout, name="head_dropout")(inner)
        small = keras.initializers.RandomNormal(stddev=0.01)
        log_scale = keras.layers.Dense(len(horizons), kernel_initializer=small, name="head_scale")(inner)
        up_logit = keras.layers.Dense(len(horizons), kernel_initializer=small, name="head_up")(inner)
        # Equal on all days, because trend and skew of one year say little about the next.
        bias = keras.initializers.Constant([0.0, 0.0, -0.9] * len(horizons))  # typical tail weight of daily returns
        constant = keras.layers.Dense(3 * len(horizons), bias_initializer=bias, name="head_shape")
        constant = constant(ops.zeros_like(inner[..., :1]))
        shape = keras.layers.Reshape((-1, len(horizons), 3))(constant)
        unit = ops.stack([scale * float(np.sqrt(h)) for h in horizons], axis=-1)  # (batch, time, horizons)
        location, skew = 0.1 * unit * shape[..., 0], 0.3 * shape[..., 1]
        if forecast.location == "fixed":
            location, skew = ops.zeros_like(location), ops.zeros_like(skew)
        if forecast.location == "reversion":
            reversion = keras.layers.Dense(
                len(horizons), use_bias=False, kernel_initializer="zeros", dtype="float32", name="head_reversion"
            )
            location += reversion(hidden[..., -len(self.config.features.half_lives) :])
        parameters = [
            location,
            unit * ops.exp(ops.clip(log_scale, -4.0, 4.0)),
            skew,
            0.4 + ops.softplus(shape[..., 2]),  # above 0.4; initially 0.74
            up_logit,
        ]
        return keras.Model([hidden, scale], ops.stack(parameters, axis=-1), name="head")


def _inputs() -> dict[str, Any]:
    """Returns symbolic inputs: `FIELDS` `(batch, time)` float32 and `length` `(batch,)` int32."""
    fields = {name: keras.Input((None,), name=name) for name in FIELDS}
    return {**fields, "length": keras.Input((), dtype="int32", name="length")}


def _parameters(submodels: Submodels, inputs: Mapping[str, Any]) -> Any:
    """Returns `PARAMETERS` after each day of series that start with a zero state, `(batch, time, horizons, 5)`."""
    zero = ops.zeros_like(ops.expand_dims(ops.cast(inputs["length"], "float32"), -1))
    outputs = submodels.days({**inputs, "state": ops.repeat(zero, submodels.state_size, axis=1)})
    return submodels.head([outputs["hidden"], outputs["scale"]])


def build_distribution(parameters: Any) -> SinhArcsinh:
    """Returns the distribution of log-returns with `PARAMETERS` `(..., 5)`."""
    return SinhArcsinh(*(parameters[..., k] for k in range(4)))


def price_quantiles(parameters: Any, close: Any, z_scores: np.ndarray) -> Any:
    """Returns prices `(batch, horizons, quantiles)` from `parameters` `(batch, horizons, 5)` and the last close `(batch, 1)`."""
    distribution = build_distribution(parameters[..., None, :])
    log_returns = distribution.from_z_score(ops.convert_to_tensor(z_scores, "float32"))
    return ops.expand_dims(close, -1) * ops.exp(log_returns)


def _mask(length: Any, like: Any) -> Any:
    """Returns True for the steps of `like` `(batch, time)` that are not padding."""
    steps = ops.cumsum(ops.ones_like(like), axis=1)  # 1, 2, 3 …
    return steps <= ops.expand_dims(ops.cast(length, "float32"), -1)


def _day_values(fields: Mapping[str, Any], mask: Any, days_seen: Any, last_close: Any) -> dict[str, Any]:
    """Returns values of each day, alone and compared with the previous close, `(batch, time)` each.

    A missing open is the previous close; a missing high or low is the higher or lower of open and close. Values of 0 or less count
    as missing.
    """
    is_real = ops.cast(mask, "float32")
    close = ops.where(mask, fields["close"], ops.ones_like(is_real))
    number = days_seen + ops.cumsum(is_real, axis=1)
    has_return = is_real * ops.cast(number > 1.5, "float32")  # the first day of a series has no return
    previous = ops.concatenate([last_close, close[:, :-1]], axis=1)
    previous = ops.where(has_return > 0, previous, close)
    opening = _positive_or(fields["open"], mask, previous)
    high = ops.maximum(_positive_or(fields["high"], mask, close), ops.maximum(opening, close))
    low = ops.minimum(_positive_or(fields["low"], mask, close), ops.minimum(opening, close))
    change = ops.log(close / previous)
    overnight, session, log_range = ops.log(opening / previous), ops.log(close / opening), ops.log(high / low)
    range_variance = 0.5 * ops.square(log_range) - (2 * float(np.log(2)) - 1) * ops.square(
        session
    )  # Garman & Klass, 1980
    has_range = ops.logical_and(fields["high"] > 0, fields["low"] > 0)
    variance = ops.where(has_range, ops.square(overnight) + ops.maximum(range_variance, 0.0), ops.square(change))
    volume = _positive_or(fields["volume"], mask, ops.zeros_like(close))
    has_volume = ops.cast(volume > 0, "float32")
    volume = ops.log(ops.where(volume > 0, volume, ops.ones_like(volume))) * has_volume
    squared = ops.square(change)
    squared_down = squared * ops.cast(change < 0, "float32")
    series = [ops.ones_like(change), change, squared, variance, squared_down]
    series = ops.stack([*(value * has_return for value in series), volume, has_volume], axis=-1)
    return {
        "close": close,
        "number": number,
        "series": series,
        "change": change,
        "overnight": overnight,
        "session": session,
        "range": log_range,
        "variance": variance,
        "volume": volume,
        "has_volume": has_volume,
    }


def _features(day: Mapping[str, Any], averages: list[Any], config: StockConfig) -> tuple[Any, Any]:
    """Returns features `(batch, time, features)` that do not depend on the unit of prices or volumes, and the daily volatility.

    With `reversion`, the last features are the logarithms of the close divided by its moving averages, one per half-life.
    """
    half_lives = config.features.half_lives
    weight, change, squared, variance, squared_down, volume, has_volume = averages  # (batch, time, half-lives) each
    decay = 0.5 ** (1 / np.asarray(half_lives))
    distance = change * ops.convert_to_tensor((decay / (1 - decay)).astype(np.float32))
    weight = ops.maximum(weight, 1e-6)
    squared, variance, squared_down, change = (
        squared / weight,
        variance / weight,
        squared_down / weight,
        change / weight,
    )
    reference = int(np.argmin([abs(np.log(half_life / REFERENCE_HALF_LIFE)) for half_life in half_lives]))
    level = 0.5 * (squared + variance)[..., reference] + MIN_VOLATILITY**2
    scale = ops.sqrt(level)
    level_column, scale_column = ops.expand_dims(level, -1), ops.expand_dims(scale, -1)
    roots = np.sqrt(np.asarray(half_lives, np.float32))
    slow = [k for k, half_life in enumerate(half_lives) if half_life > 2]
    usual_volume = volume / ops.maximum(has_volume, 1e-6)
    single = [
        *(ops.clip(day[name] / scale, -8.0, 8.0) / 2 for name in ("change", "overnight", "session", "range")),
        _log_ratio(day["variance"], level),
        ops.log(scale / TYPICAL_VOLATILITY),
        ops.minimum(day["number"] / MAX_HISTORY, 1.0),
        day["has_volume"],
    ]
    several = [
        _log_ratio(squared, level_column),
        _log_ratio(variance, level_column),
        ops.clip(change / scale_column * ops.convert_to_tensor(roots), -8.0, 8.0) / 2,
        squared_down / (squared + MIN_VOLATILITY**2) - 0.5,
        *(
            ops.clip(day["volume"] - usual_volume[..., k], -4.0, 4.0)[..., None] * day["has_volume"][..., None]
            for k in slow
        ),
    ]
    if config.forecast.location == "reversion":
        several.append(distance)
    return ops.concatenate([ops.stack(single, axis=-1), *several], axis=-1), scale


def _log_ratio(variance: Any, level: Any) -> Any:
    """Returns the logarithm of the ratio of two volatilities, kept finite."""
    return 0.5 * ops.log(variance / level + 0.01)


def _positive_or(values: Any, mask: Any, default: Any) -> Any:
    """Returns the values where they are greater than 0 and not NaN, and `default` elsewhere."""
    return ops.where(ops.logical_and(mask, values > 0), values, default)
