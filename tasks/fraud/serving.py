"""Signatures of the fraud model, and the conversion of tables and input lines to requests."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.data.pipelines import gather_padded, padded_indices
from shared.export.checks import checked, finite, not_infinite, same_shape
from shared.export.signatures import make_signature
from shared.export.state_stamp import STAMP_SIZE, StateStamp
from shared.progress import report_progress
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from tasks.fraud.config import PredictOptions
from tasks.fraud.model import TERMINAL_FIELDS
from tasks.fraud.reasons import reason_columns
from tasks.fraud.stored import StoredTransactions, predict_in_order
from tasks.fraud.submodels import CARD_OUTPUTS, get_submodels, mix_logits
from tasks.fraud.transaction_index import UNKNOWN_LABEL, TransactionIndex, build_transaction_index

CARDS_PER_CALL = 64  # when a table is scored
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


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the Keras model.

    `serving_default` scores histories of cards, one card per row. Inputs: `time` int64 `(cards, transactions)`, seconds since 1970,
    oldest first; `amount` float32 and further columns of the same shape; `length` int32 `(cards,)`, the number of transactions
    without padding; and the labelled history of the terminal of each transaction, in any order and number, of which the newest count:
    `terminal_time`, `terminal_amount` and `terminal_fraud` (0 or 1, -1 for padding) `(cards, transactions, history)`. Outputs:
    `fraud_probability` float32 and `alert` bool `(cards, transactions)`, 0 and False at padding.

    `step` scores one more transaction of each card. Inputs: the same fields without the axis of transactions, and the state of the
    card, `card_state` float32 `(cards, state)` and `card_time` int64 `(cards,)`, zeros for a new card. Outputs include the next state.
    """
    submodels = get_submodels(model)
    threshold = metadata["threshold"]

    def score_histories(**fields: Any) -> dict[str, Any]:
        terminal = {name: fields.pop(name) for name in TERMINAL_FIELDS if name in fields}
        probability = model({**fields, **newest_entries(terminal, submodels.terminal_history_length)})
        is_real = tf.sequence_mask(fields["length"], tf.shape(probability)[1])
        probability = tf.where(is_real, probability, 0.0)
        return {"fraud_probability": probability, "alert": is_real & (probability >= threshold)}

    def step(**fields: Any) -> dict[str, Any]:
        terminal = {name: fields.pop(name) for name in TERMINAL_FIELDS if name in fields}
        state = {name: fields.pop(name) for name in ("card_state", "card_time")}
        single = {name: value[:, None] for name, value in fields.items()}
        outputs = submodels.card({**single, **state, "length": tf.ones_like(fields["time"], tf.int32)})
        card = {name: outputs[name][:, 0] for name in CARD_OUTPUTS}
        history = newest_entries(terminal, submodels.terminal_history_length)
        logits = submodels.compute_logits(card, fields["time"], history)
        probability = tf.sigmoid(mix_logits(model, logits))
        next_state = {name: outputs[name] for name in state}
        return {"fraud_probability": probability, "alert": probability >= threshold, **next_state}

    request = example_request(metadata)
    first = {name: value[:, 0] for name, value in request.items() if name != "length"}
    shapes = [same_shape(*(name for name in first if name not in TERMINAL_FIELDS))]
    shapes += [same_shape(*TERMINAL_FIELDS)] if metadata["terminal"] else []
    checks = (*shapes, finite("amount", "terminal_amount"), not_infinite(*metadata["numeric"]))
    card_time = np.zeros(len(request["length"]), np.int64)
    card_state = np.zeros((len(card_time), submodels.state_size + STAMP_SIZE), np.float32)
    first |= {"card_state": card_state, "card_time": card_time}
    next_step = checked(StateStamp(model, metadata, "card_state").step(step), *checks)
    signatures = {
        "serving_default": make_signature(checked(score_histories, *checks), request),
        "step": make_signature(next_step, first, fixed=("card_state",)),
    }
    return ExportSpec(model, signatures, metadata)


def newest_entries(terminal: Mapping[str, Any], count: int) -> dict[str, Any]:
    """Returns the `count` newest entries without padding along the last axis, oldest first, padded on the right.

    Args:
        terminal: `TERMINAL_FIELDS`, each `(..., any number)`; empty without terminals.
        count: number of entries to return.
    """
    if not terminal:
        return {}
    fraud = terminal["terminal_fraud"]
    padding = {"terminal_time": 0, "terminal_amount": 0.0, "terminal_fraud": UNKNOWN_LABEL}
    paddings = [[0, 0]] * (len(fraud.shape) - 1) + [[0, count]]
    padded = {name: tf.pad(terminal[name], paddings, constant_values=value) for name, value in padding.items()}
    is_real = padded["terminal_fraud"] >= 0
    order = tf.argsort(tf.where(is_real, padded["terminal_time"], tf.int64.max), axis=-1, stable=True)
    length = tf.reduce_sum(tf.cast(is_real, tf.int32), axis=-1, keepdims=True)
    position = tf.maximum(length - count, 0) + tf.range(count)
    indices = tf.gather(order, position, axis=-1, batch_dims=len(fraud.shape) - 1)
    return {name: tf.gather(value, indices, axis=-1, batch_dims=len(fraud.shape) - 1) for name, value in padded.items()}


