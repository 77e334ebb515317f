"""Reads card transactions from any source into the columns of the model, and divides them into training, validation and test split."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import tables
from shared.data.columns import parse_numbers
from shared.data.notices import add_notice
from shared.data.sources import Origin, Splits, load_source, sha256_records
from shared.data.tfds import read_tfds
from shared.errors import DataError
from tasks.fraud import checks, sample
from tasks.fraud.cells import check_labels, parse_categories, parse_keys, parse_labels
from tasks.fraud.config import ColumnsConfig, FraudConfig
from tasks.fraud.file_shapes import drop_footer, read_flat
from tasks.fraud.fit_split import fit_split, require_both_classes
from tasks.fraud.known_files import as_options, column_names, find_known_file, recognize_columns
from tasks.fraud.split import describe_split, find_bounds, split_spans
from tasks.fraud.times import DAY, RELATIVE_LIMIT, find_relative_unit, find_time_format, parse_times
from tasks.fraud.transaction_index import UNKNOWN_LABEL

OPENML = "openml:"
COUNTED_ROWS = {  # split: table and column of the rows that `lstm-suite check` counts
    "train": ("validation", "is_training_row"),  # the exported model trains on rows of the validation table
    "validation": ("validation", "is_scored_row"),
    "test": ("test", "is_scored_row"),
}
SAMPLE_SEED = 5
SINGLE_CARD = "all"
DescribeOrigin = Callable[[pd.DataFrame], Origin]
"""Function from the converted table to the description of its source."""


def load(config: FraudConfig) -> Splits:
    """Reads the transactions and divides their days.

    Returns:
        Splits whose tables hold all rows from the start of the data to the end of the split, in time order, because the state of a
        card depends on earlier days. Columns: `card`, `terminal` (if there is one; "" where a row has none), `time` (int64 seconds
        since 1970 or since day 0), `amount`, further columns, `fraud` (1, 0, or -1 without a label), and two booleans,
        `is_training_row` and `is_scored_row`, which rows without a label never have. The training table has the rows of a first
        training. The validation table has the rows that evaluate it, and the rows that train the exported model. The test table
        has the rows that evaluate the exported model. `config` holds the columns, lengths and alerts that were fitted to the data.

    Raises:
        DataError: a file cannot be used, a value is missing or has the wrong type, a column equals the label, the data cover too few
            days, or a span has no fraud or only fraud.
    """
    raw, describe_origin = load_source(
        config,
        sample=lambda: (sample.generate(sample.SAMPLE, SAMPLE_SEED), _sample_origin),
        files=lambda: (read_file(config, config.data), lambda frame: Origin.of_files([config.data])),
        tfds=lambda: _read_tfds(config),
        named={OPENML: lambda name: (_download_openml(name), _openml_origin(name, config.data))},
    )
    columns = recognize_columns(config.columns, list(raw.columns), config.data)
    config = dataclasses.replace(config, columns=columns)
    raw = without_footer(raw, config, config.data)
    if len(columns.time) == 1 and columns.time_unit is None:
        unit: Any = find_relative_unit(raw[columns.time[0]], config.data, columns.time_format)
        columns = dataclasses.replace(columns, time_unit=unit)
    columns = dataclasses.replace(columns, time_format=find_time_format(raw, columns, config.data))
    config = dataclasses.replace(config, columns=columns)
    frame = _convert_labelled(raw, config, config.data)
    if "terminal" in frame and (frame["terminal"] == "").all():
        frame = frame.drop(columns="terminal")
        config = dataclasses.replace(config, columns=dataclasses.replace(columns, terminal=None))
    origin = describe_origin(frame)
    checks.raise_for_leaks(frame, columns, config.data)
    checks.notice_duplicates(frame, config.data)
    return _split(frame.sort_values("time", kind="stable", ignore_index=True), config, origin)


def read(config: FraudConfig, source: str, trained: Mapping[str, Any] | None = None) -> pd.DataFrame:
    """Reads one labelled file into the columns that `load` describes, in the order of the file.

    Times without a time zone are UTC. Identifiers are compared as text, so that 12 in one file equals "12" in another. Rows of one
    card in the same second keep the order of the file. Negative amounts are refunds.

    Args:
        config: settings.
        source: path of the file.
        trained: columns that a model remembers, in its metadata; their format of the time is used if it fits.

    Raises:
        DataError: as in `load`.
    """
    raw = without_footer(read_file(config, source), config, source)
    return _convert_labelled(raw, config, source, trained)


def read_unlabelled(config: FraudConfig, source: str) -> pd.DataFrame:
    """Reads all columns of one file with or without labels, under their names in the file.

    Raises:
        DataError: the file cannot be read, or a column is missing.
    """
    return without_footer(read_file(config, source), config, source, is_labelled=False)


def read_file(config: FraudConfig, source: str) -> pd.DataFrame:
    """Reads all columns of one file as they are, without the lines above its header.

    Raises:
        DataError: the file cannot be read.
    """
    return read_flat(source, headerless=all(name.isdigit() for name in required_columns(config)))


def has_columns(raw: pd.DataFrame, config: FraudConfig) -> bool:
    """Returns True if a table has all columns that the configuration names; the label may be missing."""
    return set(column_names(config.columns)) - {config.columns.label} <= set(raw.columns)


def without_footer(raw: pd.DataFrame, config: FraudConfig, source: str, is_labelled: bool = True) -> pd.DataFrame:
    """Returns a table without the rows at its end that are no transactions (see `drop_footer`).

    Raises:
        DataError: a column is missing; with `is_labelled` False, the label may be.
    """
    return drop_footer(raw, _require_columns(raw, config.columns, source, is_labelled), source)


def convert(
    frame: pd.DataFrame,
    config: FraudConfig,
    source: str,
    is_labelled: bool = True,
    trained: Mapping[str, Any] | None = None,
    decimal_mark: str | None = None,
) -> pd.DataFrame:
    """Converts the user's columns to the names and types that `load` describes; a label that is empty or unknown is -1.

    With `is_labelled` False, the whole column of the label may be missing. `trained` is as in `read`; `decimal_mark` as in
    `shared.data.columns.parse_numbers`.

    Raises:
        DataError: a value is missing or has the wrong type.
    """
    columns = config.columns
    result = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    result["card"] = SINGLE_CARD if columns.card is None else parse_keys(frame, columns.card, source)
    if columns.terminal is not None:
        result["terminal"] = parse_keys(frame, columns.terminal, source, allow_empty=True)
    remembered = None if trained is None else trained.get("time_format")
    time_format = None if columns.time_format == remembered else columns.time_format  # the user named another one
    result["time"] = parse_times(frame, columns.time, source, time_format, columns.time_unit, remembered)
    result["amount"] = parse_numbers(frame[columns.amount], source, False, decimal_mark).astype(np.float32)
    for name, field in zip(columns.numeric, columns.numeric_fields, strict=True):
        result[field] = parse_numbers(frame[name], source, True, decimal_mark).astype(np.float32)
    for name, field in zip(columns.categorical, columns.categorical_fields, strict=True):
        result[field] = parse_categories(frame[name], source)
    if is_labelled or columns.label in frame:
        result["fraud"] = parse_labels(frame[columns.label], source, columns.positive_label, columns.unlabelled)
    else:
        result["fraud"] = np.full(len(frame), UNKNOWN_LABEL, np.int8)
    return result


def required_columns(config: FraudConfig) -> list[str]:
    """Returns the names of the columns that a labelled table must have."""
    return column_names(config.columns)


def column_options(config: FraudConfig) -> dict[str, str]:
    """Returns the option that sets each column, by the name of the column."""
    options: dict[str, str] = {}
    for name in ("card", "terminal", "time", "amount", "label", "numeric", "categorical"):
        value = getattr(config.columns, name)
        names = (value,) if isinstance(value, str) else value or ()
        options |= dict.fromkeys(names, option(config.columns, name))
    return options


def _convert_labelled(
    raw: pd.DataFrame, config: FraudConfig, source: str, trained: Mapping[str, Any] | None = None
) -> pd.DataFrame:
    """Converts a whole labelled table, and checks what only a whole table shows."""
    frame, columns = convert(raw, config, source, trained=trained), config.columns
    check_labels(frame["fraud"].to_numpy(), raw[columns.label], source, columns.positive_label)
    if columns.terminal is not None:
        is_empty = (frame["terminal"] == "").to_numpy()
        if is_empty.all():
            name = " ".join(columns.terminal)
            add_notice(f"{source}: no row has a terminal ({name}), so the model reads none.")
        elif is_empty.any():
            add_notice(
                f"{source}: {is_empty.sum():,} of {len(frame):,} rows have no terminal ({' '.join(columns.terminal)}). Their "
                "terminal history is empty, and they are part of no terminal history.",
                np.flatnonzero(is_empty) + 1,
            )
    return frame


def _require_columns(raw: pd.DataFrame, columns: ColumnsConfig, source: str, is_labelled: bool) -> list[str]:
    """Returns the names of the columns that a table must have.

    Raises:
        DataError: a column is missing; the message names the option and, for a known data set, all options.
    """
    names = [name for name in column_names(columns) if is_labelled or name != columns.label]
    try:
        tables.require_columns(source, raw.columns, names, column_options(FraudConfig(columns=columns)))
    except DataError as error:
        known = find_known_file(list(raw.columns))
        if known is not None:
            raise DataError(f"{error} The columns are those of {known.name}: {as_options(known.columns)}") from error
        if columns.terminal and any(f'no column "{name}"' in str(error) for name in columns.terminal):
            raise DataError(f"{error} If your data have no terminals, add --columns.terminal None.") from error
        raise
    return names


def _sample_origin(frame: pd.DataFrame) -> Origin:
    return Origin.of_sample("generated by tasks/fraud/sample.py", sha256_records(frame))


def _openml_origin(name: str, location: str) -> DescribeOrigin:
    licence = "see the page of the data set"
    return lambda frame: Origin(name, location, sha256_records(frame), licence, split_description="")


def _read_tfds(config: FraudConfig) -> tuple[pd.DataFrame, DescribeOrigin]:
    columns = {column: column for column in required_columns(config)}
    parts, info = read_tfds(config.data, columns, column_options(config))
    return pd.concat(parts.values(), ignore_index=True), lambda frame: Origin.of_tfds(info, sha256_records(frame))


def _download_openml(name: str) -> pd.DataFrame:
    from sklearn.datasets import fetch_openml

    try:
        return fetch_openml(name=name, as_frame=True, parser="auto").frame
    except Exception as error:  # many types: network, cache and parser errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(
            f"{OPENML}{name}: the download from OpenML failed ({reason}). Check the name and the network, or use a file."
        ) from error


def _split(frame: pd.DataFrame, config: FraudConfig, origin: Origin) -> Splits:
    """Divides a table in time order, with lengths and alerts per day that are fitted to it."""
    time, has_cards = frame["time"].to_numpy(), config.columns.card is not None
    bounds = find_bounds(time, frame["fraud"].to_numpy() >= 0)
    split = fit_split(config.split, bounds, config.data)
    marked = require_both_classes(frame, split, bounds, has_cards, config.data)
    tables_by_name = {}
    for name, span in split_spans(split, bounds).items():
        is_training, is_scored = marked[name]
        table = frame.assign(is_training_row=is_training, is_scored_row=is_scored)
        tables_by_name[name] = table[time < max(span.training_end, span.scored_end)]
    evaluation = checks.fit_alerts(config.evaluation, tables_by_name["validation"], config.data)
    sizes = {name: int(tables_by_name[table][column].sum()) for name, (table, column) in COUNTED_ROWS.items()}
    is_relative = int(time.max()) < RELATIVE_LIMIT
    display: dict[str, Any] = {
        "time": lambda s: (s / DAY).rename("time, days") if is_relative else pd.to_datetime(s, unit="s"),
        "fraud": lambda labels: (labels == 1).astype("boolean").mask(labels < 0),
        "is_training_row": lambda mask: mask.rename("used for training"),
        "is_scored_row": lambda mask: mask.rename("used for scores"),
    }
    return Splits(
        **tables_by_name,
        origin=dataclasses.replace(origin, split_description=describe_split(split, has_cards)),
        sizes=sizes,
        config=dataclasses.replace(config, split=split, evaluation=evaluation),
        display=display,
    )
