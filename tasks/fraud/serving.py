"""The fraud model's signatures, and how tables and lines of a user's become requests."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared import evaluation
from shared.columns import parse_json_lines
from shared.config import with_trained_defaults
from shared.errors import DataError
from shared.pipelines import gather_padded, padded_indices
from shared.signatures import make_signature
from shared.task import ExportSpec, Predictor
from tasks.fraud import data
from tasks.fraud.config import FraudConfig, ProtocolConfig
from tasks.fraud.model import TERMINAL_FIELDS, get_submodels
from tasks.fraud.transaction_index import UNKNOWN, TransactionIndex, build_transaction_index

CARDS = 64  # of one call when a table is scored
EXAMPLES = tuple(
    json.dumps(
        {
            "CUSTOMER_ID": card,
            "TERMINAL_ID": terminal,
            "TX_DATETIME": f"2018-06-{day:02d} {hour}:00:00",
            "TX_AMOUNT": amount,
        }
    )
    for card, terminal, day, hour, amount in (
        ("ann", "baker", 1, "08", 12.0),
        ("ann", "grocer", 2, "17", 31.5),
        ("ann", "baker", 4, "09", 14.2),
        ("ann", "jeweller", 5, "11", 140.0),
        ("bob", "garage", 5, "12", 260.0),
    )
)


def export_spec(scorer: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Gives the Keras model its signatures.

    `serving_default` scores histories of cards, one a row: `time` int64 `(cards, transactions)` in seconds since 1970,
    earliest first; `amount` float32 and the further columns alike; `length` int32 `(cards,)`, how many are real; and of
    each transaction's terminal the transactions confirmed by then, in any order and number, newest counting most:
    `terminal_time`, `terminal_amount` and `terminal_fraud` (0 or 1, -1 for padding) `(cards, transactions, reports)`. It
    returns `fraud_probability` float32 and `alert` bool `(cards, transactions)`, 0 and False at padding.

    `step` scores one more transaction of each card: the same fields without the axis of transactions, and the card's
    state, `card_state` float32 `(cards, memory)` and `card_time` int64 `(cards,)`, zeros for a card never seen; it
    returns the state after it too.
    """
    parts = get_submodels(scorer)
    calibration = scorer.get_layer("calibration")
    threshold = metadata["threshold"]

    def whole(**fields: Any) -> dict[str, Any]:
        terminal = {name: fields.pop(name) for name in TERMINAL_FIELDS if name in fields}
        probability = scorer({**fields, **newest(terminal, parts.reports)})
        real = tf.sequence_mask(fields["length"], tf.shape(probability)[1])
        probability = tf.where(real, probability, 0.0)
        return {"fraud_probability": probability, "alert": real & (probability >= threshold)}

    def step(**fields: Any) -> dict[str, Any]:
        terminal = {name: fields.pop(name) for name in TERMINAL_FIELDS if name in fields}
        state = {name: fields.pop(name) for name in ("card_state", "card_time")}
        single = {name: value[:, None] for name, value in fields.items()}
        after = parts.card({**single, **state, "length": tf.ones_like(fields["time"], tf.int32)})
        joined = [after["hidden"][:, 0]]
        if parts.terminal is not None:
            joined.append(parts.terminal({"time": fields["time"], **newest(terminal, parts.reports)}))
        probability = tf.sigmoid(calibration(parts.join(joined)))
        return {
            "fraud_probability": probability,
            "alert": probability >= threshold,
            "card_state": after["card_state"],
            "card_time": after["card_time"],
        }

    request = sample_request(metadata)
    first = {name: value[:, 0] for name, value in request.items() if name != "length"}
    state: dict[str, np.ndarray] = {
        "card_state": np.zeros((len(request["length"]), parts.state_size), np.float32),
        "card_time": np.zeros(len(request["length"]), np.int64),
    }
    signatures = {
        "serving_default": make_signature(whole, request),
        "step": make_signature(step, {**first, **state}, fixed=("card_state",)),
    }
    return ExportSpec(scorer, signatures, metadata)


