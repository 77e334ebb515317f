"""Scores a file of any length as its transactions come, with a state for each card and terminal and no more.

What is kept is the cards' memory, the newest confirmed transactions of each terminal, and those whose labels are still to
come: it grows with the cards, the terminals and the delay, not with the transactions read.
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

from shared.errors import DataError
from shared.task import Predictor
from tasks.fraud import data
from tasks.fraud.config import FraudConfig
from tasks.fraud.transaction_index import UNKNOWN

DAY = 86_400
FEWEST = 64  # cards a table of states begins with


class States:
    """What is remembered of each card and each terminal.

    Args:
        metadata: of the exported model.
        state_size: numbers in a card's memory.
    """

    def __init__(self, metadata: Mapping[str, Any], state_size: int) -> None:
        self.delay = round(metadata["delay_days"] * DAY)
        self.reports = metadata["reports"]
        self.card_state = np.zeros((FEWEST, state_size), np.float32)
        self.card_time = np.zeros(FEWEST, np.int64)
        self._cards: dict[str, int] = {}
        self._confirmed: dict[str, deque[tuple[int, float, int]]] = {}
        self._awaited: deque[tuple[int, str, float, int]] = deque()

    def cards(self, names: np.ndarray) -> np.ndarray:
        """Returns the place of each card in `card_state` and `card_time`; a card never seen gets a new one, all zeros."""
        places = np.array([self._cards.setdefault(name, len(self._cards)) for name in names])
        if len(self._cards) > len(self.card_time):
            more = max(len(self._cards), 2 * len(self.card_time)) - len(self.card_time)
            self.card_state = np.pad(self.card_state, [(0, more), (0, 0)])
            self.card_time = np.pad(self.card_time, (0, more))
        return places

    def terminal_fields(self, batch: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns what is confirmed of each transaction's terminal at its time, and puts the transactions in the queue.

        Args:
            batch: `time`, `terminal`, `amount` and `fraud` `(rows,)`, in time order.
        """
        count = len(batch["time"])
        time, amount = np.zeros((count, self.reports), np.int64), np.zeros((count, self.reports), np.float32)
        fraud = np.full((count, self.reports), UNKNOWN, np.int32)
        columns = (batch["time"].tolist(), batch["terminal"], batch["amount"].tolist(), batch["fraud"].tolist())
        for row, (now, terminal, paid, label) in enumerate(zip(*columns, strict=True)):
            self._awaited.append((now, terminal, paid, label))
            while self._awaited[0][0] <= now - self.delay:
                then, where, sum_, known = self._awaited.popleft()
                if known != UNKNOWN:
                    self._confirmed.setdefault(where, deque(maxlen=self.reports)).append((then, sum_, known))
                if not self._awaited:
                    break
            if found := self._confirmed.get(terminal):
                time[row, : len(found)], amount[row, : len(found)], fraud[row, : len(found)] = zip(*found, strict=True)
        return {"terminal_time": time, "terminal_amount": amount, "terminal_fraud": fraud}


def batches(config: FraudConfig, source: str, size: int) -> tf.data.Dataset:
    """Streams a Parquet file's transactions, `size` at once, as columns by the names of `tasks.fraud.data.tidy`.

    Labels may be missing: then nothing is confirmed of the terminal.

    Raises:
        DataError: the file is not there, or no Parquet file, or lacks a column.
    """
    path = Path(source).expanduser()
    try:
        schema = pq.ParquetFile(path).schema_arrow
    except (OSError, ValueError) as error:
        raise DataError(f"{path}: cannot be streamed ({str(error).splitlines()[0]}). Give a Parquet file.") from error
    wanted = [name for name in data.wanted(config) if name != config.columns.label or name in schema.names]
    missing = [column for column in wanted if column not in schema.names]
    if missing:
        raise DataError(f'{path}: no column "{missing[0]}". It has {", ".join(schema.names)}.')

    def columns() -> Iterator[dict[str, np.ndarray]]:
        parts = pq.ParquetFile(path).iter_batches(size, columns=wanted)
        for number, part in enumerate(parts):
            frame = data.tidy(
                part.to_pandas(), config, f"{source}, counted from row {number * size + 1}", labelled=False
            )
            yield {name: frame[name].to_numpy() for name in frame}

    first = data.tidy(schema.empty_table().to_pandas(), config, source, labelled=False)
    kinds = {
        name: tf.TensorSpec([None], tf.string if kind.kind == "O" else tf.as_dtype(kind))
        for name, kind in first.dtypes.items()
    }
    return tf.data.Dataset.from_generator(columns, output_signature=kinds).prefetch(2)


def score_stream(
    stream: tf.data.Dataset, step: Predictor, metadata: Mapping[str, Any], state_size: int
) -> Iterator[dict[str, np.ndarray]]:
    """Yields `fraud_probability` and `alert` of each batch's rows, by an exported model's `step`.

    Args:
        stream: from `batches`, in time order throughout.
        step: asks the signature.
        metadata: of the exported model.
        state_size: numbers in a card's memory.

    Raises:
        DataError: a transaction is earlier than the one before it, or holds a value that cannot be used.
    """
    states, latest = States(metadata, state_size), 0
    fields = ["time", "amount", *metadata["numeric"], *metadata["categorical"]]
    for batch in _told(stream):
        early = np.flatnonzero(np.diff(batch["time"], prepend=latest) < 0)
        if len(early):
            when = np.datetime64(int(batch["time"][early[0]]), "s")
            raise DataError(
                f"The transaction of {when} comes after a later one. Sort the file by time before streaming."
            )
        latest = int(batch["time"][-1])
        known = states.terminal_fields(batch) if metadata["terminal"] else {}
        rows = {**{name: batch[name] for name in fields}, **known}
        cards = states.cards(batch["card"])
        again = (
            pd.Series(cards).groupby(cards).cumcount().to_numpy()
        )  # a card's second in the batch needs the first's state
        answers = {"fraud_probability": np.empty(len(cards), np.float32), "alert": np.empty(len(cards), bool)}
        for turn in range(again.max() + 1):
            now = again == turn
            state = {"card_state": states.card_state[cards[now]], "card_time": states.card_time[cards[now]]}
            found = step({**{name: value[now] for name, value in rows.items()}, **state})
            states.card_state[cards[now]], states.card_time[cards[now]] = found["card_state"], found["card_time"]
            for name, values in answers.items():
                values[now] = found[name]
        yield answers


def _told(stream: tf.data.Dataset) -> Iterator[dict[str, np.ndarray]]:
    """Yields a stream's batches; a fault of the data comes out of TensorFlow as the error it went in as."""
    try:
        yield from stream.as_numpy_iterator()
    except (tf.errors.InvalidArgumentError, tf.errors.UnknownError) as error:
        if found := re.search(r"DataError: (.*)", str(error)):
            raise DataError(found[1]) from error
        raise
