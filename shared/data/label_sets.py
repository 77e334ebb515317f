"""Sets of labels: records with any number of labels, from joined text, from arrays, or from columns of 0 and 1.

A set of labels is a tuple of different labels in ascending order; () means that the record has no label.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.data.columns import raise_where
from shared.data.labels import SEPARATORS, list_labels, normalize_numbers, split_labels
from shared.data.notices import add_notice, count_noun
from shared.data.visible import quote, visible
from shared.errors import DataError, RowError

LabelSet = tuple[str, ...]
YES = ("1", "true", "t", "yes", "y", "x")
NO = ("0", "false", "f", "no", "n")
EMPTY = ("", "nan", "null", "none", "na", "n/a", "<na>")
NO_COMMA = re.compile(r"(['\"])\s+(['\"])")
"""Place between two texts of an array as NumPy writes it."""
MAX_COUNTS = 8


def is_label_sets(labels: pd.Series) -> bool:
    """Returns True if a column holds sets of labels, False if it holds one label per record."""
    return len(labels) > 0 and isinstance(labels.iloc[0], tuple)


def parse_label_sets(values: pd.Series, source: str, separator: str | None) -> pd.Series | None:
    """Converts a column to sets of labels.

    A cell is an array, text with an array such as `["a", "b"]`, or labels that `separator` joins. An empty cell, null and an empty
    array are no label. Whitespace around a label is dropped; labels that are all whole numbers lose their ".0".

    Args:
        values: column of a table.
        source: file, for error messages.
        separator: text between two labels; None if only arrays hold several labels.

    Returns:
        Object `(rows,)`, or None if each cell is one label: `separator` is None, and there are no arrays.

    Raises:
        RowError: a cell or a member of an array is neither text nor a number.
    """
    arrays = _parse_arrays(values)
    if arrays is None and separator is None:
        return None
    cells = values.astype(object).tolist() if arrays is None else arrays
    raw = [_members(cell, separator if arrays is None else None) for cell in cells]
    invalid = [not all(isinstance(one, (str, bool, int, float, np.generic)) for one in members) for members in raw]
    if any(invalid):
        problem = f'column "{values.name}" must have labels, or arrays of labels. Received: '
        raise RowError(source, np.flatnonzero(invalid), lambda row: problem + str(values.iloc[row])[:60])
    sets = [{text for one in members if (text := str(one).strip())} for members in raw]
    unique = pd.Series(sorted(set().union(*sets)), dtype=object)
    names = dict(zip(unique, normalize_numbers(unique), strict=True))
    return _series([{names[one] for one in members} for members in sets], values.index)


def parse_label_columns(frame: pd.DataFrame, source: str) -> pd.Series:
    """Converts columns of 0 and 1, one per label, to sets of the names of the columns with 1.

    True and false, yes and no, and "x" are read too. An empty cell counts as 0, with a notice.

    Args:
        frame: these columns only.
        source: file, for messages.

    Returns:
        Object `(rows,)`.

    Raises:
        RowError: a cell is neither 0 nor 1.
    """
    columns, empty = {}, 0
    for name in frame.columns:
        text = frame[name].astype(object).where(frame[name].notna(), "").astype(str).str.strip().str.casefold()
        text = text.str.removesuffix(".0")
        is_empty, is_set = text.isin(EMPTY), text.isin(YES)
        problem = "expected 0 or 1, because several columns are named: each is one label. Correct the cell, or name one column of labels"
        raise_where(~(is_empty | is_set | text.isin(NO)), frame[name], source, problem)
        columns[str(name)], empty = is_set.to_numpy(), empty + int(is_empty.sum())
        if not is_set.any():
            add_notice(f'{source}: column "{name}" has no 1, so no text has this label.')
    if empty:
        add_notice(
            f"{source}: the columns {', '.join(columns)} have {count_noun(empty, 'empty cell')}, read as 0.",
            hint="Drop their rows if their labels are unknown.",
        )
    rows = np.stack(list(columns.values()), axis=1)
    return _series([{name for name, value in zip(columns, row, strict=True) if value} for row in rows], frame.index)


def choose_separator(labels: Iterable[str], separator: str | None, source: str, separator_option: str) -> str:
    """Returns the text that joins the labels of a record in the output: `separator`, or one that occurs in no label.

    Args:
        labels: all labels.
        separator: the separator of the user, if any.
        source: file or data set, for the message.
        separator_option: command-line option of the separator, for the message.

    Raises:
        DataError: the separator occurs in a label, for example in a member of an array.
    """
    unique = sorted(set(labels))
    candidates = [separator] if separator else [*SEPARATORS]
    for candidate in candidates:
        if not any(candidate in label for label in unique):
            return candidate
    example = next(label for label in unique if candidates[0] in label)
    raise DataError(
        f"{source}: the label {quote(example)} contains {quote(candidates[0])}, so joined labels would be ambiguous. Name a text that is in no label "
        f"with {separator_option}."
    )


def notice_empty_sets(labels: pd.Series, source: str) -> None:
    """Adds a notice if records have no label; they are legal.

    Args:
        labels: sets of labels `(rows,)`.
        source: file or data set, for the notice.
    """
    is_empty = labels.map(len) == 0
    if is_empty.any():
        add_notice(
            f"{source}: {int(is_empty.sum()):,} of {len(labels):,} texts have no label. They count as texts without any of the labels.",
            hint="Drop their rows if their labels are unknown.",
        )


def summarize_labels(labels: pd.Series) -> str:
    """Returns the number of records of each label, the most frequent first; of many labels, the first ones."""
    counts = list_labels(labels).value_counts().sort_index().sort_values(ascending=False, kind="stable")
    listed = ", ".join(f"{visible(name)} {count:,}" for name, count in counts.head(MAX_COUNTS).items())
    return f"{listed} … {len(counts)} labels" if len(counts) > MAX_COUNTS else listed or "no labels"


def summarize_set_sizes(labels: pd.Series) -> str:
    """Returns the mean and the maximum number of labels of a record, and how many records have none."""
    sizes = labels.map(len)
    return f"mean {sizes.mean():.2f}, maximum {sizes.max()}, {int((sizes == 0).sum()):,} without a label"


def _parse_arrays(values: pd.Series) -> list[Any] | None:
    """Returns cells as lists, if the column has arrays or texts that are all arrays; None for any other column.

    Text without an array beside arrays is one label.
    """
    if values.dtype != object and not pd.api.types.is_string_dtype(values):
        return None
    cells = values.astype(object).tolist()
    if any(isinstance(cell, (list, tuple, set, np.ndarray)) for cell in cells):
        return cells
    texts = [cell for cell in cells if isinstance(cell, str) and cell.strip()]
    if not texts or not texts[0].strip().startswith("["):
        return None
    arrays = {text: _parse_array(text.strip()) for text in dict.fromkeys(texts)}
    if any(array is None for array in arrays.values()):
        return None
    return [arrays.get(cell, cell) if isinstance(cell, str) else cell for cell in cells]


def _parse_array(text: str) -> list[Any] | None:
    """Returns the members of an array as JSON, Python or NumPy write it; None for any other text."""
    if not (text.startswith("[") and text.endswith("]")):
        return None
    for parse in (json.loads, ast.literal_eval):
        try:
            value = parse(text if parse is json.loads else NO_COMMA.sub(r"\1, \2", text))
        except (ValueError, SyntaxError):
            continue
        return value if isinstance(value, list) else None
    return None


def _members(cell: Any, separator: str | None) -> Sequence[Any]:
    if isinstance(cell, (list, tuple, set, np.ndarray)):
        return [_scalar(one) for one in cell if one is not None]
    if pd.isna(cell):
        return []
    if isinstance(cell, str) and separator is not None:
        return split_labels(cell, separator)
    return [_scalar(cell)]


def _scalar(value: Any) -> Any:
    return int(value) if isinstance(value, float) and value.is_integer() else value


def _series(sets: Iterable[Iterable[str]], index: pd.Index) -> pd.Series:
    return pd.Series([tuple(sorted(members)) for members in sets], index=index, dtype=object)
