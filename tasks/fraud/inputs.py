"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.data.columns import parse_json_lines
from shared.errors import DataError
from shared.state.store import StateOptions
from shared.task import Inputs, Readers, line_table
from tasks.fraud import data
from tasks.fraud.config import FraudConfig, PredictOptions
from tasks.fraud.split import is_compromised
from tasks.fraud.stored import build_inputs
from tasks.fraud.transaction_index import UNKNOWN_LABEL
from tasks.fraud.transactions import Transactions, convert_transactions, read_transactions, with_model_names


def read_records(config: FraudConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a file of labelled transactions into the form of the test split; each prediction uses what was known at its time.

    Rows up to the label delay after the training days are history and are not scored, unless the file has no later row. Rows of cards
    with a known fraud are not scored either.

    Raises:
        DataError: the file cannot be used, or the scored rows have only one class.
    """
    frame = with_model_names(data.read(config, source, metadata["columns"]), config, metadata)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    delay, day = metadata["label_delay_days"], frame["time"].to_numpy() // data.DAY
    first_training_day, last_training_day = (
        _day_number(metadata.get(name)) for name in ("trained_from", "trained_until")
    )
    is_scored = frame["fraud"].to_numpy() != UNKNOWN_LABEL
    if last_training_day is not None and (day > last_training_day + delay).any():
        is_scored &= day > last_training_day + delay
    if config.columns.card is not None:
        since = day.min() if first_training_day is None else first_training_day
        is_scored &= ~is_compromised(frame, day, since, delay)
    if frame["fraud"][is_scored].nunique() < 2:
        raise DataError(
            f"{source}: there is only one class among the {is_scored.sum():,} scored rows. The evaluation needs fraud and genuine "
            "transactions, from after the training days, of cards without a known fraud."
        )
    return frame.assign(is_scored_row=is_scored)


def read_inputs(
    config: FraudConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the transactions of a file for `predict`; they are read together, so that the rows of one card are its history.

    A label is optional; a known one becomes part of the history of its terminal after the label delay.

    Raises:
        DataError: the file cannot be read, a column is missing, or a row has an invalid value.
    """
    transactions = read_transactions(config, source, metadata, options.skips_errors)
    yield build_inputs(transactions, transactions.rows, config, metadata, options)


def parse_inputs(
    config: FraudConfig, lines: Sequence[str], metadata: dict[str, Any], options: PredictOptions
) -> Inputs:
    """Converts lines, each a JSON object with the columns of one transaction, like the rows of a file (see `read_inputs`).

    Raises:
        DataError: a line is not a JSON object, lacks a column, or has an invalid value.
    """
    columns = [column for column in data.required_columns(config) if column != config.columns.label]
    rows = parse_json_lines(lines, columns)
    transactions = convert_transactions(rows, config, "input", metadata, options.skips_errors)
    return build_inputs(transactions, line_table(lines), config, metadata, options)


def read_state(config: FraudConfig, metadata: dict[str, Any], options: StateOptions) -> Transactions:
    """Reads the transactions for the commands of `tasks.fraud.state`.

    Raises:
        DataError: the file cannot be used.
    """
    transactions = read_transactions(config, config.data, metadata, options.skips_errors)
    if transactions.records is None:
        raise DataError(f"{config.data}: none of the {len(transactions.rows):,} transactions can be used.")
    return transactions


def _day_number(date: str | None) -> int | None:
    return None if date is None else int(np.datetime64(date, "D").astype(np.int64))


READERS = Readers(read_inputs, read_records, parse_inputs, read_state=read_state)
