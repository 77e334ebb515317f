"""The fraud model: an LSTM over the transactions of a card, one over the labelled history of a terminal, and boosted trees.

transactions of the card ─ features ─ LSTM stack with state ─┬─ logit a ─┐
                                                             │           ├─ noisy-OR ─ calibration ─ probability
labelled history of the terminal ─ features ─ LSTM stack ────┴─ logit b ─┘
both, as counts and ages ─ boosted trees ─ logit, added to that of the noisy-OR with a weight

A transaction is fraud if the card or the terminal is compromised. With p and q their probabilities, the noisy-OR (Pearl, 1988) is
1 - (1 - p)(1 - q), and its log-odds are log(exp a + exp b + exp(a + b)).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
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
    terminal_counts,
    terminal_statistics,
    time_features,
)
from tasks.fraud.config import FraudConfig
from tasks.fraud.recent import newest_before, next_state, recent_features
from tasks.fraud.submodels import CARD_OUTPUTS, Submodels

STATISTICS = 3  # of a card: count, sum and sum of squares of its amounts, in units of the mean of the training split
TERMINAL_FIELDS = ("terminal_time", "terminal_amount", "terminal_fraud")
TERMINAL_DTYPES = dict(zip(TERMINAL_FIELDS, ("int64", "float32", "int32"), strict=True))


class SubmodelBuilder:
    """Builds the submodels; training, serving and single steps share their weights.

    Args:
        config: settings of the task.
        metadata: values from the training split: `amount_scale`, `amount_edges`, `fraud_rate`, `label_delay_days`, `numeric`
            {name: (mean, deviation)}, `categorical` {name: known values}, `category_rates` {name: fraud rate of each known value},
            and `terminal`, True if there are terminals.

    Attributes:
        card: from fields `(batch, time)`, `length` `(batch,)`, `card_state` and `card_time` to `hidden` and `card_features`
            `(batch, time, features)` and the state after the last transaction.
        terminal: from `time` `(batch,)` and the fields of a terminal `(batch, history)` to a logit `(batch,)`; None without
            terminals.
        join: from `hidden` `(batch, features)` and this logit to the logit of fraud `(batch,)`.
        tree_features: from `card_features` `(batch, features)`, `time` and the fields of a terminal to the features of the boosted
            trees by name, each `(batch,)`.
        submodels: all of them, without trees.
    """

    def __init__(self, config: FraudConfig, metadata: Mapping[str, Any]) -> None:
        self.config, self.metadata = config, metadata
        self.lstm_state_end = STATISTICS + 2 * sum(config.lstm.units)
        self.state_size = self.lstm_state_end + 2 * config.features.recent_transactions
        self.card_feature_names: list[str] = []
        self.card = self._build_card()
        self.terminal = self._build_terminal() if metadata["terminal"] else None
        self.join = self._build_join()
        self.tree_features = self._build_tree_features()
        self.submodels = Submodels(self.card, self.terminal, self.join, self.tree_features)

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
        logits = self._flat_logits(self.submodels, {"hidden": hidden}, time, terminal)["lstm"]
        logits = ops.expand_dims(ops.take(logits, flat_positions(time), axis=0), -1)
        self.training_inputs = {**fields, **state, **terminal, "length": length, "position": position}
        return keras.Model(self.training_inputs, logits, name="training_model")

    def full_model(
        self, calibration: tuple[float, float], trees: keras.Model | None = None, tree_weight: float = 0.0
    ) -> keras.Model:
        """Returns the model of `model.keras`: from whole histories of cards to probabilities `(batch, time)`.

        Args:
            calibration: factor of the logits of the LSTM, and offset.
            trees: from `tasks.fraud.trees.build_tree_model`; None for a model without trees.
            tree_weight: factor of the logits of the trees.
        """
        fields, terminal = self.field_inputs(None), self.terminal_inputs(None)
        length = keras.Input((), dtype="int32", name="length")
        zero = ops.cast(ops.expand_dims(length, -1) * 0, "float32")
        state = {
            "card_state": ops.repeat(zero, self.state_size, axis=1),
            "card_time": ops.cast(length * 0, "int64"),
        }
        card = self.card({**fields, **state, "length": length})
        submodels = replace(self.submodels, trees=trees)
        logits = self._flat_logits(submodels, card, fields["time"], terminal)
        mixed = keras.layers.Rescaling(calibration[0], calibration[1], name="calibration")(logits["lstm"])
        if trees is not None:
            mixed = mixed + keras.layers.Rescaling(tree_weight, name="tree_weight")(logits["trees"])
        probabilities = ops.take(ops.sigmoid(mixed), flat_positions(fields["time"]), axis=0)
        return keras.Model({**fields, **terminal, "length": length}, probabilities, name="fraud")

    def _flat_logits(
        self, submodels: Submodels, card: Mapping[str, Any], time: Any, terminal: Mapping[str, Any]
    ) -> dict[str, Any]:
        """Returns the logits `(batch x window,)` of each component for outputs of the card `(batch, window, features)`."""
        count = self.config.features.terminal_history_length
        flat = {name: ops.reshape(value, (-1, value.shape[-1])) for name, value in card.items() if name in CARD_OUTPUTS}
        history = {name: ops.reshape(value, (-1, count)) for name, value in terminal.items()}
        return submodels.compute_logits(flat, ops.reshape(time, (-1,)), history)

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
        lstm_state = stack.unpack_states(state[:, STATISTICS : self.lstm_state_end])
        hidden, next_lstm_state = stack.sequence_with_states(features, lstm_state, mask)
        newest = ops.max(ops.where(mask, fields["time"], ops.zeros_like(fields["time"])), axis=1)
        card_time = ops.maximum(newest, state_inputs["card_time"])
        card_features, recent = self._card_features(fields, state_inputs, before, length, card_time)
        outputs = {
            "hidden": ops.concatenate([hidden, features], axis=-1),
            "card_features": card_features,
            "card_state": ops.concatenate([*after, stack.pack_states(next_lstm_state), recent], axis=-1),
            "card_time": card_time,
        }
        return keras.Model({**fields, **state_inputs, "length": length}, outputs, name="card")

    def _card_features(
        self, fields: Mapping[str, Any], state: Mapping[str, Any], before: list[Any], length: Any, card_time: Any
    ) -> tuple[Any, Any]:
        """Returns the features of the card for the boosted trees `(batch, time, features)`, and the next part of the state."""
        count, scale = self.config.features.recent_transactions, self.metadata["amount_scale"]
        newest = state["card_state"][:, self.lstm_state_end :]
        times, amounts = newest_before(newest, state["card_time"], fields["time"], fields["amount"])
        statistics = {"count": before[0], "total": before[1]}
        features = recent_features(times, amounts * (1 / scale), statistics, count)
        features |= {further_name(name): fields[name] for name in self.metadata["numeric"]}
        for name, categories in self.metadata["categorical"].items():
            category_id = keras.layers.StringLookup(vocabulary=list(categories), name=f"{name}_rate_id")(fields[name])
            rates = np.array([[self.metadata["fraud_rate"]], *([r] for r in self.metadata["category_rates"][name])])
            table = keras.layers.Embedding(*rates.shape, trainable=False, name=f"{name}_rate")
            features[further_name(name)] = table(category_id)[..., 0]
            table.set_weights([rates])
        self.card_feature_names = list(features)
        return ops.stack(list(features.values()), axis=-1), next_state(times, amounts, length, card_time, count)

    def _build_tree_features(self) -> keras.Model:
        card = keras.Input((len(self.card_feature_names),), name="card_features")
        features = {name: card[:, k] for k, name in enumerate(self.card_feature_names)}
        time = keras.Input((), dtype="int64", name="time")
        history = self._history_inputs() if self.terminal is not None else {}
        if history:
            fraud, days, is_real = _labelled_history(time, history)
            counts = terminal_counts(fraud, days, is_real, self.metadata["label_delay_days"])
            features |= {f"terminal_{name}": value for name, value in counts.items()}
        return keras.Model({"card_features": card, "time": time, **history}, features, name="tree_features")

    def _history_inputs(self) -> dict[str, Any]:
        count = self.config.features.terminal_history_length
        return {name: keras.Input((count,), dtype=dtype, name=name) for name, dtype in TERMINAL_DTYPES.items()}

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
        time, history = keras.Input((), dtype="int64", name="time"), self._history_inputs()
        fraud, days, is_real = _labelled_history(time, history)
        mask = history["terminal_fraud"] >= 0
        amount = history["terminal_amount"] / self.metadata["amount_scale"] * is_real
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


def further_name(column: str) -> str:
    """Returns the name of a further column among the features of the boosted trees."""
    return f"column {column}"


def _labelled_history(time: Any, history: Mapping[str, Any]) -> tuple[Any, Any, Any]:
    """Returns label, age in days, and 1 for a transaction or 0 for padding, float32 `(batch, history)` each."""
    is_real = ops.cast(history["terminal_fraud"] >= 0, "float32")
    seconds = ops.maximum(ops.expand_dims(time, -1) - history["terminal_time"], 0)
    fraud = ops.cast(history["terminal_fraud"], "float32") * is_real
    return fraud, ops.cast(seconds, "float32") * is_real / DAY, is_real


def _with_units(config: LSTMConfig, units: tuple[int, ...]) -> LSTMConfig:
    return replace(config, units=units, residual=False)
