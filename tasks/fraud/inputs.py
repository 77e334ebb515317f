"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.config import is_default
from shared.data.columns import parse_json_lines
from shared.data.notices import add_notice
from shared.errors import DataError
from shared.state.store import StateOptions
from shared.task import Inputs, Readers, line_table
from tasks.fraud import data
from tasks.fraud.config import FraudConfig, FraudSplitConfig, PredictOptions
from tasks.fraud.split import HOUR, day_number, is_compromised, length_seconds
from tasks.fraud.spool import TransactionSpool, read_spool
from tasks.fraud.stored import build_inputs
from tasks.fraud.times import format_day
from tasks.fraud.transaction_index import UNKNOWN_LABEL
from tasks.fraud.transactions import convert_transactions, notice_short_history, read_transactions, with_model_names


def read_records(config: FraudConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a file of labelled transactions into the form of the test split; each prediction uses what was known at its time.

    Rows up to the label delay after the training days are history and are not scored, unless the file has no later row. Rows of cards
    with a known fraud are not scored either. `--split.test-from` and `--split.test-days` choose other days.

    Raises:
        DataError: the file cannot be used, or the scored rows have only one class.
    """
    frame = with_model_names(data.read(config, source, metadata["columns"]), config, metadata)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    first, last = (metadata.get(name) for name in ("trained_from", "trained_until"))
    unit = HOUR if last is not None and "T" in last else data.DAY
    delay, time = round(metadata["label_delay_days"] * data.DAY / unit), frame["time"].to_numpy() // unit
    is_scored = frame["fraud"].to_numpy() != UNKNOWN_LABEL
    if not is_default(config.split.test_days) and config.split.test_from is None:
        raise DataError(f"{source}: --split.test-days needs --split.test-from, the first day to score.")
    if config.split.test_from is not None:
        is_scored &= _chosen_days(frame["time"].to_numpy(), config.split, source, last, delay * unit)
    elif last is not None and (time > _unit_number(last) + delay).any():
        is_scored &= time > _unit_number(last) + delay
    if config.columns.card is not None:
        since = time.min() if first is None else _unit_number(first)
        is_scored &= ~is_compromised(frame, time, since, delay)
    notice_short_history(frame, is_scored, config, source)
    if frame["fraud"][is_scored].nunique() < 2:
        raise DataError(
            f"{source}: there is only one class among the {is_scored.sum():,} scored rows. The evaluation needs fraud and genuine "
            "transactions, from after the training days, of cards without a known fraud."
        )
    return frame.assign(is_scored_row=is_scored)


def _chosen_days(
    time: np.ndarray, split: FraudSplitConfig, source: str, trained_until: str | None, delay: int
) -> np.ndarray:
    """Returns the rows of the days that the options choose, bool `(rows,)`; `time` and `delay` are in seconds."""
    assert split.test_from is not None
    start = day_number(split.test_from) * data.DAY
    is_chosen = time >= start
    if not is_default(split.test_days):
        is_chosen &= time < start + length_seconds(split, "test_days")
    if not is_chosen.any():
        days = " to ".join(format_day(second // data.DAY) for second in (time.min(), time.max()))
        raise DataError(f"{source}: the days are {days}; none is chosen by --split.test-from {split.test_from}.")
    if trained_until is not None:
        unit = HOUR if "T" in trained_until else data.DAY
        if (time[is_chosen] < (_unit_number(trained_until) + 1) * unit + delay).any():
            add_notice(
                f"{source}: the model was trained on labels until {trained_until}, known {delay / data.DAY:g} days later, so the scores of "
                "days before that are too good.",
                hint="Name a later day with --split.test-from.",
            )
    return is_chosen


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


def read_state(config: FraudConfig, metadata: dict[str, Any], options: StateOptions) -> TransactionSpool:
    """Reads the transactions for the commands of `tasks.fraud.state`.

    Raises:
        DataError: the file cannot be used.
    """
    return read_spool(config, metadata, options.skips_errors)


def _unit_number(time: str) -> int:
    """Returns a day, or an hour such as 2018-07-25T13, as their number since 1970."""
    return int(np.datetime64(time).astype(np.int64))


READERS = Readers(read_inputs, read_records, parse_inputs, read_state=read_state)
