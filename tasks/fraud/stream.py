"""Scores transactions in time order by the signature `step`, with the states of a state store.

The memory depends on the size of a batch, not on the number of transactions, cards and terminals in the store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq

from shared.data import tables
from shared.data.notices import mute_notices
from shared.errors import DataError
from shared.progress import report_progress
from shared.state.store import Changes, StateStore
from tasks.fraud import data
from tasks.fraud.config import FraudConfig
from tasks.fraud.states import (
    CARDS,
    STATE_NAMES,
    TERMINALS,
    StepModel,
    encode_cards,
    encode_terminals,
    labels_by_terminal,
    merge_labels,
    prune_labels,
    read_cards,
    read_terminals,
    terminal_fields,
    transaction_ids,
)

ROWS_PER_BATCH = 8192
Scores = dict[str, np.ndarray]
Explain = Callable[[np.ndarray, Mapping[str, np.ndarray]], Mapping[str, np.ndarray]]
"""Function from the rows of a table and their request for `step` to further outputs of these rows."""


def score_batch(
    model: StepModel, store: StateStore, rows: pd.DataFrame, explain: Explain | None = None
) -> tuple[Scores, dict[str, dict[str, bytes]]]:
    """Scores transactions after those of a store, which stays as it is.

    Args:
        model: the model.
        store: states before these transactions.
        rows: table from `tasks.fraud.data.convert` in time order; with terminals also `id`, from `transaction_ids`.
        explain: further outputs for the rows, by their position in the table.

    Returns:
        The outputs by name, `(rows,)` each: `fraud_probability`, `alert` and those of `explain`. The new values of the store by table
        and key.
    """
    fields, values = model.fields(rows), {}
    if model.has_terminals:
        histories = read_terminals(store, rows["terminal"].unique().tolist())
        count = model.metadata["terminal_history_length"]
        fields |= terminal_fields(rows, histories, model.metadata["label_delay_days"], count)
        newest = int(rows["time"].iloc[-1])
        merged = {
            name: prune_labels(merge_labels(histories[name], labels), newest, model.delay, count)
            for name, labels in labels_by_terminal(rows).items()
        }
        values[TERMINALS] = encode_terminals(merged)
    ids, cards = pd.factorize(rows["card"])
    states = read_cards(store, cards.tolist(), model.card_dtype)
    scores = _run_steps(model, fields, ids, states, explain)
    return scores, {**values, CARDS: encode_cards(cards.tolist(), states)}


def score_in_batches(
    model: StepModel, store: StateStore, frame: pd.DataFrame, explain: Explain | None = None
) -> Iterator[tuple[Scores, dict[str, dict[str, bytes]]]]:
    """Yields the results of `score_batch` for consecutive rows of a table; the caller commits the values before the next ones.

    Args:
        model: the model.
        store: states before these transactions.
        frame: table from `tasks.fraud.data.convert` in time order.
        explain: as in `score_batch`; the positions count from the start of the table.
    """
    if model.has_terminals and "id" not in frame:
        frame = frame.assign(id=transaction_ids(frame))
    for start in range(0, len(frame), ROWS_PER_BATCH):
        rows = frame.iloc[start : start + ROWS_PER_BATCH]

        def explain_rows(positions: np.ndarray, request: Mapping[str, np.ndarray], start: int = start) -> Any:
            assert explain is not None
            return explain(start + positions, request)

        yield score_batch(model, store, rows, explain_rows if explain is not None else None)
        report_progress((start + len(rows)) / len(frame))


def score_stream(stream: Iterable[pd.DataFrame], model: StepModel, store: StateStore) -> Iterator[Scores]:
    """Yields `fraud_probability` and `alert` for each table of a stream, and commits the new states to a store.

    Args:
        stream: tables from `tasks.fraud.data.convert`; all rows must be in time order.
        model: the model.
        store: store of the states.

    Raises:
        DataError: a transaction is earlier than the one before it, or has an invalid value.
    """
    latest = 0
    for frame in stream:
        time = frame["time"].to_numpy()
        early = np.flatnonzero(np.diff(time, prepend=latest) < 0)
        if len(early):
            text = np.datetime64(int(time[early[0]]), "s")
            raise DataError(f"The transaction of {text} follows a later one. Sort the file by time before streaming.")
        latest = int(time[-1])
        for scores, values in score_in_batches(model, store, frame):
            store.commit(Changes(store.metadata(), values))
            yield scores


def stream_batches(config: FraudConfig, source: str, size: int) -> Iterator[pd.DataFrame]:
    """Yields the transactions of a Parquet file, `size` rows at a time, as tables of `tasks.fraud.data.convert`.

    Labels are optional; without them, the histories of the terminals stay empty.

    Raises:
        DataError: the file does not exist, is not a Parquet file, lacks a column, or has an invalid value.
    """
    path = Path(source).expanduser()
    try:
        file = pq.ParquetFile(path)
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: cannot be read as a stream ({reason}). Convert it to a Parquet file.") from error
    available = file.schema_arrow.names
    names = [name for name in data.required_columns(config) if name != config.columns.label or name in available]
    tables.require_columns(str(path), available, names, data.column_options(config))
    for number, part in enumerate(file.iter_batches(size, columns=names)):
        place = f"{source}, counted from row {number * size + 1}"
        with mute_notices():  # they would be repeated for each batch
            frame = data.convert(part.to_pandas(), config, place, is_labelled=False)
        yield frame


def _run_steps(
    model: StepModel, fields: Mapping[str, np.ndarray], ids: np.ndarray, states: np.ndarray, explain: Explain | None
) -> Scores:
    """Scores rows, and updates `states` in place; a second transaction of a card needs the state after its first.

    Args:
        model: the model.
        fields: inputs of `step` without the state, `(rows, …)` each.
        ids: position of the card of each row in `states`.
        states: states of the cards (see `StepModel.card_dtype`).
        explain: see `score_batch`.
    """
    occurrence = pd.Series(ids).groupby(ids).cumcount().to_numpy()
    scores: Scores = {}
    for number in range(occurrence.max() + 1):
        positions = np.flatnonzero(occurrence == number)
        cards = ids[positions]
        request = {name: value[positions] for name, value in fields.items()}
        request |= {name: states[name][cards] for name in STATE_NAMES}
        outputs = dict(model.predictors.call["step"](request))
        for name in STATE_NAMES:
            states[name][cards] = outputs.pop(name)
        if explain is not None:
            outputs |= explain(positions, request)
        for name, values in outputs.items():
            scores.setdefault(name, np.empty((len(ids), *values.shape[1:]), values.dtype))[positions] = values
    return scores
