"""Batches of training windows, and the logits of all rows of a transaction index.

A window holds transactions of one card; the transactions before it (burn-in) set the initial state.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from shared.data.epoch_batches import EpochBatches
from shared.data.pipelines import gather_padded, padded_indices
from tasks.fraud.config import FeaturesConfig
from tasks.fraud.model import STATISTICS, SubmodelBuilder
from tasks.fraud.submodels import CARD_OUTPUTS, Submodels
from tasks.fraud.transaction_index import TransactionIndex

SORTED_BATCHES = 8  # batches whose windows are sorted by length together, to reduce padding
CARDS_PER_CALL, STEPS_PER_CALL, ROWS_PER_CALL = 512, 64, 8192  # when a whole index is scored


class WindowBatches(EpochBatches):
    """Batches of windows, in an order that depends only on (seed, epoch).

    Each batch is `(inputs of SubmodelBuilder.training_model, labels (batch, window, 1), weights (batch, window))`. The weights of
    padding are 0, and the mean of the weights of a batch is 1.

    Args:
        index: the transactions.
        is_selected: rows that count in the loss, boolean `(rows,)`; consecutive rows of a card form windows.
        features: lengths of burn-in, window and terminal history.
        builder: builder of the model, for the size of the state and the inputs; `builder.training_model` must have been called.
        batch_size: windows per batch.
        seed: random seed of the order.
    """

    def __init__(
        self,
        index: TransactionIndex,
        is_selected: np.ndarray,
        features: FeaturesConfig,
        builder: SubmodelBuilder,
        batch_size: int,
        seed: int,
    ) -> None:
        self.index, self.features, self.builder = index, features, builder
        self.starts, self.ends = cut_windows(index.first, is_selected, features.window_length)
        self.statistics = running_statistics(index, builder.metadata["amount_scale"])

        inputs = {name: tf.TensorSpec(tensor.shape, tensor.dtype) for name, tensor in builder.training_inputs.items()}
        labels, weights = tf.TensorSpec([None, None, 1], tf.float32), tf.TensorSpec([None, None], tf.float32)
        super().__init__((inputs, labels, weights), len(self.starts), batch_size, seed, cache_evaluation=True)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the indices of all windows, int64 `(windows,)`; a batch has windows of similar length, and the batches are in random
        order."""
        rng = np.random.default_rng((seed, epoch))
        order = rng.permutation(len(self.starts))
        size, pool = self.batch_size, self.batch_size * SORTED_BATCHES
        length = self.ends - self.starts
        pools = [
            part[np.argsort(length[part], kind="stable")] for part in np.split(order, range(pool, len(order), pool))
        ]
        order = np.concatenate(pools)
        full = len(order) // size
        batches = [order[k * size : (k + 1) * size] for k in rng.permutation(full)]
        return np.concatenate([*batches, order[full * size :]])

    def evaluation_order(self) -> np.ndarray:
        """Returns the order of the first epoch."""
        return self.order(self.seed, 0)

    def collate(self, rows: np.ndarray, epoch: int) -> tuple[dict[str, np.ndarray], np.ndarray, np.ndarray]:
        """Returns inputs, labels and weights of the windows `rows` (see the class); the epoch changes nothing."""
        starts, ends, index = self.starts[rows], self.ends[rows], self.index
        burn_in = np.minimum(starts - index.first[starts], self.features.burn_in)
        begin, length = starts - burn_in, ends - starts + burn_in
        segment, _ = padded_indices(begin, length)
        window, is_real = padded_indices(starts, ends - starts)
        position = np.minimum(burn_in[:, None] + np.arange(window.shape[1]), segment.shape[1] - 1)
        values = {
            **{name: gather_padded(value, segment) for name, value in index.fields.items()},
            **index.terminal_fields(window, self.features.terminal_history_length),
            **initial_state(index, begin, self.statistics, self.builder.state_size),
            "length": length.astype(np.int32),
            "position": position.astype(np.int32),
        }
        weights = is_real.astype(np.float32) * np.float32(is_real.size / max(1, is_real.sum()))
        labels = np.where(is_real, index.fraud[np.maximum(window, 0)], 0).astype(np.float32)[..., None]
        return {name: values[name] for name in self.builder.training_inputs}, labels, weights


