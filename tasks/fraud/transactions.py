"""Transactions of a user's file for an exported model, with what is needed to score them given the past."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, cast

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.chunks import convert_rows
from shared.data.notices import add_notice
from shared.errors import DataError
from shared.task import trained_config
from tasks.fraud import data
from tasks.fraud.config import FraudConfig, field_name
from tasks.fraud.transaction_index import SECONDS_PER_DAY, UNKNOWN_LABEL

MAX_FIRST = 0.2  # fraction of the scored rows that may be the first of their card in an evaluation without a notice
HISTORY_HINT = (
    "Give the earlier transactions with --history FILE, or keep a state store with `lstm-suite state fraud update` and name it with "
    "--store."
)


@dataclass(frozen=True)
class Transactions:
    """The transactions of a file."""

    source: str
    """Name of the file, for messages."""
    rows: pd.DataFrame
    """The rows as read, with the names of the user."""
    records: pd.DataFrame | None
    """The rows that can be used, as `tasks.fraud.data.convert` returns them, with the model's names; None if there is none."""
    positions: np.ndarray
    """Position in `rows` of each record, int64."""
    errors: Mapping[int, str]
    """What is wrong with the other rows, by position in `rows`."""


def read_transactions(
    config: FraudConfig, source: str, metadata: Mapping[str, Any], skips_errors: bool = False
) -> Transactions:
    """Reads a file of transactions with or without labels.

    Raises:
        DataError: the file cannot be read, a column is missing, or a row has an invalid value and errors are not skipped.
    """
    return convert_transactions(data.read_unlabelled(config, source), config, source, metadata, skips_errors)


def convert_transactions(
    rows: pd.DataFrame, config: FraudConfig, source: str, metadata: Mapping[str, Any], skips_errors: bool = False
) -> Transactions:
    """Converts rows with the names of the user (see `read_transactions`)."""

    def convert(frame: pd.DataFrame) -> pd.DataFrame:
        converted = data.convert(frame, config, source, is_labelled=False, trained=metadata["columns"])
        return with_model_names(converted, config, metadata)

    records, positions, errors = convert_rows(rows, convert, skips_errors)
    return Transactions(source, rows, records, positions, errors)


def with_model_names(frame: pd.DataFrame, config: FraudConfig, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Returns a converted table whose further columns have the names of the training; the options name them in the same order.

    Raises:
        DataError: the options name more or fewer columns than the model has, or one of its columns at the place of another.
    """
    names: dict[str, str] = {}
    for field in ("numeric", "categorical"):
        columns, trained = getattr(config.columns, field), tuple(metadata["columns"][field])
        is_misplaced = [name != other and name in trained for name, other in zip(columns, trained, strict=False)]
        if len(columns) != len(trained) or any(is_misplaced):
            raise DataError(
                f"{option(config.columns, field)} must name the columns of the model in the same order: "
                f"{' '.join(trained) or 'none'}. Received: {' '.join(columns) or 'none'}"
            )
        names |= dict(zip(map(field_name, columns), map(field_name, trained), strict=True))
    return frame.rename(columns=names)


def join_history(
    records: pd.DataFrame, history: tuple[str, ...], config: FraudConfig, source: str, metadata: Mapping[str, Any]
) -> pd.DataFrame:
    """Returns the transactions of the history and then those to score, with the column `is_scored_row`.

    Raises:
        DataError: a file of the history cannot be used.
    """
    tables: list[pd.DataFrame] = []
    for path in history:
        earlier = _read_history(config, path, metadata)
        earlier = _without_repeated(earlier, records, path, f"are also in {source}, and score themselves there")
        for other, table in zip(history, tables, strict=False):
            earlier = _without_repeated(earlier, table, path, f"are also in {other}")
        tables.append(earlier)
    earlier = pd.concat(tables, ignore_index=True)
    _notice_useless_history(earlier, records, history, source, metadata)
    joined = pd.concat([earlier, records], ignore_index=True)
    return joined.assign(is_scored_row=np.arange(len(joined)) >= len(earlier))


def _read_history(config: FraudConfig, path: str, metadata: Mapping[str, Any]) -> pd.DataFrame:
    """Reads a file of the history, whose columns have the names of the file to score or those of the training."""
    rows = data.read_file(config, path)
    if not data.has_columns(rows, config):
        trained = cast("FraudConfig", trained_config(metadata))
        config = trained if data.has_columns(rows, trained) else config
    records = convert_transactions(
        data.without_footer(rows, config, path, is_labelled=False), config, path, metadata
    ).records
    assert records is not None
    return records


def _without_repeated(frame: pd.DataFrame, others: pd.DataFrame, path: str, where: str) -> pd.DataFrame:
    """Returns a history without the transactions that are also in another table, with a notice; they would count twice.

    Args:
        frame: transactions of a file.
        others: transactions of another file; labels do not matter.
        path: the file, for the notice.
        where: clause that says where the other transactions are.
    """
    names = [name for name in frame.columns if name != "fraud" and name in others]
    keys = pd.util.hash_pandas_object(frame[names], index=False)
    is_repeated = keys.isin(pd.util.hash_pandas_object(others[names], index=False)).to_numpy()
    if is_repeated.any():
        add_notice(
            f"{path}: {is_repeated.sum():,} of {len(frame):,} transactions {where}. They are left out of the history."
        )
    return frame[~is_repeated].reset_index(drop=True)


def notice_missing_history(records: pd.DataFrame, source: str) -> None:
    """Adds the notice that cards are scored without their earlier transactions, and what this does to the scores."""
    first = int((~records["card"].duplicated()).sum())
    add_notice(
        f"{source}: scored without the earlier transactions of the cards; {first:,} of {len(records):,} transactions count as the first "
        "of their card. Days of the simulated cards that were scored alone had 17 times as high scores in the median as with their "
        "history, and the rank correlation of the two was 0.52.",
        hint=HISTORY_HINT,
    )


def notice_short_history(frame: pd.DataFrame, is_scored: np.ndarray, config: FraudConfig, source: str) -> None:
    """Adds a notice if many of the scored rows of an evaluation are the first of their card in the file.

    Args:
        frame: converted table in time order.
        is_scored: True for the rows that are scored, bool `(rows,)`.
        config: settings.
        source: the file.
    """
    is_first = is_scored & ~frame["card"].duplicated().to_numpy()
    if config.columns.card is not None and is_first.sum() > MAX_FIRST * is_scored.sum():
        add_notice(
            f"{source}: {is_first.sum():,} of {is_scored.sum():,} scored transactions are the first of their card in the file. The model "
            "scores them without their past, so the results are worse than in use.",
            hint="Put the earlier transactions into the file, too.",
        )


def _notice_useless_history(
    earlier: pd.DataFrame, records: pd.DataFrame, history: tuple[str, ...], source: str, metadata: Mapping[str, Any]
) -> None:
    names = ", ".join(history)
    if not records["card"].isin(earlier["card"]).any():
        add_notice(
            f"{names}: no card of {source} occurs in the history.",
            hint="Check that both files write the cards in the same way.",
        )
    later = int((earlier["time"] > records["time"].max()).sum())
    if later:
        add_notice(f"{names}: {later:,} transactions are later than all of {source}; they do not change its scores.")
    delay = metadata["label_delay_days"]
    is_known = (earlier["fraud"] != UNKNOWN_LABEL) & (
        earlier["time"] <= records["time"].max() - delay * SECONDS_PER_DAY
    )
    if metadata["terminal"] and not is_known.any():
        add_notice(
            f"{names}: no label is older than the label delay of {delay:g} days, so the terminals have no labelled history.",
            hint="Give a longer history with labels.",
        )
