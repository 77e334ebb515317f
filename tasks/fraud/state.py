"""The commands `lstm-suite state fraud`: they keep the states of cards and terminals in a state store.

The transactions wait on disk, so the memory does not grow with the file. A batch of transactions is one commit, which also says how far the file was read. A command that was killed continues where it ended, and
the same transactions a second time change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.errors import DataError, SuiteError
from shared.progress import report_progress
from shared.state.store import Changes, StateOptions, StateStore, require_model
from shared.streams import VersionPredictor
from tasks.fraud import stream
from tasks.fraud.spool import POSITION, TransactionSpool
from tasks.fraud.states import (
    CARDS,
    TERMINALS,
    StepModel,
    encode_terminals,
    labels_by_terminal,
    merge_labels,
    prune_labels,
    read_terminals,
    transaction_ids,
)
from tasks.fraud.stored_files import add_file, find_late, late_error
from tasks.fraud.times import RELATIVE_LIMIT
from tasks.fraud.transaction_index import SECONDS_PER_DAY, UNKNOWN_LABEL

MAX_SHOWN_FILES = 5


def update(
    transactions: TransactionSpool,
    metadata: dict[str, Any],
    predictor: VersionPredictor,
    store: StateStore,
    options: StateOptions,
) -> dict[str, Any]:
    """Adds the transactions of a file to the states, in time order; labels become history of their terminals after the label delay.

    Returns:
        The numbers of transactions, cards and terminals, by description.

    Raises:
        SuiteError: the file cannot be used, a transaction is earlier than the newest one of its card in the store, or the store belongs
            to another model.
    """
    earlier = store.metadata()
    known = {} if options.is_rebuild else earlier
    require_model(store, known, predictor.digest)
    model = StepModel(predictor.predictors, metadata)
    digest = transactions.digest
    done = known.get("files", {}).get(digest, {}).get("done", 0)
    if done >= transactions.count:
        add_notice(f"{transactions.source}: the store already has these transactions, so nothing changed.")
        return {"transactions added": 0, **show(store)}
    is_late = np.zeros(transactions.count - done, bool)
    if not options.is_rebuild:
        is_late = _find_late(transactions, done, store, options.skips_errors)
    known = known | {"task": metadata["task"], "model": predictor.digest}
    if options.is_rebuild:
        store.commit(Changes(known, is_reset=True))
    _commit_batches(transactions, done, is_late, model, store, known)
    return {"transactions added": int((~is_late).sum()), **show(store)}


def label(
    transactions: TransactionSpool,
    metadata: dict[str, Any],
    predictor: VersionPredictor,
    store: StateStore,
    options: StateOptions,
) -> dict[str, Any]:
    """Adds the labels of a file to the labelled histories of the terminals; a label of the same transaction replaces the earlier one.

    Returns:
        The numbers of new, changed and unchanged labels, by description.

    Raises:
        SuiteError: the model reads no terminals, the file cannot be used or has no label, or the store belongs to another model.
    """
    known = store.metadata()
    require_model(store, known, predictor.digest)
    if not metadata["terminal"]:
        raise SuiteError("state: this model reads no terminals, so labels do not change its scores.")
    frame = transactions.read_all()
    if (frame["fraud"] == UNKNOWN_LABEL).all():
        raise DataError(f"{transactions.source}: no transaction has a label. Name the column with --columns.label.")
    unlabelled = int((frame["fraud"] == UNKNOWN_LABEL).sum())
    if unlabelled:
        add_notice(
            f"{transactions.source}: {unlabelled:,} of {len(frame):,} transactions have no label and were left out."
        )
    labels = labels_by_terminal(frame.assign(id=transaction_ids(frame)))
    histories = read_terminals(store, list(labels))
    delay, count = StepModel(predictor.predictors, metadata).delay, metadata["terminal_history_length"]
    newest = known.get("newest_time", int(frame["time"].max()))
    values = {name: prune_labels(merge_labels(histories[name], labels[name]), newest, delay, count) for name in labels}
    store.commit(
        Changes(known | {"task": metadata["task"], "model": predictor.digest}, {TERMINALS: encode_terminals(values)})
    )
    return _count_labels(histories, labels)


def show(store: StateStore) -> dict[str, Any]:
    """Describes the content of a store."""
    metadata = store.metadata()
    newest = metadata.get("newest_time")
    files = list(metadata.get("files", {}).values())[-MAX_SHOWN_FILES:]
    return {
        "transactions": metadata.get("transactions", 0),
        "cards": store.count(CARDS),
        "terminals with labels": store.count(TERMINALS),
        "newest transaction": None if newest is None else _time_text(newest),
        "newest files": [f"{file['name']} ({file['done']:,} of {file['rows']:,} transactions)" for file in files],
    }


def _time_text(time: int) -> str:
    if time < RELATIVE_LIMIT:
        return f"day {time / SECONDS_PER_DAY:.2f}"
    return str(np.datetime64(time, "s")).replace("T", " ")


def _find_late(transactions: TransactionSpool, done: int, store: StateStore, skips_errors: bool) -> np.ndarray:
    """Returns True for the transactions from `done` on that are earlier than the newest one of their card in the store, bool.

    Raises:
        RowError: there is one, and errors are not skipped.
    """
    masks, positions = [], []
    for frame in transactions.batches(done, stream.ROWS_PER_BATCH):
        mask = find_late(frame, store)
        late = frame[POSITION].to_numpy()[mask]
        if len(late) and not skips_errors:
            raise late_error(frame[mask], late, transactions.source, store.place)
        masks.append(mask)
        positions.append(late)
    rows = np.sort(np.concatenate(positions))
    if len(rows):
        add_notice(
            f"{transactions.source}: {len(rows):,} transactions are earlier than the newest one of their card in the store and were left "
            "out.",
            rows + 1,
        )
    return np.concatenate(masks)


def _commit_batches(
    transactions: TransactionSpool,
    done: int,
    is_late: np.ndarray,
    model: StepModel,
    store: StateStore,
    known: dict[str, Any],
) -> None:
    """Commits the states after each batch of the transactions from `done` on that are not late."""
    start, count = done, transactions.count
    same_time: pd.DataFrame | None = (
        None  # transactions of earlier batches at the newest time, which number equal transactions
    )
    for frame in transactions.batches(start, stream.ROWS_PER_BATCH):
        rows = frame[~is_late[done - start : done - start + len(frame)]]
        done += len(frame)
        values: dict[str, dict[str, bytes]] = {}
        if len(rows):
            if model.has_terminals:
                rows, same_time = _with_ids(rows, same_time)
            _, values = stream.score_batch(model, store, rows)
        known = known | {
            "files": add_file(known, transactions.digest, transactions.source, count, done),
            "newest_time": max([known.get("newest_time", 0), *rows["time"].tail(1).tolist()]),
            "transactions": known.get("transactions", 0) + len(rows),
        }
        store.commit(Changes(known, values))
        report_progress(done / count)


def _with_ids(rows: pd.DataFrame, same_time: pd.DataFrame | None) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns a batch with the column `id` (see `transaction_ids`), and all transactions at its newest time, also of earlier batches."""
    joined = rows if same_time is None else pd.concat([same_time, rows], ignore_index=True)
    ids = transaction_ids(joined)[len(joined) - len(rows) :]
    return rows.assign(id=ids), joined[joined["time"] == joined["time"].iloc[-1]]


def _count_labels(histories: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> dict[str, Any]:
    counts = {"labels added": 0, "labels changed": 0, "labels unchanged": 0}
    for name, new in labels.items():
        known = dict(zip(histories[name]["id"].tolist(), histories[name]["fraud"].tolist(), strict=True))
        for key, value in zip(new["id"].tolist(), new["fraud"].tolist(), strict=True):
            kind = "added" if key not in known else "unchanged" if known[key] == value else "changed"
            counts[f"labels {kind}"] += 1
    return counts
