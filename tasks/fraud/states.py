"""The states of the cards and the labelled histories of the terminals, as a state store keeps them (see `shared.state`).

Table `cards`: by card, one record of `card_dtype`. Table `terminals`: by terminal, records of `LABEL_DTYPE`, oldest first. A label counts
from the label delay on, so the history of a terminal also holds younger labels: scoring leaves them out until they are old enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from shared.state.store import StateStore
from shared.streams import Predictors
from tasks.fraud.transaction_index import SECONDS_PER_DAY, UNKNOWN_LABEL, build_transaction_index

CARDS, TERMINALS = "cards", "terminals"
LABEL_DTYPE = np.dtype([("time", "<i8"), ("amount", "<f4"), ("fraud", "i1"), ("id", "<u8")])
STATE_NAMES = ("card_state", "card_time")
LATE_DELAYS = 2
"""Labels of so many label delays before the newest transaction are all kept; of earlier ones, only those that the model can read."""


@dataclass(frozen=True)
class StepModel:
    """The `step` signature of an exported fraud model, with what its client has to know."""

    predictors: Predictors
    """The signatures."""
    metadata: Mapping[str, Any]
    """Metadata of the model."""

    @property
    def delay(self) -> int:
        """Label delay in seconds."""
        return max(1, round(self.metadata["label_delay_days"] * SECONDS_PER_DAY))

    @property
    def has_terminals(self) -> bool:
        """True if the model reads terminals."""
        return bool(self.metadata["terminal"])

    @property
    def card_dtype(self) -> np.dtype:
        """Type of the state of a card: `card_state` float32 `(state size,)` and `card_time` int64."""
        size = self.predictors.zero_state(1, "card_state")["card_state"].shape[1]
        return np.dtype([("card_state", "<f4", (size,)), ("card_time", "<i8")])

    def fields(self, rows: pd.DataFrame) -> dict[str, np.ndarray]:
        """Returns the fields of transactions for `step`, each `(rows,)`."""
        names = ["time", "amount", *self.metadata["numeric"], *self.metadata["categorical"]]
        return {name: rows[name].to_numpy() for name in names}


def read_cards(store: StateStore, cards: Sequence[str], dtype: np.dtype) -> np.ndarray:
    """Returns the states of cards, structured array `(cards,)` of `StepModel.card_dtype`; zeros for a new card."""
    new = bytes(dtype.itemsize)
    return np.frombuffer(b"".join(value or new for value in store.read(CARDS, cards)), dtype).copy()


def read_card_times(store: StateStore, cards: Sequence[str]) -> np.ndarray:
    """Returns the times of the newest transactions of cards, int64 `(cards,)`; 0 for a new card. It works for states of any size."""
    values = store.read(CARDS, cards)
    return np.array([int.from_bytes(value[-8:], "little", signed=True) if value else 0 for value in values], np.int64)


def encode_cards(cards: Sequence[str], states: np.ndarray) -> dict[str, bytes]:
    """Returns the values of the table `cards` for states `(cards,)`."""
    return {card: states[k].tobytes() for k, card in enumerate(cards)}


def read_terminals(store: StateStore, terminals: Sequence[str]) -> dict[str, np.ndarray]:
    """Returns the labelled histories of terminals, each `(labels,)` of `LABEL_DTYPE`, oldest first; empty for a new terminal."""
    values = store.read(TERMINALS, terminals)
    return {name: np.frombuffer(value or b"", LABEL_DTYPE) for name, value in zip(terminals, values, strict=True)}


def encode_terminals(histories: Mapping[str, np.ndarray]) -> dict[str, bytes]:
    """Returns the values of the table `terminals`."""
    return {name: history.tobytes() for name, history in histories.items()}


def transaction_ids(frame: pd.DataFrame) -> np.ndarray:
    """Returns a number for each transaction, uint64 `(rows,)`, by which a later label finds it.

    It depends on card, terminal, time and amount; of equal transactions, the first of each table has the same number.
    """
    names = ["card", "terminal", "time", "amount"]
    occurrence = frame.groupby(names, sort=False).cumcount()
    return pd.util.hash_pandas_object(frame[names].assign(occurrence=occurrence), index=False).to_numpy(np.uint64)


def labels_by_terminal(frame: pd.DataFrame) -> dict[str, np.ndarray]:
    """Returns the labelled rows of a table by terminal, each `(labels,)` of `LABEL_DTYPE`, in the order of the table.

    Args:
        frame: columns `terminal`, `time`, `amount`, `fraud` and `id`, from `transaction_ids`.
    """
    labelled = frame[(frame["fraud"] != UNKNOWN_LABEL) & (frame["terminal"] != "")]
    records = np.empty(len(labelled), LABEL_DTYPE)
    for name in LABEL_DTYPE.names or ():
        records[name] = labelled[name].to_numpy()
    groups = labelled.groupby("terminal", sort=False).indices
    return {str(terminal): records[np.sort(rows)] for terminal, rows in groups.items()}


def merge_labels(history: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Returns a history with further labels, oldest first; a label of a transaction of the history replaces the earlier label."""
    newest = {int(label["id"]): int(label["fraud"]) for label in labels}
    merged = history.copy()
    for k in np.flatnonzero(np.isin(history["id"], labels["id"])):
        merged["fraud"][k] = newest[int(history["id"][k])]
    merged = np.concatenate([merged, labels[~np.isin(labels["id"], history["id"])]])
    return merged[np.argsort(merged["time"], kind="stable")]


def prune_labels(history: np.ndarray, newest_time: int, delay: int, count: int) -> np.ndarray:
    """Returns a history without the labels that no transaction can need that comes after `newest_time`, or up to `delay` seconds earlier.

    Args:
        history: `(labels,)` of `LABEL_DTYPE`, oldest first.
        newest_time: time of the newest transaction of the store.
        delay: label delay in seconds.
        count: number of labels that the model reads.
    """
    old = int(np.searchsorted(history["time"], newest_time - LATE_DELAYS * delay, side="right"))
    return history[max(0, old - count) :]


def terminal_fields(
    rows: pd.DataFrame, histories: Mapping[str, np.ndarray], label_delay_days: float, count: int
) -> dict[str, np.ndarray]:
    """Returns the labelled history of the terminal of each row at its time (see `TransactionIndex.terminal_fields`).

    Args:
        rows: columns `terminal`, `time`, `amount` and `fraud`; these rows are history of later ones, too.
        histories: earlier labels, from `read_terminals`.
        label_delay_days: days until a label is known.
        count: maximum number of labels, the newest ones.
    """
    earlier = np.concatenate([np.zeros(0, LABEL_DTYPE), *histories.values()])
    terminals = np.repeat(np.array(list(histories), object), [len(history) for history in histories.values()])
    columns = {name: np.concatenate([earlier[name], rows[name].to_numpy()]) for name in ("time", "amount", "fraud")}
    columns["terminal"] = np.concatenate([terminals, rows["terminal"].to_numpy(object)])
    index = build_transaction_index(pd.DataFrame({"card": "", **columns}), label_delay_days)
    position = np.empty(len(index.order), np.int64)
    position[index.order] = np.arange(len(index.order))
    return index.terminal_fields(position[len(earlier) :], count)