def cut_windows(first: np.ndarray, is_selected: np.ndarray, window_length: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns start and end of windows of at most `window_length` consecutive selected rows of one card, int64 `(windows,)` each."""
    rows = np.flatnonzero(is_selected)
    is_start = np.r_[True, (np.diff(rows) > 1) | (first[rows[1:]] != first[rows[:-1]])]
    run = np.maximum.accumulate(np.where(is_start, np.arange(len(rows)), 0))
    is_start |= (np.arange(len(rows)) - run) % window_length == 0
    starts = rows[is_start]
    counts = np.diff(np.r_[np.flatnonzero(is_start), len(rows)])
    return starts, starts + counts


def running_statistics(index: TransactionIndex, scale: float) -> np.ndarray:
    """Returns count, sum and sum of squares of the amounts of all rows before each row, float64 `(rows + 1, 3)`."""
    amount = index.fields["amount"].astype(np.float64) / scale
    values = np.stack([np.ones_like(amount), amount, amount * amount], axis=1)
    return np.concatenate([np.zeros((1, STATISTICS)), np.cumsum(values, axis=0)])


def initial_state(
    index: TransactionIndex, rows: np.ndarray, statistics: np.ndarray, size: int
) -> dict[str, np.ndarray]:
    """Returns the state before each of `rows`: `card_state` `(rows, size)` and `card_time` `(rows,)`.

    The statistics of the card are exact; the LSTM state is zero.
    """
    first = index.first[rows]
    state = np.zeros((len(rows), size), np.float32)
    state[:, :STATISTICS] = statistics[rows] - statistics[first]
    time = np.where(rows > first, index.fields["time"][np.maximum(rows - 1, 0)], 0)
    return {"card_state": state, "card_time": time}


class Components(NamedTuple):
    """What the components of the model compute for rows of an index, before they are joined."""

    hidden: np.ndarray
    """Features of the card, float32 `(rows, features)`."""
    terminal: np.ndarray | None
    """Logits of the terminal `(rows,)`; None without terminals."""
    tree_features: np.ndarray | None
    """Features of the boosted trees, float32 `(rows, features)`; None for a model without trees."""

    def take(self, rows: np.ndarray) -> Components:
        """Returns the values of the rows, in their order."""
        return Components(
            self.hidden[rows],
            None if self.terminal is None else self.terminal[rows],
            None if self.tree_features is None else self.tree_features[rows],
        )


def join_logits(submodels: Submodels, components: Components) -> np.ndarray:
    """Returns the logits of card and terminal LSTM, joined by the noisy-OR, `(rows,)`."""
    values = (components.hidden, components.terminal)
    inputs = [keras.ops.convert_to_tensor(value) for value in values if value is not None]
    return np.asarray(keras.ops.convert_to_numpy(submodels.join(inputs)))


def tree_logits(submodels: Submodels, features: np.ndarray) -> np.ndarray:
    """Returns the logits of the boosted trees `(rows,)` for features `(rows, features)`."""
    assert submodels.trees is not None
    parts = np.split(features, range(ROWS_PER_CALL, len(features), ROWS_PER_CALL))
    return np.concatenate([keras.ops.convert_to_numpy(submodels.trees(part)) for part in parts])


def compute_components(submodels: Submodels, index: TransactionIndex, is_selected: np.ndarray) -> Components:
    """Returns what the components compute for the selected rows, in the order of the index."""
    rows = np.flatnonzero(is_selected)
    card = _compute_card_outputs(submodels, index, is_selected)
    logits, features = [], []
    for start in range(0, len(rows), ROWS_PER_CALL):
        part, chunk = rows[start : start + ROWS_PER_CALL], slice(start, start + ROWS_PER_CALL)
        time, history = index.fields["time"][part], {}
        if submodels.terminal is not None:
            history = index.terminal_fields(part, submodels.terminal_history_length)
            logits.append(keras.ops.convert_to_numpy(submodels.terminal({"time": time, **history})))
        if submodels.tree_features is not None:
            values = submodels.compute_tree_features({"card_features": card["card_features"][chunk]}, time, history)
            features.append(keras.ops.convert_to_numpy(values))
    return Components(
        card["hidden"],
        np.concatenate(logits) if logits else None,
        np.concatenate(features) if features else None,
    )


def _compute_card_outputs(
    submodels: Submodels, index: TransactionIndex, is_selected: np.ndarray
) -> dict[str, np.ndarray]:
    """Returns `CARD_OUTPUTS` of the selected rows, float32 `(selected, features)` each."""
    rows = np.flatnonzero(is_selected)
    position = np.cumsum(is_selected) - 1
    result = {name: np.zeros((len(rows), submodels.card.output[name].shape[-1]), np.float32) for name in CARD_OUTPUTS}
    first = np.unique(index.first[rows])
    last = np.maximum.reduceat(rows, np.searchsorted(index.first[rows], first))  # rows are ordered by card
    length = last + 1 - first
    order = np.argsort(length, kind="stable")
    call = tf.function(submodels.card, reduce_retracing=True)
    for start in range(0, len(order), CARDS_PER_CALL):
        cards = order[start : start + CARDS_PER_CALL]
        state: dict[str, Any] = {
            "card_state": np.zeros((len(cards), submodels.state_size), np.float32),
            "card_time": np.zeros(len(cards), np.int64),
        }
        for step in range(0, int(length[cards].max()), STEPS_PER_CALL):
            count = np.clip(length[cards] - step, 0, STEPS_PER_CALL)
            segment, is_real = padded_indices(first[cards] + step, count, STEPS_PER_CALL)
            fields = {name: tf.constant(gather_padded(value, segment)) for name, value in index.fields.items()}
            outputs = call({**fields, **state, "length": tf.constant(count.astype(np.int32))})
            state = {name: outputs[name] for name in ("card_state", "card_time")}
            mask = is_real & is_selected[np.maximum(segment, 0)]
            if mask.any():
                for name, values in result.items():
                    values[position[segment[mask]]] = outputs[name].numpy()[mask]
    return result
