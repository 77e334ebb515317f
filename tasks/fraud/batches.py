"""Training examples: windows of a card's transactions, each with the stretch before it that sets the card's state."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.pipelines import gather_padded, padded_indices, repeat_epochs, with_cardinality
from tasks.fraud.config import MemoryConfig
from tasks.fraud.model import STATISTICS, SubmodelBuilder, Submodels
from tasks.fraud.transaction_index import TransactionIndex

ALIKE = 8  # batches of windows that are put in order of length together, so that little is padding
CARDS, STEPS, ROWS = 512, 64, 8192  # of one call when a whole ledger is scored


class WindowBatches:
    """Batches of windows, in an order that hangs on (seed, epoch) alone.

    Each is `(inputs of SubmodelBuilder.trainer, labels (batch, window, 1), weights (batch, window))`; weights of padding are 0, and
    their mean over a batch is 1.

    Args:
        ledger: the transactions.
        chosen: which rows to score, boolean `(rows,)`; of a card, rows next to each other.
        memory: lengths of history and window.
        views: knows what a card's state looks like.
        batch_size: windows in a batch.
        seed: with the epoch, decides the order.
    """

    def __init__(
        self, ledger: TransactionIndex, chosen: np.ndarray, memory: MemoryConfig, views: SubmodelBuilder, batch_size: int, seed: int
    ) -> None:
        self.ledger, self.memory, self.views = ledger, memory, views
        self.batch_size, self.seed = batch_size, seed
        self.starts, self.ends = cut_windows(ledger.first, chosen, memory.window)
        self.statistics = running_statistics(ledger, views.metadata["amount_scale"])

    @property
    def steps(self) -> int:
        """Batches in one epoch, the same in every epoch."""
        return -(-len(self.starts) // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then of the next, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns all batches once, for validation."""
        return with_cardinality(self._epoch(tf.constant(0, tf.int64)).cache(), self.steps)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.numpy_function(self._shuffled, [epoch], tf.int64)
        batches = tf.data.Dataset.range(self.steps).map(
            lambda k: order[k * self.batch_size : (k + 1) * self.batch_size]
        )
        return batches.map(self._tensors, num_parallel_calls=tf.data.AUTOTUNE)

    def _shuffled(self, epoch: int) -> np.ndarray:
        """Returns all windows, those of like length in one batch, batches in random order."""
        rng = np.random.default_rng((self.seed, int(epoch)))
        order = rng.permutation(len(self.starts))
        size, together = self.batch_size, self.batch_size * ALIKE
        length = self.ends - self.starts
        parts = [
            part[np.argsort(length[part], kind="stable")]
            for part in np.split(order, range(together, len(order), together))
        ]
        order = np.concatenate(parts)
        whole = len(order) // size
        batches = [order[k * size : (k + 1) * size] for k in rng.permutation(whole)]
        return np.concatenate([*batches, order[whole * size :]])

    def _tensors(self, windows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor, tf.Tensor]:
        inputs = self.views.trainer_inputs
        names = sorted(inputs)
        flat = tf.numpy_function(
            lambda chosen: self._batch(chosen, names),
            [windows],
            [*(tf.as_dtype(inputs[name].dtype) for name in names), tf.float32, tf.float32],
        )
        tensors = {name: tf.ensure_shape(value, inputs[name].shape) for name, value in zip(names, flat, strict=False)}
        return tensors, tf.ensure_shape(flat[-2], [None, None, 1]), tf.ensure_shape(flat[-1], [None, None])

    def _batch(self, windows: np.ndarray, names: list[str]) -> list[np.ndarray]:
        starts, ends, ledger = self.starts[windows], self.ends[windows], self.ledger
        before = np.minimum(starts - ledger.first[starts], self.memory.history)
        begin, length = starts - before, ends - starts + before
        stretch, _ = padded_indices(begin, length)
        window, real = padded_indices(starts, ends - starts)
        position = np.minimum(before[:, None] + np.arange(window.shape[1]), stretch.shape[1] - 1)
        values = {
            **{name: gather_padded(value, stretch) for name, value in ledger.fields.items()},
            **ledger.terminal_fields(window, self.memory.reports),
            **card_state(ledger, begin, self.statistics, self.views.state_size),
            "length": length.astype(np.int32),
            "position": position.astype(np.int32),
        }
        weights = real.astype(np.float32) * np.float32(real.size / max(1, real.sum()))
        labels = np.where(real, ledger.fraud[np.maximum(window, 0)], 0).astype(np.float32)[..., None]
        return [*(values[name] for name in names), labels, weights]


