"""The fraud model: an LSTM over the transactions of a card, and one over the labelled history of a terminal.

transactions of the card ─ features ─ LSTM stack with state ─┬─ logit a ─┐
                                                             │           ├─ noisy-OR ─ calibration ─ probability
labelled history of the terminal ─ features ─ LSTM stack ────┴─ logit b ─┘

A transaction is fraud if the card or the terminal is compromised. With p and q their probabilities, the noisy-OR (Pearl, 1988) is
1 - (1 - p)(1 - q), and its log-odds are log(exp a + exp b + exp(a + b)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.config import LSTMConfig
from shared.layers.lstm import LSTMStack
from tasks.fraud.card_features import (
    DAY,
    MONTH,
    amount_features,
    exclusive_sums,
    flat_positions,
    noisy_or,
    signed_log,
    step_features,
    terminal_statistics,
    time_features,
)
from tasks.fraud.config import FraudConfig

STATISTICS = 3  # of a card: count, sum and sum of squares of its amounts, in units of the mean of the training split
TERMINAL_FIELDS = ("terminal_time", "terminal_amount", "terminal_fraud")
TERMINAL_DTYPES = dict(zip(TERMINAL_FIELDS, ("int64", "float32", "int32"), strict=True))


@dataclass(frozen=True)
class Submodels:
    """Trained submodels (see `SubmodelBuilder`) for scoring, serving and single steps."""

    card: keras.Model
    terminal: keras.Model | None
    join: keras.Model

    @property
    def state_size(self) -> int:
        """Size of the state of a card."""
        return int(self.card.input["card_state"].shape[-1])

    @property
    def terminal_history_length(self) -> int:
        """Number of labelled transactions of a terminal that the model reads; 0 without terminals."""
        return int(self.terminal.input["terminal_time"].shape[-1]) if self.terminal is not None else 0


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a model from `SubmodelBuilder.full_model`, also after loading."""
    names = {layer.name for layer in model.layers}
    terminal = model.get_layer("terminal") if "terminal" in names else None
    return Submodels(model.get_layer("card"), terminal, model.get_layer("join"))


