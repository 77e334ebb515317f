"""The labels of the sentiment task: one label per text, or sets of labels; what is unusual in them is noticed."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import label_sets, labels
from shared.data.columns import FILL_IN, raise_where_empty
from shared.data.notices import add_notice
from shared.data.scripts import summarize_scripts
from shared.errors import DataError, RowError
from tasks.sentiment.config import SentimentConfig

MIN_TEXTS = 3  # per label on average; with fewer, a column is no label
DETAILS: dict[str, Callable[[pd.DataFrame], str]] = {
    "class balance": lambda frame: labels.summarize_balance(frame["label"]),
    "scripts": lambda frame: summarize_scripts(frame["text"]),
}
MULTILABEL_DETAILS: dict[str, Callable[[pd.DataFrame], str]] = {
    "labels": lambda frame: label_sets.summarize_labels(frame["label"]),
    "labels per text": lambda frame: label_sets.summarize_set_sizes(frame["label"]),
    "scripts": DETAILS["scripts"],
}
SEVERAL_LABELS_HINT = 'Predict each label by itself with {option} "{{separator}}".'


def is_multilabel(metadata: Mapping[str, Any]) -> bool:
    """Returns True if the metadata are those of a model that predicts any number of labels per text."""
    return "thresholds" in metadata


def convert_labels(config: SentimentConfig, values: pd.Series, source: str) -> pd.Series:
    """Returns the cells of a column as sets of labels if there is a separator or an array, otherwise as labels.

    Raises:
        RowError: a cell is no label, or is empty where each text needs a label.
    """
    sets = label_sets.parse_label_sets(values, source, config.columns.label_separator)
    if sets is not None:
        return sets
    strings = to_strings(values, source)
    is_empty = strings.str.strip() == ""
    separator = labels.find_label_separator(strings[~is_empty]) if is_empty.any() else None
    fix = (
        FILL_IN if separator is None else f'{FILL_IN} It means no label with {_separator_option(config)} "{separator}".'
    )
    raise_where_empty(is_empty, strings, source, fix)
    return labels.normalize_numbers(strings)


def _separator_option(config: SentimentConfig) -> str:
    return option(config.columns, "label_separator")


def separate_labels(
    config: SentimentConfig, frames: dict[str, pd.DataFrame]
) -> tuple[SentimentConfig, dict[str, pd.DataFrame]]:
    """Returns tables whose labels are sets, and a configuration with the separator that joins labels, if a text of any table may have
    several labels.

    Raises:
        DataError: no text has a label, or the separator occurs in a label.
    """
    columns = config.columns
    frames = {name: divide_labels(config, frame, config.data) for name, frame in frames.items()}
    sets = [frame["label"] for frame in frames.values() if label_sets.is_label_sets(frame["label"])]
    if not sets:
        return config, frames
    known = labels.list_labels(pd.concat(sets))
    if known.empty:
        raise DataError(f"{config.data}: no text has a label. Check {option(columns, 'label')}.")
    if columns.label_separator is not None and len(columns.label) == 1 and max(map(len, pd.concat(sets))) < 2:
        add_notice(
            f'{config.data}: no text has several labels: the separator "{columns.label_separator}" joins none.',
            hint=f"Check {_separator_option(config)}.",
        )
    if columns.label_separator is None and len(columns.label) == 1:
        add_notice(f"{config.data}: the labels are arrays: each label is predicted by itself.")
    separator = label_sets.choose_separator(known, columns.label_separator, config.data, _separator_option(config))
    config = dataclasses.replace(config, columns=dataclasses.replace(columns, label_separator=separator))
    return config, {name: divide_labels(config, frame, config.data) for name, frame in frames.items()}


def divide_labels(config: SentimentConfig, frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Returns a table whose labels are sets if there is a separator: it divides the column `label`, if that has text."""
    separator = config.columns.label_separator
    if separator is None or label_sets.is_label_sets(frame["label"]):
        return frame
    return frame.assign(label=label_sets.parse_label_sets(frame["label"], source, separator))


def match_labels(config: SentimentConfig, values: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Returns labels of a file as the classes of a model that they match by `--columns.label-matching`; others stay as they are."""
    matching = config.columns.label_matching
    names = {labels.match_key(name, matching): name for name in classes}

    def match(label: str) -> str:
        return names.get(labels.match_key(label, matching), label)

    return values.map(lambda cell: match(cell) if isinstance(cell, str) else tuple(sorted({*map(match, cell)})))


def check_labels(config: SentimentConfig, frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Returns tables with unified labels, after notices on what is unusual in labels and texts."""
    matching = config.columns.label_matching
    frames = labels.unify_labels(frames, matching, config.data, option(config.columns, "label_matching"))
    everything = pd.concat([frame[["text", "label"]] for frame in frames.values()], ignore_index=True)
    is_empty = everything["text"].str.strip() == ""
    if is_empty.any():
        add_notice(
            f"{config.data}: {int(is_empty.sum())} texts are empty.", hint="Drop their rows if they say nothing."
        )
    labels.require_texts(everything, config.data, option(config.columns, "text"), option(config.columns, "label"))
    labels.notice_duplicates(everything, config.data)
    if label_sets.is_label_sets(everything["label"]):
        label_sets.notice_empty_sets(everything["label"], config.data)
    names = labels.list_labels(everything["label"])
    hint = SEVERAL_LABELS_HINT.format(option=_separator_option(config))
    labels.notice_several_labels(names, config.data, hint)
    if names.nunique() <= len(everything) // MIN_TEXTS:  # otherwise the column is no label
        labels.notice_rare_labels(names, config.data)
    return frames


def to_strings(values: pd.Series, source: str) -> pd.Series:
    """Converts a column to strings; whole floating-point numbers lose their ".0".

    Raises:
        RowError: a cell is null, or has neither text nor a number.
    """
    is_missing = values.isna()
    if is_missing.any():
        problem = f'column "{values.name}" is null. Fill it in or drop the row.'
        raise RowError(source, np.flatnonzero(is_missing), lambda row: problem)
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    is_wrong = [not isinstance(value, (str, bool, int, float, np.generic)) for value in values]
    if any(is_wrong):
        problem = f'column "{values.name}" must have text. Received: '
        raise RowError(source, np.flatnonzero(is_wrong), lambda row: problem + type(values.iloc[row]).__name__)
    return values.astype(str)
