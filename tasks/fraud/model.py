"""The fraud model: a card's memory of its transactions, and a terminal's of its confirmed ones.

card's transactions ─ features ─ LSTM stack, state carried ─┬─ logit a ─┐
                                                            │           ├─ fraud unless neither says so ─ calibration
terminal's confirmed transactions ─ features ─ LSTM stack ──┴─ logit b ─┘

A transaction is fraud if the card is misused or the terminal is: with p and q their probabilities,
1 - (1 - p)(1 - q), whose log-odds are log(exp a + exp b + exp(a + b)).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.lstm import LSTMStack
from tasks.fraud.config import FraudConfig

DAY, WEEK, HOUR = 86_400, 7 * 86_400, 3_600
MONTH = 30.0  # days
SPANS = (1, 7, 30)  # days over which confirmed transactions of a terminal are with_cardinality
AMOUNT_FEATURES, TIME_FEATURES = 6, 5  # besides the steps at the amount's edges
NEVER = 90.0  # days, in place of the time since what has not happened
STATISTICS = 3  # of a card: number, sum and sum of squares of its amounts, in units of the training split's mean
PRIOR = 2.0  # transactions of mean size that a card is credited with before its first
SPREAD = 0.5  # of a card's amounts, as a share of their mean, before its first transaction
TERMINAL_FIELDS = ("terminal_time", "terminal_amount", "terminal_fraud")


@dataclass(frozen=True)
class Submodels:
    """The trained parts of a model (see `SubmodelBuilder`), by which it is scored, served and taken step by step."""

    card: keras.Model
    terminal: keras.Model | None
    join: keras.Model

    @property
    def state_size(self) -> int:
        """Numbers in a card's memory."""
        return int(self.card.input["card_state"].shape[-1])

    @property
    def reports(self) -> int:
        """Confirmed transactions of a terminal that are read, 0 where there is no terminal."""
        return int(self.terminal.input["terminal_time"].shape[-1]) if self.terminal is not None else 0


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the parts of a model that `SubmodelBuilder.whole` made, also of one that was loaded."""
    names = {layer.name for layer in model.layers}
    terminal = model.get_layer("terminal") if "terminal" in names else None
    return Submodels(model.get_layer("card"), terminal, model.get_layer("join"))


class SubmodelBuilder:
    """The model's parts, which share their weights in training, in serving and step by step.

    Args:
        config: sizes and regularisation.
        metadata: what was learned of the training split: `amount_scale`, `amount_edges`, `fraud_rate`,
            `delay_days`, `numeric` {name: (mean, deviation)},
            `categorical` {name: known values}, and `terminal`, whether there is one.

    Attributes:
        card: from fields `(batch, time)`, `length` `(batch,)`, `card_state` and `card_time` to `hidden` `(batch, time,
            features)` and the memory and time after the last transaction.
        terminal: from `time` `(batch,)` and a terminal's fields `(batch, reports)` to a logit `(batch,)`; None without.
        join: from `hidden` `(batch, features)` and that logit to the logit of fraud `(batch,)`.
    """

    def __init__(self, config: FraudConfig, metadata: Mapping[str, Any]) -> None:
        self.config, self.metadata = config, metadata
        self.state_size = STATISTICS + 2 * sum(config.lstm.units)
        self.card = self._card_view()
        self.terminal = self._terminal_view() if metadata["terminal"] else None
        self.join = self._join()
        self.parts = Submodels(self.card, self.terminal, self.join)

    def field_inputs(self, *shape: int | None) -> dict[str, Any]:
        """Returns symbolic inputs for the raw fields of a transaction, each `(batch, *shape)`."""
        kinds = {"time": "int64", "amount": "float32"}
        kinds |= dict.fromkeys(self.metadata["numeric"], "float32") | dict.fromkeys(self.metadata["categorical"], "string")
        return {name: keras.Input(shape, dtype=kind, name=name) for name, kind in kinds.items()}

    def terminal_inputs(self, *shape: int | None) -> dict[str, Any]:
        """Returns symbolic inputs for a terminal's confirmed transactions, each `(batch, *shape, reports)`."""
        if self.terminal is None:
            return {}
        count = self.config.memory.reports
        kinds = dict(zip(TERMINAL_FIELDS, ("int64", "float32", "int32"), strict=True))
        return {name: keras.Input((*shape, count), dtype=kind, name=name) for name, kind in kinds.items()}

    def state_inputs(self) -> dict[str, Any]:
        """Returns symbolic inputs for a card's state: `card_state` `(batch, state_size)`, `card_time` `(batch,)`."""
        return {
            "card_state": keras.Input((self.state_size,), name="card_state"),
            "card_time": keras.Input((), dtype="int64", name="card_time"),
        }

    def trainer(self) -> keras.Model:
        """Returns a model that scores a window at the end of each card's stretch of transactions.

        Inputs: as of `card`, its stretch `(batch, history + window)`; `position` int32 `(batch, window)`, the places to
        score in it; the terminals' fields `(batch, window, reports)`. Output: logits `(batch, window, 1)`.
        """
        fields, state, terminal = self.field_inputs(None), self.state_inputs(), self.terminal_inputs(None)
        length = keras.Input((), dtype="int32", name="length")
        position = keras.Input((None,), dtype="int32", name="position")
        hidden = self.card({**fields, **state, "length": length})["hidden"]
        hidden = ops.take_along_axis(hidden, ops.expand_dims(position, -1), axis=1)  # (batch, window, features)
        time = ops.take_along_axis(fields["time"], position, axis=1)
        logits = ops.expand_dims(self._scores(hidden, time, terminal), -1)
        self.trainer_inputs = {**fields, **state, **terminal, "length": length, "position": position}
        return keras.Model(self.trainer_inputs, logits, name="trainer")

    def whole(self, calibration: tuple[float, float]) -> keras.Model:
        """Returns the model of `model.keras`: whole histories of cards to probabilities `(batch, time)`.

        Args:
            calibration: factor and offset of the logits.
        """
        fields, terminal = self.field_inputs(None), self.terminal_inputs(None)
        length = keras.Input((), dtype="int32", name="length")
        nothing = ops.cast(ops.expand_dims(length, -1) * 0, "float32")
        state = {
            "card_state": ops.repeat(nothing, self.state_size, axis=1),
            "card_time": ops.cast(length * 0, "int64"),
        }
        hidden = self.card({**fields, **state, "length": length})["hidden"]
        logits = self._scores(hidden, fields["time"], terminal)
        calibrated = keras.layers.Rescaling(calibration[0], calibration[1], name="calibration")(logits)
        return keras.Model({**fields, **terminal, "length": length}, ops.sigmoid(calibrated), name="fraud")

    def _scores(self, hidden: Any, time: Any, terminal: Mapping[str, Any]) -> Any:
        """Returns logits `(batch, window)` of `hidden` `(batch, window, features)`."""
        flat = [ops.reshape(hidden, (-1, hidden.shape[-1]))]
        if self.terminal is not None:
            count = self.config.memory.reports
            reports = {name: ops.reshape(value, (-1, count)) for name, value in terminal.items()}
            flat.append(self.terminal({"time": ops.reshape(time, (-1,)), **reports}))
        logits = self.join(flat)
        return ops.take(logits, _flat_places(time), axis=0)

    def _card_view(self) -> keras.Model:
        fields, state = self.field_inputs(None), self.state_inputs()
        length = keras.Input((), dtype="int32", name="length")
        memory, scale = state["card_state"], self.metadata["amount_scale"]
        steps = ops.cumsum(ops.ones_like(fields["amount"]), axis=1)  # 1, 2, 3 …
        mask = steps <= ops.expand_dims(ops.cast(length, "float32"), -1)
        real = ops.cast(mask, "float32")
        amount = fields["amount"] / scale * real
        running = [(real, 0), (amount, 1), (amount * amount, 2)]
        before = [memory[:, k : k + 1] + _before(value) for value, k in running]
        after = [memory[:, k : k + 1] + ops.sum(value, axis=1, keepdims=True) for value, k in running]

        last = ops.concatenate([ops.expand_dims(state["card_time"], -1), fields["time"][:, :-1]], axis=1)
        elapsed = ops.cast(ops.maximum(fields["time"] - last, 0), "float32") * ops.cast(before[0] > 0, "float32")
        edges = [edge / scale for edge in self.metadata["amount_edges"]]
        features = [
            *_amount_features(amount, *before),
            *_steps(amount, edges),
            *_time_features(fields["time"], elapsed),
        ]
        features = ops.concatenate([ops.stack(features, axis=-1), *self._further(fields)], axis=-1)
        features = features * ops.expand_dims(real, -1)

        stack = LSTMStack(self.config.lstm, name="card_lstm")
        hidden, left = stack.sequence_with_states(features, stack.unpack_states(memory[:, STATISTICS:]), mask)
        newest = ops.max(ops.where(mask, fields["time"], ops.zeros_like(fields["time"])), axis=1)
        outputs = {
            "hidden": ops.concatenate([hidden, features], axis=-1),
            "card_state": ops.concatenate([*after, stack.pack_states(left)], axis=-1),
            "card_time": ops.maximum(newest, state["card_time"]),
        }
        return keras.Model({**fields, **state, "length": length}, outputs, name="card")

    def _further(self, fields: Mapping[str, Any]) -> list[Any]:
        """Returns features `(batch, time, …)` of the further columns."""
        features = []
        for name, (mean, deviation) in self.metadata["numeric"].items():
            value = (fields[name] - mean) / deviation
            features.append(ops.expand_dims(ops.where(ops.isnan(value), ops.zeros_like(value), value), -1))
        for name, known in self.metadata["categorical"].items():
            number = keras.layers.StringLookup(vocabulary=list(known), name=f"{name}_number")(fields[name])
            size = min(16, 2 + len(known) // 2)
            features.append(keras.layers.Embedding(len(known) + 1, size, name=f"{name}_vector")(number))
        return features

    def _terminal_view(self) -> keras.Model:
        count = self.config.memory.reports
        time = keras.Input((), dtype="int64", name="time")
        kinds = zip(TERMINAL_FIELDS, ("int64", "float32", "int32"), strict=True)
        reports = {name: keras.Input((count,), dtype=kind, name=name) for name, kind in kinds}
        known = reports["terminal_fraud"] >= 0
        real = ops.cast(known, "float32")
        days = ops.cast(ops.maximum(ops.expand_dims(time, -1) - reports["terminal_time"], 0), "float32") * real / DAY
        amount = reports["terminal_amount"] / self.metadata["amount_scale"] * real
        fraud = ops.cast(reports["terminal_fraud"], "float32") * real
        features = [2 * fraud - 1, fraud * days / MONTH, days / MONTH, ops.log1p(days) / 3, _signed_log(amount)]
        features = ops.stack(features, axis=-1) * ops.expand_dims(real, -1)
        summary = _terminal_statistics(fraud, days, real, self.metadata["delay_days"])
        # One step before the first, so that no row is padding alone.
        features = ops.pad(features, [[0, 0], [1, 0], [0, 0]])
        mask = ops.concatenate([ops.ones_like(known[:, :1]), known], axis=1)
        config = _stack_like(self.config.lstm, self.config.memory.terminal_units)
        last = LSTMStack(config, name="terminal_lstm").last(features, mask)
        logit = self._logit(ops.concatenate([last, summary], axis=-1), "terminal")
        return keras.Model({"time": time, **reports}, logit, name="terminal")

    def _join(self) -> keras.Model:
        hidden = keras.Input((self.card.output["hidden"].shape[-1],), name="hidden")
        logit = self._logit(hidden, "card")
        if self.terminal is None:
            return keras.Model([hidden], logit, name="join")
        other = keras.Input((), name="terminal")
        return keras.Model([hidden, other], either(logit, other), name="join")

    def _logit(self, hidden: Any, name: str) -> Any:
        """Returns a logit `(batch,)` that starts at the rate of fraud."""
        memory, rate = self.config.memory, self.metadata["fraud_rate"]
        hidden = keras.layers.Dense(memory.hidden_units, "relu", name=f"{name}_hidden")(hidden)
        hidden = keras.layers.Dropout(memory.dropout, name=f"{name}_dropout")(hidden)
        start = keras.initializers.Constant(float(np.log(rate / (1 - rate))) - 0.7)  # of two, each half the rate
        return keras.layers.Dense(1, bias_initializer=start, name=f"{name}_logit")(hidden)[:, 0]


def either(first: Any, second: Any) -> Any:
    """Returns the log-odds that at least one of two independent events happens, from the log-odds of each."""
    return ops.logaddexp(ops.logaddexp(first, second), first + second)


def _amount_features(amount: Any, count: Any, total: Any, squares: Any) -> list[Any]:
    """Returns features `(batch, time)` of amounts beside what the card has spent before."""
    number = count + PRIOR
    mean = (total + PRIOR) / number
    variance = (squares + PRIOR * (1 + SPREAD**2)) / number - mean * mean
    deviation = ops.sqrt(ops.maximum(variance, ops.square(0.1 * mean)))
    size = ops.maximum(ops.abs(mean), 0.01)
    return [
        _signed_log(amount),
        ops.clip(amount, -10.0, 10.0) / 3,
        _signed_log(amount / size),
        ops.clip((amount - mean) / deviation, -10.0, 10.0) / 3,
        _signed_log(mean),
        ops.log1p(count) / 4,
    ]


def _terminal_statistics(fraud: Any, days: Any, real: Any, delay: float) -> Any:
    """Returns features `(batch, features)` of confirmed transactions `(batch, reports)`, oldest first.

    How many there were and the share of fraud in the days before the delay, whether the newest was fraud, how many in a
    row were and since when, and the days since the newest fraud and the newest genuine one.
    """
    features = []
    for span in SPANS:
        within = real * ops.cast(days <= delay + span, "float32")
        count = ops.sum(within, axis=-1)
        features += [ops.log1p(count) / 3, ops.sum(fraud * within, axis=-1) / ops.maximum(count, 1.0)]
    onwards = ops.flip(ops.cumprod(ops.flip(fraud + 1 - real, axis=-1), axis=-1), axis=-1) * real  # 1 in the last run
    features += [ops.max(onwards, axis=-1), ops.log1p(ops.sum(onwards, axis=-1)) / 3]
    features.append(ops.max(onwards * days, axis=-1) / MONTH)
    for kind in (fraud, real - fraud):
        since = ops.min(kind * days + (1 - kind) * NEVER, axis=-1)
        features += [since / MONTH, ops.log1p(since) / 3]
    return ops.stack(features, axis=-1)


def _time_features(time: Any, elapsed: Any) -> list[Any]:
    """Returns features `(batch, time)` of moments in seconds since 1970, and of seconds since the transaction before."""
    features = [ops.log1p(elapsed / HOUR) / 4]
    for period in (DAY, WEEK):
        phase = ops.cast(ops.mod(time, period), "float32") * (2 * np.pi / period)
        features += [ops.sin(phase), ops.cos(phase)]
    return features


def _flat_places(like: Any) -> Any:
    """Returns where each element of `(batch, time)` stands once flattened; a symbolic shape cannot be asked for."""
    ones = ops.ones_like(like, dtype="int32")
    row, column = ops.cumsum(ones, axis=0) - 1, ops.cumsum(ones, axis=1) - 1
    return row * (ops.max(column) + 1) + column


def _before(values: Any) -> Any:
    """Returns the sums `(batch, time)` of what stands before each value."""
    return ops.pad(ops.cumsum(values, axis=1), [[0, 0], [1, 0]])[:, :-1]


def _steps(values: Any, edges: Sequence[float]) -> list[Any]:
    """Returns 0 below and 1 from each edge on: what a smooth function of the values is slow to learn."""
    return [ops.cast(values >= edge, "float32") for edge in edges]


def _signed_log(value: Any) -> Any:
    return ops.sign(value) * ops.log1p(ops.abs(value))


def _stack_like(config: Any, units: tuple[int, ...]) -> Any:
    return replace(config, units=units, residual=False)