class SubmodelBuilder:
    """Builds the submodels; training, serving and single steps share their weights.

    Args:
        config: settings of the task.
        metadata: values from the training split: `amount_scale`, `amount_edges`, `fraud_rate`, `label_delay_days`, `numeric`
            {name: (mean, deviation)}, `categorical` {name: known values}, and `terminal`, True if there are terminals.

    Attributes:
        card: from fields `(batch, time)`, `length` `(batch,)`, `card_state` and `card_time` to `hidden` `(batch, time, features)`
            and the state after the last transaction.
        terminal: from `time` `(batch,)` and the fields of a terminal `(batch, history)` to a logit `(batch,)`; None without
            terminals.
        join: from `hidden` `(batch, features)` and this logit to the logit of fraud `(batch,)`.
        submodels: the three of them.
    """

    def __init__(self, config: FraudConfig, metadata: Mapping[str, Any]) -> None:
        self.config, self.metadata = config, metadata
        self.state_size = STATISTICS + 2 * sum(config.lstm.units)
        self.card = self._build_card()
        self.terminal = self._build_terminal() if metadata["terminal"] else None
        self.join = self._build_join()
        self.submodels = Submodels(self.card, self.terminal, self.join)

    def field_inputs(self, *shape: int | None) -> dict[str, Any]:
        """Returns symbolic inputs for the raw fields of a transaction, each `(batch, *shape)`."""
        dtypes = {"time": "int64", "amount": "float32"}
        dtypes |= dict.fromkeys(self.metadata["numeric"], "float32")
        dtypes |= dict.fromkeys(self.metadata["categorical"], "string")
        return {name: keras.Input(shape, dtype=dtype, name=name) for name, dtype in dtypes.items()}

    def terminal_inputs(self, *shape: int | None) -> dict[str, Any]:
        """Returns symbolic inputs for the labelled history of a terminal, each `(batch, *shape, history)`."""
        if self.terminal is None:
            return {}
        count = self.config.features.terminal_history_length
        return {name: keras.Input((*shape, count), dtype=dtype, name=name) for name, dtype in TERMINAL_DTYPES.items()}

    def state_inputs(self) -> dict[str, Any]:
        """Returns symbolic inputs for the state of a card: `card_state` `(batch, state_size)`, `card_time` `(batch,)`."""
        return {
            "card_state": keras.Input((self.state_size,), name="card_state"),
            "card_time": keras.Input((), dtype="int64", name="card_time"),
        }

    def training_model(self) -> keras.Model:
        """Returns a model that scores a window at the end of a segment of each card.

        Inputs: those of `card`, for a segment `(batch, burn_in + window)`; `position` int32 `(batch, window)`, the positions of the
        window in the segment; the fields of the terminals `(batch, window, history)`. Output: logits `(batch, window, 1)`.
        """
        fields, state, terminal = self.field_inputs(None), self.state_inputs(), self.terminal_inputs(None)
        length = keras.Input((), dtype="int32", name="length")
        position = keras.Input((None,), dtype="int32", name="position")
        hidden = self.card({**fields, **state, "length": length})["hidden"]
        hidden = ops.take_along_axis(hidden, ops.expand_dims(position, -1), axis=1)  # (batch, window, features)
        time = ops.take_along_axis(fields["time"], position, axis=1)
        logits = ops.expand_dims(self._compute_logits(hidden, time, terminal), -1)
        self.training_inputs = {**fields, **state, **terminal, "length": length, "position": position}
        return keras.Model(self.training_inputs, logits, name="training_model")

    def full_model(self, calibration: tuple[float, float]) -> keras.Model:
        """Returns the model of `model.keras`: from whole histories of cards to probabilities `(batch, time)`.

        Args:
            calibration: factor and offset of the logits.
        """
        fields, terminal = self.field_inputs(None), self.terminal_inputs(None)
        length = keras.Input((), dtype="int32", name="length")
        zero = ops.cast(ops.expand_dims(length, -1) * 0, "float32")
        state = {
            "card_state": ops.repeat(zero, self.state_size, axis=1),
            "card_time": ops.cast(length * 0, "int64"),
        }
        hidden = self.card({**fields, **state, "length": length})["hidden"]
        logits = self._compute_logits(hidden, fields["time"], terminal)
        calibrated = keras.layers.Rescaling(calibration[0], calibration[1], name="calibration")(logits)
        return keras.Model({**fields, **terminal, "length": length}, ops.sigmoid(calibrated), name="fraud")

    def _compute_logits(self, hidden: Any, time: Any, terminal: Mapping[str, Any]) -> Any:
        """Returns logits `(batch, window)` for `hidden` `(batch, window, features)`."""
        flat = [ops.reshape(hidden, (-1, hidden.shape[-1]))]
        if self.terminal is not None:
            count = self.config.features.terminal_history_length
            history = {name: ops.reshape(value, (-1, count)) for name, value in terminal.items()}
            flat.append(self.terminal({"time": ops.reshape(time, (-1,)), **history}))
        logits = self.join(flat)
        return ops.take(logits, flat_positions(time), axis=0)

    def _build_card(self) -> keras.Model:
        fields, state_inputs = self.field_inputs(None), self.state_inputs()
        length = keras.Input((), dtype="int32", name="length")
        state, scale = state_inputs["card_state"], self.metadata["amount_scale"]
        steps = ops.cumsum(ops.ones_like(fields["amount"]), axis=1)  # 1, 2, 3 …
        mask = steps <= ops.expand_dims(ops.cast(length, "float32"), -1)
        is_real = ops.cast(mask, "float32")
        amount = fields["amount"] / scale * is_real
        summands = [(is_real, 0), (amount, 1), (amount * amount, 2)]
        before = [state[:, k : k + 1] + exclusive_sums(value) for value, k in summands]
        after = [state[:, k : k + 1] + ops.sum(value, axis=1, keepdims=True) for value, k in summands]

        previous = ops.concatenate([ops.expand_dims(state_inputs["card_time"], -1), fields["time"][:, :-1]], axis=1)
        elapsed = ops.cast(ops.maximum(fields["time"] - previous, 0), "float32") * ops.cast(before[0] > 0, "float32")
        edges = [edge / scale for edge in self.metadata["amount_edges"]]
        features = [
            *amount_features(amount, *before),
            *step_features(amount, edges),
            *time_features(fields["time"], elapsed),
        ]
        features = ops.concatenate([ops.stack(features, axis=-1), *self._further_features(fields)], axis=-1)
        features = features * ops.expand_dims(is_real, -1)

        stack = LSTMStack(self.config.lstm, name="card_lstm")
        lstm_state = stack.unpack_states(state[:, STATISTICS:])
        hidden, next_lstm_state = stack.sequence_with_states(features, lstm_state, mask)
        newest = ops.max(ops.where(mask, fields["time"], ops.zeros_like(fields["time"])), axis=1)
        outputs = {
            "hidden": ops.concatenate([hidden, features], axis=-1),
            "card_state": ops.concatenate([*after, stack.pack_states(next_lstm_state)], axis=-1),
            "card_time": ops.maximum(newest, state_inputs["card_time"]),
        }
        return keras.Model({**fields, **state_inputs, "length": length}, outputs, name="card")

    def _further_features(self, fields: Mapping[str, Any]) -> list[Any]:
        """Returns features `(batch, time, …)` of the further columns."""
        features = []
        for name, (mean, deviation) in self.metadata["numeric"].items():
            value = (fields[name] - mean) / deviation
            features.append(ops.expand_dims(ops.where(ops.isnan(value), ops.zeros_like(value), value), -1))
        for name, categories in self.metadata["categorical"].items():
            category_id = keras.layers.StringLookup(vocabulary=list(categories), name=f"{name}_id")(fields[name])
            size = min(16, 2 + len(categories) // 2)
            embedding = keras.layers.Embedding(len(categories) + 1, size, name=f"{name}_embedding")
            features.append(embedding(category_id))
        return features

    def _build_terminal(self) -> keras.Model:
        count = self.config.features.terminal_history_length
        time = keras.Input((), dtype="int64", name="time")
        history = {name: keras.Input((count,), dtype=dtype, name=name) for name, dtype in TERMINAL_DTYPES.items()}
        mask = history["terminal_fraud"] >= 0
        is_real = ops.cast(mask, "float32")
        seconds = ops.maximum(ops.expand_dims(time, -1) - history["terminal_time"], 0)
        days = ops.cast(seconds, "float32") * is_real / DAY
        amount = history["terminal_amount"] / self.metadata["amount_scale"] * is_real
        fraud = ops.cast(history["terminal_fraud"], "float32") * is_real
        features = [2 * fraud - 1, fraud * days / MONTH, days / MONTH, ops.log1p(days) / 3, signed_log(amount)]
        features = ops.stack(features, axis=-1) * ops.expand_dims(is_real, -1)
        statistics = terminal_statistics(fraud, days, is_real, self.metadata["label_delay_days"])
        # One step before the first one, so that no row consists only of padding.
        features = ops.pad(features, [[0, 0], [1, 0], [0, 0]])
        mask = ops.concatenate([ops.ones_like(mask[:, :1]), mask], axis=1)
        config = _with_units(self.config.lstm, self.config.model.terminal_units)
        last = LSTMStack(config, name="terminal_lstm").last(features, mask)
        logit = self._logit(ops.concatenate([last, statistics], axis=-1), "terminal")
        return keras.Model({"time": time, **history}, logit, name="terminal")

    def _build_join(self) -> keras.Model:
        hidden = keras.Input((self.card.output["hidden"].shape[-1],), name="hidden")
        card_logit = self._logit(hidden, "card")
        if self.terminal is None:
            return keras.Model([hidden], card_logit, name="join")
        terminal_logit = keras.Input((), name="terminal")
        return keras.Model([hidden, terminal_logit], noisy_or(card_logit, terminal_logit), name="join")

    def _logit(self, hidden: Any, name: str) -> Any:
        """Returns a logit `(batch,)` that starts at the rate of fraud."""
        config, rate = self.config.model, self.metadata["fraud_rate"]
        hidden = keras.layers.Dense(config.hidden_units, "relu", name=f"{name}_hidden")(hidden)
        hidden = keras.layers.Dropout(config.hidden_dropout, name=f"{name}_dropout")(hidden)
        bias = keras.initializers.Constant(
            float(np.log(rate / (1 - rate))) - 0.7
        )  # half the rate for each of two logits
        return keras.layers.Dense(1, bias_initializer=bias, name=f"{name}_logit")(hidden)[:, 0]


def _with_units(config: LSTMConfig, units: tuple[int, ...]) -> LSTMConfig:
    return replace(config, units=units, residual=False)
