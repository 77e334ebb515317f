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


def find_late(records: pd.DataFrame, store: StateStore) -> np.ndarray:
    """Returns True for transactions that are earlier than the newest one of their card in a store, bool `(rows,)`."""
    ids, cards = pd.factorize(records["card"])
    newest = read_card_times(store, cards.tolist())
    return records["time"].to_numpy() < newest[ids]


def late_error(late: pd.DataFrame, positions: np.ndarray, source: str, place: str) -> RowError:
    """Returns the error for transactions that are earlier than the newest one of their card in a store.

    Args:
        late: the transactions.
        positions: their positions in the file.
        source: the file.
        place: the store.
    """
    cards = dict(zip(positions.tolist(), late["card"], strict=True))

    def describe(position: int) -> str:
        return (
            f'card "{cards[position]}" has a later transaction in the store {place}, and a state cannot go back. Leave out '
            "transactions that the store has with --on-error skip, or build the store again from all files with "
            "`lstm-suite state fraud update --rebuild`."
        )

    return RowError(source, np.sort(positions), describe)


def add_file(known: Mapping[str, Any], digest: str, name: str, rows: int, done: int) -> dict[str, Any]:
    """Returns the entry `files` of the metadata with the progress of a file."""
    files = {key: value for key, value in known.get("files", {}).items() if key != digest}
    files[digest] = {"name": name, "rows": rows, "done": done}
    return dict(list(files.items())[-MAX_FILES:])
