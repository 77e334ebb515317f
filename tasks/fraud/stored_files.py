"""Which transactions a state store has: the files that it was updated with, and the newest time of each card."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.data.sources import sha256_records
from shared.errors import DataError, RowError
from shared.state.store import StateStore
from tasks.fraud.states import read_card_times
from tasks.fraud.transactions import Transactions

MAX_FILES = 1_000
"""Number of files, the newest ones, that a store remembers."""


def records_digest(frame: pd.DataFrame) -> str:
    """Returns what identifies the transactions of a file, in whatever format and order of columns they came, without their labels."""
    return sha256_records(frame[sorted(set(frame.columns) - {"fraud"})])[:16]


def require_new(store: StateStore, metadata: Mapping[str, Any], frame: pd.DataFrame, source: str) -> None:
    """Checks that a store does not have the transactions of a table yet.

    Raises:
        DataError: the store has these transactions, so their scores would count them twice.
    """
    if records_digest(frame) in metadata.get("files", {}):
        raise DataError(
            f"{source}: the store {store.place} already has these transactions. Score a file before `lstm-suite state fraud update`, "
            "or with predict --update, which scores and then updates."
        )


def find_late(transactions: Transactions, order: np.ndarray, store: StateStore) -> np.ndarray:
    """Returns True for transactions that are earlier than the newest one of their card in a store, bool `(len(order),)`.

    Args:
        transactions: the transactions of a file.
        order: their positions in the records.
        store: the store.
    """
    assert transactions.records is not None
    ids, cards = pd.factorize(transactions.records["card"].iloc[order])
    newest = read_card_times(store, cards.tolist())
    return transactions.records["time"].to_numpy()[order] < newest[ids]


def late_error(transactions: Transactions, late: np.ndarray, place: str) -> RowError:
    """Returns the error for transactions that are earlier than the newest one of their card in a store.

    Args:
        transactions: the transactions of a file.
        late: their positions in the records.
        place: the store.
    """
    assert transactions.records is not None
    cards = dict(zip(transactions.positions[late].tolist(), transactions.records["card"].iloc[late], strict=True))

    def describe(position: int) -> str:
        return (
            f'card "{cards[position]}" has a later transaction in the store {place}, and a state cannot go back. Leave out '
            "transactions that the store has with --on-error skip, or build the store again from all files with "
            "`lstm-suite state fraud update --rebuild`."
        )

    return RowError(transactions.source, np.sort(transactions.positions[late]), describe)


def add_file(known: Mapping[str, Any], digest: str, name: str, rows: int, done: int) -> dict[str, Any]:
    """Returns the entry `files` of the metadata with the progress of a file."""
    files = {key: value for key, value in known.get("files", {}).items() if key != digest}
    files[digest] = {"name": name, "rows": rows, "done": done}
    return dict(list(files.items())[-MAX_FILES:])
