"""The summary of a user's data that `lstm-suite check` prints before anything is trained."""

from __future__ import annotations

import pandas as pd
from pandas.api import types

from shared.data.sources import Splits

MAX_LISTED = 8  # distinct values that are listed one by one
MAX_LISTED_LENGTH = 20  # characters of a value that is listed
HEADER = ["column", "training", "validation", "test"]


def summarize_splits(splits: Splits) -> list[list[str]]:
    """Returns the rows of a table with the columns of `HEADER`: the number of records, then one row per column of the data,
    then the details of the task.

    Numbers and times are summarized by minimum and maximum, text by the count of each value or, if there are many values, by the
    number of distinct values and their lengths.

    Args:
        splits: from the `load` function of a task.
    """
    frames = [splits.train, splits.validation, splits.test]
    rows = [["records", *(f"{splits.size(name):,}" for name in ("train", "validation", "test"))]]
    for name in splits.train.columns:
        display = splits.display.get(name, lambda column: column)
        if display is None:
            continue
        columns = [display(frame[name]) if name in frame else pd.Series(dtype=object) for frame in frames]
        rows.append([str(columns[0].name), *map(_summarize, columns)])
    rows += [[title, *map(summarize, frames)] for title, summarize in splits.details.items()]
    return rows


def _summarize(column: pd.Series) -> str:
    missing = int(column.isna().sum())
    values = column.dropna()
    suffix = f"; {missing:,} missing" if missing else ""
    if not len(values):
        return f"no values{suffix}"
    if types.is_bool_dtype(values):
        return f"{int(values.sum()):,} of {len(values):,} true{suffix}"
    if types.is_numeric_dtype(values) or types.is_datetime64_any_dtype(values):
        return f"{_format_number(values.min())} to {_format_number(values.max())}{suffix}"
    return _summarize_text(values.astype(str)) + suffix


def _format_number(value: object) -> str:
    return str(value).removesuffix(" 00:00:00") if isinstance(value, pd.Timestamp) else f"{value:,.6g}"


def _summarize_text(values: pd.Series) -> str:
    counts = values.value_counts()
    lengths = values.str.len()
    if len(counts) <= MAX_LISTED and lengths.max() <= MAX_LISTED_LENGTH:
        return ", ".join(f"{value or '(empty)'} {count:,}" for value, count in counts.sort_index().items())
    empty = int((values.str.strip() == "").sum())
    summary = (
        f"{len(counts):,} distinct, median length {int(lengths.median()):,}, maximum length {int(lengths.max()):,} "
        "characters"
    )
    return summary + (f"; {empty:,} empty" if empty else "")
