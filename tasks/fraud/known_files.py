"""Well-known data sets of card transactions, recognized by their columns if the user names no column."""

from __future__ import annotations

import dataclasses
import shlex
from collections.abc import Collection
from dataclasses import dataclass

from shared.config import is_default, option
from shared.data.notices import add_notice
from tasks.fraud.config import ColumnsConfig


@dataclass(frozen=True)
class KnownFile:
    """A data set and what its columns mean."""

    name: str
    columns: ColumnsConfig


KNOWN_FILES = (
    KnownFile(
        "the ULB credit card data (creditcard.csv)",
        ColumnsConfig(
            card=None,
            time=("Time",),
            time_unit="seconds",
            amount="Amount",
            label="Class",
            terminal=None,
            numeric=tuple(f"V{k}" for k in range(1, 29)),
        ),
    ),
    KnownFile(
        "PaySim",
        ColumnsConfig(
            card=("nameOrig",),
            time=("step",),
            time_unit="hours",
            amount="amount",
            label="isFraud",
            terminal=("nameDest",),
            categorical=("type",),
        ),
    ),
    KnownFile(
        "BankSim",
        ColumnsConfig(
            card=("customer",),
            time=("step",),
            time_unit="days",
            amount="amount",
            label="fraud",
            terminal=("merchant",),
            categorical=("category",),
        ),
    ),
    KnownFile(
        "TabFormer",
        ColumnsConfig(
            card=("User", "Card"),
            time=("Year", "Month", "Day", "Time"),
            amount="Amount",
            label="Is Fraud?",
            terminal=("Merchant Name",),
            categorical=("Use Chip", "MCC"),
        ),
    ),
    KnownFile(
        "IEEE-CIS (train_transaction.csv)",
        ColumnsConfig(
            card=("card1", "addr1"),
            time=("TransactionDT",),
            time_unit="seconds",
            amount="TransactionAmt",
            label="isFraud",
            terminal=None,
            categorical=("ProductCD", "card4", "card6"),
        ),
    ),
    KnownFile(
        "Sparkov (fraudTrain.csv)",
        ColumnsConfig(
            card=("cc_num",),
            time=("trans_date_trans_time",),
            amount="amt",
            label="is_fraud",
            terminal=("merchant",),
            categorical=("category",),
        ),
    ),
)
NAME_FIELDS = ("card", "terminal", "time", "amount", "label")
FURTHER_FIELDS = ("numeric", "categorical")


def column_names(columns: ColumnsConfig) -> list[str]:
    """Returns the names of all columns that the options name, in the order of the options."""
    names: list[str] = []
    for field in (*NAME_FIELDS, *FURTHER_FIELDS):
        value = getattr(columns, field)
        names += [value] if isinstance(value, str) else list(value or ())
    return names


def recognize_columns(columns: ColumnsConfig, available: Collection[str], source: str) -> ColumnsConfig:
    """Returns the columns of the known data set whose columns all are available, if the user named none and a default is missing.

    A notice says which columns stand for what, and with which options. If no data set or several ones are recognized, or the user
    named a column, the columns are returned as they are.
    """
    is_chosen = not all(is_default(getattr(columns, field)) for field in NAME_FIELDS)
    if is_chosen or columns.numeric or columns.categorical or set(column_names(columns)) <= set(available):
        return columns
    known_file = find_known_file(available)
    if known_file is None:
        return columns
    changes = {field: getattr(known_file.columns, field) for field in (*NAME_FIELDS, *FURTHER_FIELDS)}
    if columns.time_format is None and columns.time_unit is None:
        changes["time_unit"] = known_file.columns.time_unit
    result = dataclasses.replace(columns, **changes)
    meanings = [
        f"{field} {' + '.join((value,) if isinstance(value, str) else value) if value else 'none'}"
        for field in NAME_FIELDS
        for value in [getattr(result, field)]
    ]
    add_notice(
        f"{source}: the columns are those of {known_file.name}, and no column was named. They are read as: {', '.join(meanings)}.",
        hint=f"This equals {as_options(result)}",
    )
    return result


def find_known_file(available: Collection[str]) -> KnownFile | None:
    """Returns the known data set whose columns all are available; None if there is none, or more than one."""
    matches = [known for known in KNOWN_FILES if set(column_names(known.columns)) <= set(available)]
    return matches[0] if len(matches) == 1 else None


def as_options(columns: ColumnsConfig) -> str:
    """Returns columns as they are typed on the command line."""
    words: list[str] = []
    for field in ("card", "time", "time_unit", "amount", "label", "terminal", *FURTHER_FIELDS):
        value = getattr(columns, field)
        if value or field in ("card", "terminal"):
            words += [option(columns, field), *((value,) if isinstance(value, str) else value or ("None",))]
    return shlex.join(words)