def example_request(metadata: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns two cards with three transactions and one transaction, the first card at a terminal with known fraud."""
    start, day = 1_530_000_000, 86_400
    scale, count = metadata["amount_scale"], metadata["terminal_history_length"]
    request: dict[str, np.ndarray] = {
        "time": np.array([[start, start + day, start + 2 * day], [start, 0, 0]], np.int64),
        "amount": np.array([[scale, 0.8 * scale, 5 * scale], [2 * scale, 0, 0]], np.float32),
        "length": np.array([3, 1], np.int32),
    }
    for name, (mean, _) in metadata["numeric"].items():
        request[name] = np.full((2, 3), mean, np.float32)
    for name, categories in metadata["categorical"].items():
        request[name] = np.full((2, 3), categories[0], object)
    if metadata["terminal"]:
        fraud = np.full((2, 3, count), UNKNOWN_LABEL, np.int32)
        fraud[0, 1, :1], fraud[0, 2, :2] = 0, (0, 1)[:count]
        age = np.maximum(20 - np.arange(count), 8) * day
        request |= {
            "terminal_time": np.where(fraud >= 0, start - age, 0).astype(np.int64),
            "terminal_amount": np.where(fraud >= 0, scale, 0).astype(np.float32),
            "terminal_fraud": fraud,
        }
    return request


def build_request(
    index: TransactionIndex,
    cards: np.ndarray,
    terminal_history_length: int,
    has_terminals: bool,
    length: np.ndarray | None = None,
) -> dict[str, np.ndarray]:
    """Returns the histories of cards as a request for `serving_default`.

    Args:
        index: the transactions.
        cards: positions of the first rows of the cards.
        terminal_history_length: maximum number of labelled transactions per terminal.
        has_terminals: True if the model reads terminals.
        length: number of rows of each card, int64 `(cards,)`, the oldest ones; None means all rows.
    """
    if length is None:
        length = np.searchsorted(index.first, cards, side="right") - cards
    rows, _ = padded_indices(cards, length)
    request = {name: gather_padded(values, rows) for name, values in index.fields.items()}
    request["length"] = length.astype(np.int32)
    return request | index.terminal_fields(rows, terminal_history_length) if has_terminals else request


def predict(
    records: pd.DataFrame | StoredTransactions,
    metadata: Mapping[str, Any],
    predictor: Predictor,
    options: PredictOptions,
) -> Predictions:
    """Returns the predictions of an exported model for transactions, in their order.

    Args:
        records: table from `tasks.fraud.data.convert`, with the column `is_scored_row` if some rows are only history; or transactions
            with a state store.
        metadata: metadata of the model.
        predictor: calls `serving_default`; with a store or reasons, a `VersionPredictor`.
        options: options of `predict`.
    """
    if isinstance(records, StoredTransactions) or options.reasons:
        return predict_in_order(records, metadata, predictor, options.reasons)
    if "is_scored_row" not in records:
        records = records.assign(is_scored_row=True)
    predictions = predict_labelled(records, metadata, predictor)
    return {name: values[records["is_scored_row"].to_numpy()] for name, values in predictions.items()}


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `probability`, of fraud, and `is_alert`, and those of the reasons if the options ask for them."""
    columns = {"probability": predictions["fraud_probability"], "is_alert": predictions["alert"]}
    if options.reasons:
        columns |= {name: predictions[name] for name in reason_columns(0)}
    return pd.DataFrame(columns)


def predict_labelled(records: pd.DataFrame, metadata: Mapping[str, Any], predictor: Predictor) -> Predictions:
    """Returns the predictions of an exported model for the scored rows of a table and for the earlier rows of their cards.

    Args:
        records: a split, or a table from `read_records`.
        metadata: metadata of the model.
        predictor: calls `serving_default`.

    Returns:
        `fraud_probability` float32 `(rows,)`, NaN where a row is not predicted, and `alert` bool `(rows,)`.
    """
    index = build_transaction_index(records, metadata["label_delay_days"])
    needed = np.flatnonzero(records["is_scored_row"].to_numpy()[index.order])
    cards = np.unique(index.first[needed])
    last = np.maximum.reduceat(needed, np.searchsorted(index.first[needed], cards))  # rows are ordered by card
    length = last + 1 - cards
    order = np.argsort(length, kind="stable")
    predictions = {
        "fraud_probability": np.full(len(records), np.nan, np.float32),
        "alert": np.zeros(len(records), bool),
    }
    for start in range(0, len(cards), CARDS_PER_CALL):
        batch = order[start : start + CARDS_PER_CALL]
        request = build_request(
            index, cards[batch], metadata["terminal_history_length"], metadata["terminal"], length[batch]
        )
        is_real = np.arange(request["time"].shape[1]) < request["length"][:, None]
        rows = index.order[
            np.concatenate([np.arange(k, k + n) for k, n in zip(cards[batch], length[batch], strict=True)])
        ]
        outputs = predictor(request)
        for name, values in predictions.items():
            values[rows] = outputs[name][is_real]
        report_progress((start + len(batch)) / len(cards))
    return predictions
