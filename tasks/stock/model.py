"""The stock model: scale-free features in the graph, the shared stack over the days, a distribution for each horizon.

Everything a day's forecast needs of the past is a state of fixed size: the last close, the moving averages, and the
states of the LSTM. So one more day costs the same however long the history, and equals the whole series' answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.lstm import LSTMStack, gather_last_step
from tasks.stock.averages import MovingAverages
from tasks.stock.config import ForecastConfig, StockConfig
from tasks.stock.distribution import SinhArcsinh

FIELDS = ("open", "high", "low", "close", "volume")
PARAMETERS = ("location", "scale", "skew", "tail", "rise")
STATISTICS = 2  # of the memory: days seen, last close
SERIES = 7
REFERENCE = 20.0  # half-life, in days, of the volatility by which returns are measured
FLOOR = 1e-4  # of a daily volatility: a price that stands still has one too
TYPICAL = 0.015  # daily volatility of a large stock: where its logarithm is 0
LONG = 100.0  # days after which a history is not told from a longer one; training sees such


@dataclass(frozen=True)
class Submodels:
    """The trained parts of a model (see `SubmodelBuilder`), by which it is judged, served and taken day by day."""

    days: keras.Model
    head: keras.Model

    @property
    def state_size(self) -> int:
        """Numbers in a ticker's memory."""
        return int(self.days.input["state"].shape[-1])


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the parts of a model that `SubmodelBuilder.whole` made, also of one that was loaded."""
    return Submodels(model.get_layer("days"), model.get_layer("head"))


def trainer_of(parts: Submodels) -> keras.Model:
    """Returns a model from windows, `FIELDS` `(batch, time)` and `length` `(batch,)`, to `PARAMETERS` after each day,
    `(batch, time, horizons, 5)`."""
    inputs = _inputs()
    return keras.Model(inputs, _parameters(parts, inputs), name="trainer")


def whole_of(parts: Submodels, normals: np.ndarray) -> keras.Model:
    """Returns the model of `model.keras`: whole series to price quantiles `(batch, horizons, quantiles)`.

    Args:
        parts: trained.
        normals: for each horizon and quantile, the standard normal number at which it lies, `(horizons, quantiles)`.
    """
    inputs = _inputs()
    parameters = _parameters(parts, inputs)
    mask = _mask(inputs["length"], inputs["close"])
    flat = keras.layers.Reshape((-1, len(normals) * len(PARAMETERS)))(parameters)
    last = ops.reshape(gather_last_step(flat, mask), (-1, len(normals), len(PARAMETERS)))
    close = gather_last_step(ops.expand_dims(inputs["close"], -1), mask)
    return keras.Model(inputs, price_quantiles(last, close, normals), name="stock")


class SubmodelBuilder:
    """The model's parts, which share their weights in training, in serving and day by day.

    Args:
        config: sizes and regularisation.

    Attributes:
        days: from fields `(batch, time)`, `length` `(batch,)` and `memory` `(batch, state_size)` to `hidden`
            `(batch, time, features)`, `scale` `(batch, time)`, the daily volatility by the moving averages, and the memory
            after the last day.
        head: from `hidden` and `scale` to `PARAMETERS` `(batch, time, horizons, 5)`: those of the log-return's
            distribution, and the logit of a rise.
    """

    def __init__(self, config: StockConfig) -> None:
        self.config = config
        self.averages = MovingAverages(SERIES, config.forecast.half_lives, name="averages")
        self.state_size = STATISTICS + self.averages.size + 2 * sum(config.lstm.units)
        self.days = self._days()
        self.head = self._head()
        self.parts = Submodels(self.days, self.head)

    def whole(self, normals: np.ndarray) -> keras.Model:
        """Returns `whole_of` its parts."""
        return whole_of(self.parts, normals)

    def _days(self) -> keras.Model:
        inputs, memory = _inputs(), keras.Input((self.state_size,), name="state")
        mask = _mask(inputs["length"], inputs["close"])
        day = _day(inputs, mask, memory[:, 0:1], memory[:, 1:2])
        split = STATISTICS + self.averages.size
        averages, averaged = self.averages(day["series"], memory[:, STATISTICS:split], mask)
        features, scale = _features(day, averages, self.config.forecast)
        stack = LSTMStack(self.config.lstm)
        hidden, left = stack.sequence_with_states(features, stack.unpack_states(memory[:, split:]), mask)
        last = gather_last_step(ops.expand_dims(day["close"], -1), mask)
        seen = memory[:, 0:1] + ops.sum(ops.cast(mask, "float32"), axis=1, keepdims=True)
        outputs = {
            "hidden": ops.concatenate([hidden, features], axis=-1),
            "scale": scale,
            "state": ops.concatenate([seen, last, averaged, stack.pack_states(left)], axis=-1),
        }
        return keras.Model({**inputs, "state": memory}, outputs, name="days")

    def _head(self) -> keras.Model:
        forecast = self.config.forecast
        horizons = np.asarray(forecast.horizons, np.float32)
        hidden = keras.Input((None, self.days.output["hidden"].shape[-1]), name="hidden")
        scale = keras.Input((None,), name="scale")
        inner = keras.layers.Dense(forecast.hidden_units, "silu", name="head_hidden")(hidden)
        inner = keras.layers.Dropout(forecast.dropout, name="head_dropout")(inner)
        small = keras.initializers.RandomNormal(stddev=0.01)
        width = keras.layers.Dense(len(horizons), kernel_initializer=small, name="head_scale")(inner)
        rise = keras.layers.Dense(len(horizons), kernel_initializer=small, name="head_rise")(inner)
        # The same for all days: of a year's direction and lopsidedness, the next year knows little.
        start = keras.initializers.Constant([0.0, 0.0, -0.9] * len(horizons))  # tails of daily returns, about
        always = keras.layers.Dense(3 * len(horizons), bias_initializer=start, name="head_shape")
        always = always(ops.zeros_like(inner[..., :1]))
        shape = keras.layers.Reshape((-1, len(horizons), 3))(always)
        unit = ops.stack([scale * float(np.sqrt(h)) for h in horizons], axis=-1)  # (batch, time, horizons)
        location, skew = 0.1 * unit * shape[..., 0], 0.3 * shape[..., 1]
        if forecast.middle == "still":
            location, skew = ops.zeros_like(location), ops.zeros_like(skew)
        if forecast.middle == "reversion":
            back = keras.layers.Dense(
                len(horizons), use_bias=False, kernel_initializer="zeros", dtype="float32", name="head_reversion"
            )
            location += back(hidden[..., -len(forecast.half_lives) :])
        parameters = [
            location,
            unit * ops.exp(ops.clip(width, -4.0, 4.0)),
            skew,
            0.4 + ops.softplus(shape[..., 2]),  # 0.4 to no limit; at first 0.74
            rise,
        ]
        return keras.Model([hidden, scale], ops.stack(parameters, axis=-1), name="head")


def _inputs() -> dict[str, Any]:
    """Returns symbolic inputs: `FIELDS` `(batch, time)` float32 and `length` `(batch,)` int32."""
    fields = {name: keras.Input((None,), name=name) for name in FIELDS}
    return {**fields, "length": keras.Input((), dtype="int32", name="length")}


def _parameters(parts: Submodels, inputs: Mapping[str, Any]) -> Any:
    """Returns `PARAMETERS` after each day of series without a past, `(batch, time, horizons, 5)`."""
    nothing = ops.zeros_like(ops.expand_dims(ops.cast(inputs["length"], "float32"), -1))
    after = parts.days({**inputs, "state": ops.repeat(nothing, parts.state_size, axis=1)})
    return parts.head([after["hidden"], after["scale"]])


def distribution_of(parameters: Any) -> SinhArcsinh:
    """Returns the distribution of log-returns by `PARAMETERS` `(..., 5)`."""
    return SinhArcsinh(*(parameters[..., k] for k in range(4)))


def price_quantiles(parameters: Any, close: Any, normals: np.ndarray) -> Any:
    """Returns prices `(batch, horizons, quantiles)` of `parameters` `(batch, horizons, 5)` and the last close `(batch, 1)`."""
    wide = distribution_of(parameters[..., None, :])
    return ops.expand_dims(close, -1) * ops.exp(wide.from_normal(ops.convert_to_tensor(normals, "float32")))


def _mask(length: Any, like: Any) -> Any:
    """Returns which of the steps of `like` `(batch, time)` are real."""
    steps = ops.cumsum(ops.ones_like(like), axis=1)  # 1, 2, 3 …
    return steps <= ops.expand_dims(ops.cast(length, "float32"), -1)


def _day(fields: Mapping[str, Any], mask: Any, seen: Any, last: Any) -> dict[str, Any]:
    """Returns what each day says by itself and beside the close before it, `(batch, time)` each.

    A missing open is the close before, a missing high or low the higher or lower of open and close; what is 0 or less is
    missing too.
    """
    real = ops.cast(mask, "float32")
    close = ops.where(mask, fields["close"], ops.ones_like(real))
    number = seen + ops.cumsum(real, axis=1)
    follows = real * ops.cast(number > 1.5, "float32")  # the first day of all has no return
    before = ops.concatenate([last, close[:, :-1]], axis=1)
    before = ops.where(follows > 0, before, close)
    opening = _known(fields["open"], mask, before)
    high = ops.maximum(_known(fields["high"], mask, close), ops.maximum(opening, close))
    low = ops.minimum(_known(fields["low"], mask, close), ops.minimum(opening, close))
    change = ops.log(close / before)
    night, session, span = ops.log(opening / before), ops.log(close / opening), ops.log(high / low)
    ranged = 0.5 * ops.square(span) - (2 * float(np.log(2)) - 1) * ops.square(session)  # Garman & Klass (1980)
    seen_range = ops.logical_and(fields["high"] > 0, fields["low"] > 0)
    variance = ops.where(seen_range, ops.square(night) + ops.maximum(ranged, 0.0), ops.square(change))
    volume = _known(fields["volume"], mask, ops.zeros_like(close))
    traded = ops.cast(volume > 0, "float32")
    volume = ops.log(ops.where(volume > 0, volume, ops.ones_like(volume))) * traded
    squared = ops.square(change)
    falls = squared * ops.cast(change < 0, "float32")
    series = [ops.ones_like(change), change, squared, variance, falls]
    series = ops.stack([*(value * follows for value in series), volume, traded], axis=-1)
    return {
        "close": close,
        "number": number,
        "series": series,
        "change": change,
        "night": night,
        "session": session,
        "span": span,
        "variance": variance,
        "volume": volume,
        "traded": traded,
    }


def _features(day: Mapping[str, Any], averages: list[Any], forecast: ForecastConfig) -> tuple[Any, Any]:
    """Returns features `(batch, time, features)` that no unit of price or volume changes, and the daily volatility.

    Where the middle may revert, the last are the logarithms of the close over its moving averages, one each half-life.
    """
    half_lives = forecast.half_lives
    weight, change, squared, variance, falls, volume, traded = averages  # (batch, time, half-lives) each
    decay = 0.5 ** (1 / np.asarray(half_lives))
    away = change * ops.convert_to_tensor((decay / (1 - decay)).astype(np.float32))
    weight = ops.maximum(weight, 1e-6)
    squared, variance, falls, change = squared / weight, variance / weight, falls / weight, change / weight
    reference = int(np.argmin([abs(np.log(half_life / REFERENCE)) for half_life in half_lives]))
    level = 0.5 * (squared + variance)[..., reference] + FLOOR**2
    scale = ops.sqrt(level)
    wide, wide_scale = ops.expand_dims(level, -1), ops.expand_dims(scale, -1)
    lives = np.sqrt(np.asarray(half_lives, np.float32))
    slow = [k for k, half_life in enumerate(half_lives) if half_life > 2]
    usual = volume / ops.maximum(traded, 1e-6)
    single = [
        *(ops.clip(day[name] / scale, -8.0, 8.0) / 2 for name in ("change", "night", "session", "span")),
        _log_ratio(day["variance"], level),
        ops.log(scale / TYPICAL),
        ops.minimum(day["number"] / LONG, 1.0),
        day["traded"],
    ]
    several = [
        _log_ratio(squared, wide),
        _log_ratio(variance, wide),
        ops.clip(change / wide_scale * ops.convert_to_tensor(lives), -8.0, 8.0) / 2,
        falls / (squared + FLOOR**2) - 0.5,
        *(ops.clip(day["volume"] - usual[..., k], -4.0, 4.0)[..., None] * day["traded"][..., None] for k in slow),
    ]
    if forecast.middle == "reversion":
        several.append(away)
    return ops.concatenate([ops.stack(single, axis=-1), *several], axis=-1), scale


def _log_ratio(variance: Any, level: Any) -> Any:
    """Returns the logarithm of the ratio of two volatilities, kept finite."""
    return 0.5 * ops.log(variance / level + 0.01)


def _known(values: Any, mask: Any, otherwise: Any) -> Any:
    """Returns the values where they are above 0, which what is not a number is not, and `otherwise` elsewhere."""
    return ops.where(ops.logical_and(mask, values > 0), values, otherwise)
