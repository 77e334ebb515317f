"""The commands `lstm-suite state fraud`: they keep the states of cards and terminals in a state store.

A batch of transactions is one commit, which also says how far the file was read. A command that was killed continues where it ended, and
the same transactions a second time change nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.data.notices import add_notice
from shared.errors import DataError, SuiteError
from shared.state.store import Changes, StateOptions, StateStore, require_model
from shared.streams import VersionPredictor
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
from tasks.fraud.stored_files import add_file, find_late, late_error, records_digest
from tasks.fraud.stream import score_in_batches
from tasks.fraud.times import RELATIVE_LIMIT
from tasks.fraud.transaction_index import SECONDS_PER_DAY, UNKNOWN_LABEL
from tasks.fraud.transactions import Transactions

MAX_SHOWN_FILES = 5


def update(
    transactions: Transactions,
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
    assert transactions.records is not None
    digest = records_digest(transactions.records)
    done = known.get("files", {}).get(digest, {}).get("done", 0)
    order = np.argsort(transactions.records["time"].to_numpy(), kind="stable")[done:]
    if not len(order):
        add_notice(f"{transactions.source}: the store already has these transactions, so nothing changed.")
        return {"transactions added": 0, **show(store)}
    if not options.is_rebuild:
        order = order[~_is_late(transactions, order, store, options.skips_errors)]
    known = known | {"task": metadata["task"], "model": predictor.digest}
    _commit_batches(transactions, order, (digest, done), model, store, known, options.is_rebuild)
    return {"transactions added": len(order), **show(store)}


def label(
    transactions: Transactions,
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
    frame = transactions.records
    assert frame is not None
    if (frame["fraud"] == UNKNOWN_LABEL).all():
        raise DataError(f"{transactions.source}: no transaction has a label. Name the column with --columns.label.")
    unlabelled = int((frame["fraud"] == UNKNOWN_LABEL).sum())
    if unlabelled:
        add_notice(
            f"{transactions.source}: {unlabelled:,} of {len(frame):,} transactions have no label and were left out."
        )
    frame = frame.iloc[np.argsort(frame["time"].to_numpy(), kind="stable")]
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


def _is_late(transactions: Transactions, order: np.ndarray, store: StateStore, skips_errors: bool) -> np.ndarray:
    is_late = find_late(transactions, order, store)
    if is_late.any():
        error = late_error(transactions, order[is_late], store.place)
        if not skips_errors:
            raise error
        add_notice(
            f"{transactions.source}: {is_late.sum():,} transactions are earlier than the newest one of their card in the store and were "
            "left out.",
            error.positions + 1,
        )
    return is_late


def _commit_batches(
    transactions: Transactions,
    order: np.ndarray,
    file: tuple[str, int],
    model: StepModel,
    store: StateStore,
    known: dict[str, Any],
    is_reset: bool,
) -> None:
    """Commits the states after each batch of the records `order`; `file` is the digest and the number of records that are done."""
    assert transactions.records is not None
    (digest, done), rows = file, len(transactions.records)
    frame = transactions.records.iloc[order]
    if is_reset or not len(
        order
    ):  # a commit without a batch: deletes the content, or says that only late transactions remained
        files = add_file(known, digest, transactions.source, rows, done if len(order) else rows)
        known = known | {"files": files}
        store.commit(Changes(known, is_reset=is_reset))
    sorted_position = np.empty(rows, np.int64)
    sorted_position[np.argsort(transactions.records["time"].to_numpy(), kind="stable")] = np.arange(rows)
    end = 0
    for scores, values in score_in_batches(model, store, frame):
        end += len(scores["alert"])
        done = rows if end == len(order) else int(sorted_position[order[end - 1]]) + 1
        known = known | {
            "files": add_file(known, digest, transactions.source, rows, done),
            "newest_time": max(known.get("newest_time", 0), int(frame["time"].iloc[end - 1])),
            "transactions": known.get("transactions", 0) + len(scores["alert"]),
        }
        store.commit(Changes(known, values))


def _count_labels(histories: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]) -> dict[str, Any]:
    counts = {"labels added": 0, "labels changed": 0, "labels unchanged": 0}
    for name, new in labels.items():
        known = dict(zip(histories[name]["id"].tolist(), histories[name]["fraud"].tolist(), strict=True))
        for key, value in zip(new["id"].tolist(), new["fraud"].tolist(), strict=True):
            kind = "added" if key not in known else "unchanged" if known[key] == value else "changed"
            counts[f"labels {kind}"] += 1
    return counts
