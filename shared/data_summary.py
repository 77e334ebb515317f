"""What was understood of a user's data, before anything is trained."""

from __future__ import annotations

import pandas as pd
from pandas.api import types

from shared.sources import Splits

FEW = 8  # different values that are told one by one
LONG = 20  # characters of a value that is told
HEADER = ["column", "training", "validation", "test"]


def summarize_splits(splits: Splits) -> list[list[str]]:
    """Returns a line for each column, as `HEADER` says, the first of the records themselves.

    Numbers and times are told by the least and the greatest, texts by how many there are of each where they are few, and else
    by how many differ and how long they are.

    Args:
        splits: from a task's `load`.
    """
    parts = [splits.train, splits.validation, splits.test]
    rows = [["records", *(f"{splits.size(name):,}" for name in ("train", "validation", "test"))]]
    for name in splits.train.columns:
        show = splits.display.get(name, lambda column: column)
        if show is None:
            continue
        columns = [show(part[name]) if name in part else pd.Series(dtype=object) for part in parts]
        rows.append([str(columns[0].name), *map(_told, columns)])
    return rows


def _told(column: pd.Series) -> str:
    missing = int(column.isna().sum())
    left = column.dropna()
    gaps = f"; {missing:,} missing" if missing else ""
    if not len(left):
        return f"nothing{gaps}"
    if types.is_bool_dtype(left):
        return f"{int(left.sum()):,} of {len(left):,} true{gaps}"
    if types.is_numeric_dtype(left) or types.is_datetime64_any_dtype(left):
        return f"{_number(left.min())} to {_number(left.max())}{gaps}"
    return _text(left.astype(str)) + gaps


def _number(value: object) -> str:
    return str(value).removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else f"{value:,.6g}"


def _text(values: pd.Series) -> str:
    counts = values.value_counts()
    lengths = values.str.len()
    if len(counts) <= FEW and lengths.max() <= LONG:
        return ", ".join(f"{value or '(empty)'} {count:,}" for value, count in counts.sort_index().items())
    empty = int((values.str.strip() == "").sum())
    told = (
        f"{len(counts):,} different, {int(lengths.median()):,} characters in the middle, {int(lengths.max()):,} at most"
    )
    return told + (f"; {empty:,} empty" if empty else "")