def cut_windows(first: np.ndarray, chosen: np.ndarray, longest: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns where windows of at most `longest` chosen rows of one card begin and end, each int64 `(windows,)`."""
    rows = np.flatnonzero(chosen)
    new = np.r_[True, (np.diff(rows) > 1) | (first[rows[1:]] != first[rows[:-1]])]
    run = np.maximum.accumulate(np.where(new, np.arange(len(rows)), 0))
    new |= (np.arange(len(rows)) - run) % longest == 0
    starts = rows[new]
    counts = np.diff(np.r_[np.flatnonzero(new), len(rows)])
    return starts, starts + counts


def running_statistics(ledger: TransactionIndex, scale: float) -> np.ndarray:
    """Returns number, sum and sum of squares of the amounts of all rows before each, float64 `(rows + 1, 3)`."""
    amount = ledger.fields["amount"].astype(np.float64) / scale
    values = np.stack([np.ones_like(amount), amount, amount * amount], axis=1)
    return np.concatenate([np.zeros((1, STATISTICS)), np.cumsum(values, axis=0)])


def card_state(ledger: TransactionIndex, rows: np.ndarray, statistics: np.ndarray, size: int) -> dict[str, np.ndarray]:
    """Returns the state before each of `rows` but for the LSTM's, which starts at zero: `card_state` and `card_time`."""
    first = ledger.first[rows]
    memory = np.zeros((len(rows), size), np.float32)
    memory[:, :STATISTICS] = statistics[rows] - statistics[first]
    time = np.where(rows > first, ledger.fields["time"][np.maximum(rows - 1, 0)], 0)
    return {"card_state": memory, "card_time": time}


def score(parts: Submodels, ledger: TransactionIndex, chosen: np.ndarray) -> np.ndarray:
    """Returns the logits of the chosen rows, in the ledger's order, each card's state carried from its first row.

    Args:
        parts: trained.
        ledger: the transactions.
        chosen: boolean `(rows,)`.
    """
    return joined(parts, *views_of(parts, ledger, chosen))


def joined(parts: Submodels, hidden: np.ndarray, terminal: np.ndarray | None) -> np.ndarray:
    """Returns the logits `(rows,)` of what `views_of` returned."""
    flat = [keras.ops.convert_to_tensor(value) for value in (hidden, terminal) if value is not None]
    return np.asarray(keras.ops.convert_to_numpy(parts.join(flat)))


def views_of(parts: Submodels, ledger: TransactionIndex, chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """Returns what the views make of the chosen rows: `hidden` `(rows, features)` and the terminal's logits `(rows,)`."""
    hidden = _hidden(parts, ledger, chosen)
    if parts.terminal is None:
        return hidden, None
    rows, logits = np.flatnonzero(chosen), []
    for start in range(0, len(rows), ROWS):
        part = rows[start : start + ROWS]
        reports = ledger.terminal_fields(part, parts.reports)
        logits.append(keras.ops.convert_to_numpy(parts.terminal({"time": ledger.fields["time"][part], **reports})))
    return hidden, np.concatenate(logits)


def _hidden(parts: Submodels, ledger: TransactionIndex, chosen: np.ndarray) -> np.ndarray:
    """Returns what the card's view makes of the chosen rows, float32 `(chosen, features)`."""
    rows = np.flatnonzero(chosen)
    place = np.cumsum(chosen) - 1
    found = np.zeros((len(rows), parts.card.output["hidden"].shape[-1]), np.float32)
    first = np.unique(ledger.first[rows])
    last = np.maximum.reduceat(rows, np.searchsorted(ledger.first[rows], first))  # rows run card by card
    length = last + 1 - first
    order = np.argsort(length, kind="stable")
    call = tf.function(parts.card, reduce_retracing=True)
    for start in range(0, len(order), CARDS):
        cards = order[start : start + CARDS]
        state: dict[str, Any] = {
            "card_state": np.zeros((len(cards), parts.state_size), np.float32),
            "card_time": np.zeros(len(cards), np.int64),
        }
        for step in range(0, int(length[cards].max()), STEPS):
            left = np.clip(length[cards] - step, 0, STEPS)
            stretch, real = padded_indices(first[cards] + step, left, STEPS)
            fields = {name: tf.constant(gather_padded(value, stretch)) for name, value in ledger.fields.items()}
            answer = call({**fields, **state, "length": tf.constant(left.astype(np.int32))})
            state = {name: answer[name] for name in ("card_state", "card_time")}
            wanted = real & chosen[np.maximum(stretch, 0)]
            if wanted.any():
                found[place[stretch[wanted]]] = answer["hidden"].numpy()[wanted]
    return found