def newest(terminal: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Returns the `count` newest real entries along the last axis, oldest first, padded on the right.

    Args:
        terminal: `TERMINAL_FIELDS`, each `(..., any number)`; empty without terminals.
        count: entries to return.
    """
    if not terminal:
        return {}
    fraud = terminal["terminal_fraud"]
    wide = {"terminal_time": 0, "terminal_amount": 0.0, "terminal_fraud": UNKNOWN}
    ahead = [[0, 0]] * (len(fraud.shape) - 1) + [[0, count]]
    padded = {name: tf.pad(terminal[name], ahead, constant_values=value) for name, value in wide.items()}
    real = padded["terminal_fraud"] >= 0
    order = tf.argsort(tf.where(real, padded["terminal_time"], tf.int64.max), axis=-1, stable=True)
    number = tf.reduce_sum(tf.cast(real, tf.int32), axis=-1, keepdims=True)
    place = tf.maximum(number - count, 0) + tf.range(count)
    chosen = tf.gather(order, place, axis=-1, batch_dims=len(fraud.shape) - 1)
    return {name: tf.gather(value, chosen, axis=-1, batch_dims=len(fraud.shape) - 1) for name, value in padded.items()}


def sample_request(metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns two cards of three and of one transactions, the first at a terminal with confirmed fraud."""
    start, day = 1_530_000_000, 86_400
    scale = metadata["amount_scale"]
    request: dict[str, np.ndarray] = {
        "time": np.array([[start, start + day, start + 2 * day], [start, 0, 0]], np.int64),
        "amount": np.array([[scale, 0.8 * scale, 5 * scale], [2 * scale, 0, 0]], np.float32),
        "length": np.array([3, 1], np.int32),
    }
    for name, (mean, _) in metadata["numeric"].items():
        request[name] = np.full((2, 3), mean, np.float32)
    for name, known in metadata["categorical"].items():
        request[name] = np.full((2, 3), known[0], object)
    if metadata["terminal"]:
        fraud = np.full((2, 3, metadata["reports"]), UNKNOWN, np.int32)
        fraud[0, 1, :1], fraud[0, 2, :2] = 0, (0, 1)[: metadata["reports"]]
        age = np.maximum(20 - np.arange(metadata["reports"]), 8) * day
        request |= {
            "terminal_time": np.where(fraud >= 0, start - age, 0).astype(np.int64),
            "terminal_amount": np.where(fraud >= 0, scale, 0).astype(np.float32),
            "terminal_fraud": fraud,
        }
    return request


def histories(ledger: TransactionIndex, cards: np.ndarray, reports: int, terminal: bool) -> dict[str, np.ndarray]:
    """Returns cards of a ledger as a request to `serving_default`.

    Args:
        ledger: the transactions.
        cards: positions of the cards' first rows.
        reports: most confirmed transactions of a terminal.
        terminal: whether there are terminals.
    """
    ends = np.searchsorted(ledger.first, cards, side="right")
    length = ends - cards
    rows, _ = padded_indices(cards, length)
    request = {name: gather_padded(values, rows) for name, values in ledger.fields.items()}
    request["length"] = length.astype(np.int32)
    return request | ledger.terminal_fields(rows, reports) if terminal else request


def answered(frame: pd.DataFrame, metadata: Mapping[str, Any], call: Predictor) -> dict[str, np.ndarray]:
    """Returns an exported model's answer to each row of a table of `tasks.fraud.data.tidy`, in its order."""
    ledger = build_transaction_index(frame, metadata["delay_days"])
    cards, length = np.unique(ledger.first, return_counts=True)
    cards = cards[np.argsort(length, kind="stable")]
    found: dict[str, np.ndarray] = {}
    for start in range(0, len(cards), CARDS):
        chosen = cards[start : start + CARDS]
        request = histories(ledger, chosen, metadata["reports"], metadata["terminal"])
        real = np.arange(request["time"].shape[1]) < request["length"][:, None]
        rows = ledger.order[
            np.concatenate([np.arange(k, k + n) for k, n in zip(chosen, request["length"], strict=True)])
        ]
        for name, values in call(request).items():
            found.setdefault(name, np.empty(len(frame), values.dtype))[rows] = values[real]
    return found


def score_file(config: FraudConfig, source: str, metadata: dict[str, Any], call: Predictor) -> list[evaluation.Score]:
    """Scores an exported model on a file of labelled transactions, each with what was known at its time.

    Raises:
        DataError: the file cannot be used, or holds but one class.
    """
    from tasks.fraud.evaluate import groups, measures_of

    frame = data.read(_as_trained(config, metadata), source)
    if frame["fraud"].nunique() < 2:
        raise DataError(f"{source}: holds but one class; to judge, both fraud and genuine transactions are needed.")
    labels, cards, days = groups(frame)
    answer = answered(frame, metadata, call)["fraud_probability"]
    return evaluation.score("exported", labels, answer, measures_of(metadata["alerts_per_day"]), cards, days)


def predict(lines: Sequence[str], metadata: dict[str, Any], call: Predictor) -> Mapping[str, np.ndarray]:
    """Returns an exported model's answers to transactions, one JSON object a line, by the names of the user's columns.

    The lines are read together: those of one card are its history. A label, where one is given, tells of the
    terminal once the delay is over.

    Raises:
        DataError: a line is no JSON object, or lacks a column, or a value cannot be used.
    """
    config = _as_trained(FraudConfig(), metadata)
    wanted = [column for column in data.wanted(config) if column != config.columns.label]
    return answered(data.tidy(parse_json_lines(lines, wanted), config, "input", labelled=False), metadata, call)


def _as_trained(config: FraudConfig, metadata: Mapping[str, Any]) -> FraudConfig:
    """Returns the configuration with the columns and the delay of the trained model, unless others were asked for."""
    return dataclasses.replace(
        config,
        columns=with_trained_defaults(config.columns, metadata["columns"]),
        protocol=ProtocolConfig(delay_days=metadata["delay_days"]),
    )
