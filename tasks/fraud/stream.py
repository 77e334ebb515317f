"""Scores a Parquet file of any length in time order, with one state per card and terminal.

It keeps the states of the cards, the labelled histories of the terminals, and the transactions within the label delay. Memory grows
with the number of cards and terminals and the length of the delay, not with the number of transactions.
"""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tensorflow as tf

from shared.data import tables
from shared.data.notices import mute_notices
from shared.errors import DataError
from shared.task import Predictor
from tasks.fraud import data
from tasks.fraud.config import FraudConfig
from tasks.fraud.transaction_index import UNKNOWN_LABEL

DAY = 86_400
INITIAL_CARDS = 64  # size of the first table of states


class States:
    """States of all cards and labelled histories of all terminals.

    Args:
        metadata: metadata of the exported model.
        state_size: size of the state of a card.
    """

    def __init__(self, metadata: Mapping[str, Any], state_size: int) -> None:
        self.delay = max(1, round(metadata["label_delay_days"] * DAY))
        self.history_length = metadata["terminal_history_length"]
        self.card_state = np.zeros((INITIAL_CARDS, state_size), np.float32)
        self.card_time = np.zeros(INITIAL_CARDS, np.int64)
        self._card_ids: dict[str, int] = {}
        self._histories: dict[str, deque[tuple[int, float, int]]] = {}
        self._unlabelled: deque[tuple[int, str, float, int]] = deque()

    def card_ids(self, names: np.ndarray) -> np.ndarray:
        """Returns the row of each card in `card_state` and `card_time`; a new card gets a new row of zeros."""
        ids = np.array([self._card_ids.setdefault(name, len(self._card_ids)) for name in names])
        if len(self._card_ids) > len(self.card_time):
            more = max(len(self._card_ids), 2 * len(self.card_time)) - len(self.card_time)
            self.card_state = np.pad(self.card_state, [(0, more), (0, 0)])
            self.card_time = np.pad(self.card_time, (0, more))
        return ids

    def terminal_fields(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the labelled history of each transaction's terminal, and queues the transactions until their labels are known.

        Args:
            batch: `time`, `terminal`, `amount` and `fraud` `(rows,)`, in time order.
        """
        shape = len(batch["time"]), self.history_length
        time, amount = np.zeros(shape, np.int64), np.zeros(shape, np.float32)
        fraud = np.full(shape, UNKNOWN_LABEL, np.int32)
        columns = (batch["time"].tolist(), batch["terminal"], batch["amount"].tolist(), batch["fraud"].tolist())
        for row, (now, terminal, value, label) in enumerate(zip(*columns, strict=True)):
            self._unlabelled.append((now, terminal, value, label))
            self._release_labels(now)
            if history := self._histories.get(terminal):
                size = len(history)
                time[row, :size], amount[row, :size], fraud[row, :size] = zip(*history, strict=True)
        return {"terminal_time": time, "terminal_amount": amount, "terminal_fraud": fraud}

    def _release_labels(self, now: int) -> None:
        """Moves transactions that are older than the label delay into the histories of their terminals."""
        while self._unlabelled and self._unlabelled[0][0] <= now - self.delay:
            time, terminal, amount, label = self._unlabelled.popleft()
            if label != UNKNOWN_LABEL and terminal != "" and terminal != b"":
                history = self._histories.setdefault(terminal, deque(maxlen=self.history_length))
                history.append((time, amount, label))


def stream_batches(config: FraudConfig, source: str, size: int) -> tf.data.Dataset:
    """Streams the transactions of a Parquet file, `size` rows at a time, with the columns of `tasks.fraud.data.convert`.

    Labels are optional; without them, the histories of the terminals stay empty.

    Raises:
        DataError: the file does not exist, is not a Parquet file, or lacks a column.
    """
    path = Path(source).expanduser()
    try:
        schema = pq.ParquetFile(path).schema_arrow
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as a stream ({reason}). Convert it to a Parquet file.") from error
    label = config.columns.label
    names = [name for name in data.required_columns(config) if name != label or name in schema.names]
    tables.require_columns(str(path), schema.names, names, data.column_options(config))

    def read_batches() -> Iterator[dict[str, np.ndarray]]:
        for number, part in enumerate(pq.ParquetFile(path).iter_batches(size, columns=names)):
            place = f"{source}, counted from row {number * size + 1}"
            with mute_notices():  # they would be repeated for each batch
                frame = data.convert(part.to_pandas(), config, place, is_labelled=False)
            yield {name: frame[name].to_numpy() for name in frame}

    empty = data.convert(schema.empty_table().to_pandas(), config, source, is_labelled=False)
    specs = {
        name: tf.TensorSpec([None], tf.string if dtype.kind == "O" else tf.as_dtype(dtype))
        for name, dtype in empty.dtypes.items()
    }
    return tf.data.Dataset.from_generator(read_batches, output_signature=specs).prefetch(2)


def score_stream(
    stream: tf.data.Dataset, step: Predictor, metadata: Mapping[str, Any], state_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yields `fraud_probability` and `alert` for the rows of each batch, from the `step` signature of an exported model.

    Args:
        stream: from `stream_batches`; all rows must be in time order.
        step: function that calls the signature.
        metadata: metadata of the exported model.
        state_size: size of the state of a card.

    Raises:
        DataError: a transaction is earlier than the one before it, or has an invalid value.
    """
    states, latest = States(metadata, state_size), 0
    fields = ["time", "amount", *metadata["numeric"], *metadata["categorical"]]
    for batch in _iterate_batches(stream):
        early = np.flatnonzero(np.diff(batch["time"], prepend=latest) < 0)
        if len(early):
            time = np.datetime64(int(batch["time"][early[0]]), "s")
            raise DataError(f"The transaction of {time} follows a later one. Sort the file by time before streaming.")
        latest = int(batch["time"][-1])
        history = states.terminal_fields(batch) if metadata["terminal"] else {}
        rows = {**{name: batch[name] for name in fields}, **history}
        yield _score_batch(rows, states.card_ids(batch["card"]), states, step)


def _score_batch(
    rows: Mapping[str, np.ndarray], cards: np.ndarray, states: States, step: Predictor
) -> dict[str, np.ndarray]:
    """Scores the rows of a batch; a second transaction of a card in the batch needs the state after its first."""
    occurrence = pd.Series(cards).groupby(cards).cumcount().to_numpy()
    scores = {"fraud_probability": np.empty(len(cards), np.float32), "alert": np.empty(len(cards), bool)}
    for number in range(occurrence.max() + 1):
        mask = occurrence == number
        ids = cards[mask]
        state = {"card_state": states.card_state[ids], "card_time": states.card_time[ids]}
        outputs = step({**{name: value[mask] for name, value in rows.items()}, **state})
        states.card_state[ids], states.card_time[ids] = outputs["card_state"], outputs["card_time"]
        for name, values in scores.items():
            values[mask] = outputs[name]
    return scores


def _iterate_batches(stream: tf.data.Dataset) -> Iterator[dict[str, np.ndarray]]:
    """Yields the batches of a stream; a `DataError` that TensorFlow has wrapped is raised as itself."""
    try:
        yield from stream.as_numpy_iterator()
    except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        if match := re.search(r"DataError: (.*)", str(error)):
            raise DataError(match[1]) from error
        raise
