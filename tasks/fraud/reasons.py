"""Reasons for a score: how much each kind of input adds to the log-odds of fraud, compared with an ordinary transaction.

Shapley values over the inputs of `step` (Lundberg & Lee, 2017), so they hold for whatever the model computes. The reference is a
transaction of the average amount at noon, a day after the previous one, by a card with ten such transactions, at a terminal whose
labelled transactions are genuine; a further column has its mean or its most frequent category.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.evaluation.shapley import shapley_values
from tasks.fraud.states import STATE_NAMES, StepModel
from tasks.fraud.times import RELATIVE_LIMIT
from tasks.fraud.transaction_index import UNKNOWN_LABEL

NUM_REASONS = 3
AMOUNT, TIME_OF_DAY, ELAPSED, CARD, TERMINAL = "amount", "time of day", "time since last", "card", "terminal"
DAY, HOUR, NOON = 86_400, 3_600, 12 * 3_600
REFERENCE_TRANSACTIONS, REFERENCE_SPREAD = 10, 0.4
REFERENCE_LABELS = 8
MAX_PROBABILITY = 1 - 2.0**-24  # the largest float32 below 1


class Explainer:
    """Explains scores of a model.

    Args:
        model: the model.
        frame: the transactions whose categories are counted for the reference.

    Attributes:
        inputs: names of the inputs whose contributions are computed; further columns have their own names.
    """

    def __init__(self, model: StepModel, frame: pd.DataFrame) -> None:
        self.model = model
        numeric, categorical = model.metadata["numeric"], model.metadata["categorical"]
        self._reference_columns: dict[str, Any] = {name: mean for name, (mean, _) in numeric.items()}
        self._reference_columns |= {name: frame[name].mode().iloc[0] for name in categorical}
        terminal = [TERMINAL] if model.has_terminals else []
        self.inputs = [AMOUNT, TIME_OF_DAY, ELAPSED, CARD, *terminal, *self._reference_columns]
        self._reference_state = self._compute_reference_state(int(frame["time"].iloc[0]))

    def contributions(self, request: Mapping[str, np.ndarray]) -> np.ndarray:
        """Returns how much each input adds to the log-odds of fraud, float64 `(rows, inputs)`.

        The contributions of a row sum to its log-odds minus those of the reference.

        Args:
            request: request for `step`.
        """
        return shapley_values(lambda mask: self.log_odds(request, mask), len(self.inputs))

    def log_odds(self, request: Mapping[str, np.ndarray], mask: np.ndarray) -> np.ndarray:
        """Returns the log-odds `(rows,)` with the inputs of the request where `mask` `(inputs,)` is True, else those of the reference."""
        probability = self.model.predictors.call["step"](self._mix(request, mask))["fraud_probability"]
        probability = np.clip(probability.astype(np.float64), 1 - MAX_PROBABILITY, MAX_PROBABILITY)
        return np.log(probability) - np.log1p(-probability)

    def explain(self, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the inputs with the greatest contributions as texts, and these contributions.

        Returns:
            `reason_1`, object `(rows,)`, and `reason_1_contribution`, float32 `(rows,)`, to `NUM_REASONS`.
        """
        contributions = self.contributions(request)
        order = np.argsort(-contributions, axis=1, kind="stable")
        texts = np.array([self._describe(name, request) for name in self.inputs], object).T
        outputs: dict[str, np.ndarray] = {}
        for name, values in reason_columns(len(contributions)).items():
            number = int(name.split("_")[1]) - 1
            if number < len(self.inputs):
                source = contributions if name.endswith("contribution") else texts
                values[:] = np.take_along_axis(source, order[:, number : number + 1], axis=1)[:, 0]
            outputs[name] = values
        return outputs

    def _mix(self, request: Mapping[str, np.ndarray], mask: np.ndarray) -> dict[str, np.ndarray]:
        """Returns a request whose inputs come from `request` where `mask` is True, else from the reference."""
        used = dict(zip(self.inputs, mask, strict=True))
        time, scale = request["time"], self.model.metadata["amount_scale"]
        mixed = {**request, "time": time if used[TIME_OF_DAY] else time // DAY * DAY + NOON}
        if not used[AMOUNT]:
            mixed["amount"] = np.full_like(request["amount"], scale)
        is_new = request["card_state"][:, 0] == 0  # the number of earlier transactions
        elapsed = np.where(is_new, DAY, time - request["card_time"]) if used[ELAPSED] else np.full_like(time, DAY)
        mixed["card_time"] = mixed["time"] - elapsed
        if used[CARD]:
            mixed["card_time"] = np.where(is_new, 0, mixed["card_time"])
        else:
            mixed["card_state"] = np.repeat(self._reference_state, len(time), axis=0)
        if self.model.has_terminals:
            mixed |= self._terminal(request, mixed["time"], bool(used[TERMINAL]))
        for name, value in self._reference_columns.items():
            if not used[name]:
                mixed[name] = np.full(len(time), value, request[name].dtype)
        return mixed

    def _terminal(self, request: Mapping[str, np.ndarray], time: np.ndarray, is_used: bool) -> dict[str, np.ndarray]:
        """Returns the labelled history of the terminals, whose ages stay the same at another time."""
        if is_used:
            shift = (time - request["time"])[:, None] * (request["terminal_fraud"] != UNKNOWN_LABEL)
            return {"terminal_time": request["terminal_time"] + shift}
        count = request["terminal_fraud"].shape[1]
        is_real = np.arange(count) < REFERENCE_LABELS
        days = np.arange(count)[::-1] - max(0, count - REFERENCE_LABELS)  # oldest first, padded on the right
        age = self.model.delay + DAY * (1 + days)
        rows = len(time)
        return {
            "terminal_time": np.where(is_real, time[:, None] - age, 0),
            "terminal_amount": np.tile(
                np.where(is_real, self.model.metadata["amount_scale"], 0).astype(np.float32), (rows, 1)
            ),
            "terminal_fraud": np.tile(np.where(is_real, 0, UNKNOWN_LABEL).astype(np.int32), (rows, 1)),
        }

    def _compute_reference_state(self, time: int) -> np.ndarray:
        """Returns the state `(1, state size)` of a card with ordinary transactions, one a day up to the day before `time`."""
        metadata = self.model.metadata
        state: dict[str, np.ndarray] = self.model.predictors.zero_state(1, *STATE_NAMES)
        for k in range(REFERENCE_TRANSACTIONS):
            now = (max(time // DAY, REFERENCE_TRANSACTIONS) - REFERENCE_TRANSACTIONS + k) * DAY + NOON
            amount = metadata["amount_scale"] * (1 + REFERENCE_SPREAD * (-1) ** k)
            request: dict[str, np.ndarray] = {
                "time": np.array([now], np.int64),
                "amount": np.array([amount], np.float32),
            }
            for name, value in self._reference_columns.items():
                request[name] = np.array([value], object if name in metadata["categorical"] else np.float32)
            if self.model.has_terminals:
                padding = np.full((1, metadata["terminal_history_length"]), UNKNOWN_LABEL, np.int32)
                request |= self._terminal({"terminal_fraud": padding}, request["time"], is_used=False)
            outputs = self.model.predictors.call["step"]({**request, **state})
            state = {name: outputs[name] for name in STATE_NAMES}
        return state["card_state"]

    def _describe(self, name: str, request: Mapping[str, np.ndarray]) -> list[str]:
        """Returns what an input is in each row, as text."""
        count, total = request["card_state"][:, 0], request["card_state"][:, 1]
        scale = self.model.metadata["amount_scale"]
        mean = np.where(count > 0, total / np.maximum(count, 1) * scale, np.nan)
        if name == AMOUNT:
            return [_amount_text(*row, scale) for row in zip(request["amount"].tolist(), mean.tolist(), strict=True)]
        if name == TIME_OF_DAY:
            return [_time_text(time) for time in request["time"].tolist()]
        if name == ELAPSED:
            elapsed = request["time"] - request["card_time"]
            return [_elapsed_text(seconds, n == 0) for seconds, n in zip(elapsed.tolist(), count.tolist(), strict=True)]
        if name == CARD:
            return [_card_text(int(n), value) for n, value in zip(count.tolist(), mean.tolist(), strict=True)]
        if name == TERMINAL:
            return [
                _terminal_text(*row)
                for row in zip(request["time"], request["terminal_time"], request["terminal_fraud"], strict=True)
            ]
        return [f"{name} is {_value_text(value)}" for value in request[name].tolist()]


def reason_columns(rows: int) -> dict[str, np.ndarray]:
    """Returns the columns of the reasons without values: object with empty texts and float32 with NaN, each `(rows,)`."""
    columns: dict[str, np.ndarray] = {}
    for number in range(1, NUM_REASONS + 1):
        columns[f"reason_{number}"] = np.full(rows, "", object)
        columns[f"reason_{number}_contribution"] = np.full(rows, np.nan, np.float32)
    return columns


def _amount_text(amount: float, mean: float, scale: float) -> str:
    if amount < 0:
        return f"amount {amount:.2f} is a refund"
    known, name = (mean, "the card's mean") if mean > 0 else (scale, "the mean of all training transactions")
    return f"amount {amount:.2f} is {_ratio_text(amount / known)} times {name} of {known:.2f}"


def _ratio_text(ratio: float) -> str:
    return f"{ratio:.1f}" if ratio >= 0.95 else f"{ratio:.2g}"


def _time_text(time: int) -> str:
    moment = np.datetime64(time, "s").item()
    weekday = f", {moment:%A}" if time >= RELATIVE_LIMIT else ""  # a day that counts from 0 has no weekday
    return f"time of day {moment:%H:%M}{weekday}"


def _elapsed_text(seconds: int, is_first: bool) -> str:
    if is_first:
        return "first known transaction of the card"
    return f"{_duration_text(seconds)} after the card's previous transaction"


def _duration_text(seconds: int) -> str:
    for size, unit in ((DAY, "day"), (HOUR, "hour"), (60, "minute")):
        if seconds >= size:
            return _plural(round(seconds / size), unit)
    return _plural(seconds, "second")


def _card_text(count: int, mean: float) -> str:
    if count == 0:
        return "the card has no earlier transactions"
    return f"pattern of the card's {_plural(count, 'earlier transaction')}, mean amount {mean:.2f}"


def _terminal_text(time: int, label_times: np.ndarray, frauds: np.ndarray) -> str:
    count, fraud = int((frauds >= 0).sum()), frauds == 1
    if not count:
        return "the terminal has no labelled transactions"
    if not fraud.any():
        return f"the terminal has no fraud among its newest {_plural(count, 'labelled transaction')}"
    age = _duration_text(int(time - label_times[fraud].max()))
    frauds_text = _plural(int(fraud.sum()), "fraud")
    return f"the terminal has {frauds_text} among its newest {_plural(count, 'labelled transaction')}, the last one {age} ago"


def _plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def _value_text(value: Any) -> str:
    if isinstance(value, float):
        return "empty" if np.isnan(value) else f"{value:.4g}"
    return f'"{value}"' if value else "empty"
