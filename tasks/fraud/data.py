"""Reads card transactions from any source and divides them by days into training, validation and test split."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.columns import parse_identifiers, parse_numbers
from shared.data.sources import Origin, Splits, load_source, sha256_records
from shared.data.tables import read_table, require_columns
from shared.data.tfds import read_tfds
from shared.errors import DataError
from tasks.fraud import sample
from tasks.fraud.cells import parse_labels, parse_seconds
from tasks.fraud.config import FraudConfig, FraudSplitConfig
from tasks.fraud.transaction_index import UNKNOWN_LABEL

DAY = 86_400
OPENML = "openml:"
COUNTED_ROWS = {  # split: table and column of the rows that `lstm-suite check` counts
    "train": ("validation", "is_training_row"),  # the exported model trains on rows of the validation table
    "validation": ("validation", "is_scored_row"),
    "test": ("test", "is_scored_row"),
}
SAMPLE_SEED = 5
MIN_FRAUDS_FOR_LEAKS = 10
MAX_LEAKING_VALUES = 10
SINGLE_CARD = "all"


def load(config: FraudConfig) -> Splits:
    """Reads the transactions and divides their days.

    Returns:
        Splits whose tables hold all rows from the start of the data to the end of the split, in time order, because the state of a
        card depends on earlier days. Columns: `card`, `terminal` (if there is one), `time` (int64 seconds since 1970), `amount`,
        further columns, `fraud`, and two booleans, `is_training_row` and `is_scored_row`. The training table has the rows of a
        first training. The validation table has the rows that evaluate it, and the rows that train the exported model. The test
        table has the rows that evaluate the exported model.

    Raises:
        DataError: a file cannot be used, a value is missing or has the wrong type, a column equals the label, the data cover too few
            days, or a span has no fraud or only fraud.
    """
    frame, origin = _read_all(config)
    frame = frame.sort_values("time", kind="stable", ignore_index=True)
    return _split_by_days(frame, config, origin)


def read(config: FraudConfig, source: str) -> pd.DataFrame:
    """Reads one labelled file into the columns that `load` describes, in the order of the file.

    Times without a time zone are UTC. Identifiers are compared as text, so that 12 in one file equals "12" in another. Rows of one
    card in the same second keep the order of the file. Negative amounts are refunds.

    Raises:
        DataError: as in `load`.
    """
    return convert(_read_columns(config, source, required_columns(config)), config, source)


def read_unlabelled(config: FraudConfig, source: str) -> pd.DataFrame:
    """Reads all columns of one file with or without labels, under their names in the file.

    Raises:
        DataError: the file cannot be read, or a column is missing.
    """
    label = config.columns.label
    columns = [name for name in required_columns(config) if name != label]
    return _read_columns(config, source, columns, all_columns=True)


def convert(frame: pd.DataFrame, config: FraudConfig, source: str, is_labelled: bool = True) -> pd.DataFrame:
    """Converts the user's columns to the names and types that `load` describes.

    With `is_labelled` False, cells or the whole column of the label may be missing; these labels are -1.

    Raises:
        DataError: a value is missing or has the wrong type.
    """
    columns, names = config.columns, _source_columns(config)
    result = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    for name in ("card", "terminal"):
        if name in names:
            result[name] = parse_identifiers(frame[names[name]], source)
        elif name == "card":
            result[name] = SINGLE_CARD
    result["time"] = parse_seconds(frame[columns.time], source, columns.time_format)
    result["amount"] = parse_numbers(frame[columns.amount], source, allow_empty=False).astype(np.float32)
    for name in columns.numeric:
        result[name] = parse_numbers(frame[name], source, allow_empty=True).astype(np.float32)
    for name in columns.categorical:
        result[name] = parse_identifiers(frame[name], source, allow_empty=True)
    if is_labelled:
        result["fraud"] = parse_labels(frame[columns.label], source)
        return result
    labels = frame[columns.label] if columns.label in frame else pd.Series(None, index=frame.index, dtype=object)
    is_known = labels.notna().to_numpy() & (labels.astype(str).str.strip() != "").to_numpy()
    values = parse_labels(labels.astype(object).where(is_known, 0), source)
    result["fraud"] = np.where(is_known, values, UNKNOWN_LABEL).astype(np.int8)
    return result


def required_columns(config: FraudConfig) -> list[str]:
    """Returns the names of the columns that a labelled table must have."""
    return [*_source_columns(config).values(), *config.columns.numeric, *config.columns.categorical]


def column_options(config: FraudConfig) -> dict[str, str]:
    """Returns the option that sets each column, by the name of the column."""
    options = {column: option(config.columns, name) for name, column in _source_columns(config).items()}
    options |= dict.fromkeys(config.columns.numeric, option(config.columns, "numeric"))
    return options | dict.fromkeys(config.columns.categorical, option(config.columns, "categorical"))


def is_compromised(frame: pd.DataFrame, day: np.ndarray, since: int, delay: int) -> np.ndarray:
    """Returns True for rows of cards with a known fraud: on or after day `since`, and more than `delay` days before the row."""
    fraud = (frame["fraud"].to_numpy() == 1) & (day >= since)
    first = pd.Series(day[fraud]).groupby(frame["card"].to_numpy()[fraud]).min()
    first_fraud = frame["card"].map(first).to_numpy(np.float64)  # NaN for cards without fraud
    return np.asarray(first_fraud <= day - delay - 1)


def _read_columns(config: FraudConfig, source: str, columns: list[str], all_columns: bool = False) -> pd.DataFrame:
    terminal = config.columns.terminal
    try:
        return read_table(source, columns, options=column_options(config), all_columns=all_columns)
    except DataError as error:
        if terminal and f'no column "{terminal}"' in str(error):
            raise DataError(f"{error} If your data have no terminals, add --columns.terminal None.") from error
        raise


def _read_all(config: FraudConfig) -> tuple[pd.DataFrame, Origin]:
    """Reads the transactions of any source, in the columns that `load` describes, and describes the source."""
    frame, origin = load_source(
        config,
        sample=lambda: _read_sample(config),
        files=lambda: (read(config, config.data), Origin.of_files([config.data])),
        tfds=lambda: _read_tfds(config),
        named={OPENML: lambda name: _read_openml(name, config)},
    )
    _raise_for_leaks(frame, config, config.data)
    return frame, dataclasses.replace(origin, split_description=_describe_split(config.split))


def _read_sample(config: FraudConfig) -> tuple[pd.DataFrame, Origin]:
    generated = sample.generate(sample.SAMPLE, SAMPLE_SEED)
    require_columns(config.data, generated.columns, required_columns(config), column_options(config))
    frame = convert(generated, config, config.data)
    return frame, Origin.of_sample("generated by tasks/fraud/sample.py", sha256_records(frame))


def _read_openml(name: str, config: FraudConfig) -> tuple[pd.DataFrame, Origin]:
    frame = convert(_download_openml(name, config), config, config.data)
    licence = "see the page of the data set"
    return frame, Origin(name, config.data, sha256_records(frame), licence, split_description="")


def _read_tfds(config: FraudConfig) -> tuple[pd.DataFrame, Origin]:
    columns = {column: column for column in required_columns(config)}
    tables, info = read_tfds(config.data, columns, column_options(config))
    frame = convert(pd.concat(tables.values(), ignore_index=True), config, config.data)
    return frame, Origin.of_tfds(info, sha256_records(frame))


def _download_openml(name: str, config: FraudConfig) -> pd.DataFrame:
    from sklearn.datasets import fetch_openml

    try:
        frame = fetch_openml(name=name, as_frame=True, parser="auto").frame
    except Exception as error:  # many types: network, cache and parser errors
        reason = (str(error).strip() or type(error).__name__).splitlines()[0][:300]
        raise DataError(
            f"{OPENML}{name}: the download from OpenML failed ({reason}). Check the name and the network, or use a file."
        ) from error
    require_columns(f"{OPENML}{name}", frame.columns, required_columns(config), column_options(config))
    return frame


def _split_by_days(frame: pd.DataFrame, config: FraudConfig, origin: Origin) -> Splits:
    split = config.split
    day = frame["time"].to_numpy() // DAY
    start = first_training_day(split, day)
    end = start + split.training_days
    test = end + split.label_delay_days
    shift = split.label_delay_days + split.test_days
    if start - shift < day.min() or test > day.max():
        first, last = (str(np.datetime64(int(d), "D")) for d in (day.min(), day.max()))
        needed = split.training_days + 2 * shift
        raise DataError(
            f"{config.data}: the days {first} to {last} are too few; {needed} days are needed: training, label delay and test, "
            "and before them one label delay and one test for validation. Choose fewer days with --split.training-days, "
            "--split.label-delay-days or --split.test-days, or another --split.training-from."
        )
    spans = {  # split: (first training day, end of training, first scored day, end of scored days)
        "train": (start - shift, end - shift, end - shift, end - shift),
        "validation": (start, end, end - split.test_days, end),
        "test": (test, test, test, test + split.test_days),
    }
    no_rows = np.zeros(len(frame), bool)
    excluded = {
        "train": no_rows,
        "validation": is_compromised(frame, day, start - shift, split.label_delay_days),
        "test": is_compromised(frame, day, start, split.label_delay_days),
    }
    if config.columns.card is None:  # there are no cards to exclude
        excluded = dict.fromkeys(spans, no_rows)
    splits = {}
    for name, (train_start, train_end, score_start, score_end) in spans.items():
        table = frame.assign(
            is_training_row=(day >= train_start) & (day < train_end),
            is_scored_row=(day >= score_start) & (day < score_end) & ~excluded[name],
        )
        splits[name] = table[day < max(train_end, score_end)]
    _require_both_classes(splits, config)
    sizes = {name: int(splits[table][column].sum()) for name, (table, column) in COUNTED_ROWS.items()}
    display: dict[str, Any] = {
        "time": lambda seconds: pd.to_datetime(seconds, unit="s"),
        "fraud": lambda labels: labels == 1,
    }
    return Splits(**splits, origin=origin, sizes=sizes, display=display)


def first_training_day(split: FraudSplitConfig, day: np.ndarray) -> int:
    """Returns the first day of training, in days since 1970."""
    if split.training_from is not None:
        return int(np.datetime64(split.training_from, "D").astype(np.int64))
    return int(day.max()) + 1 - split.test_days - split.label_delay_days - split.training_days


def _require_both_classes(splits: dict[str, pd.DataFrame], config: FraudConfig) -> None:
    for name, column in (
        ("train", "is_training_row"),
        ("validation", "is_training_row"),
        ("validation", "is_scored_row"),
        ("test", "is_scored_row"),
    ):
        labels = splits[name]["fraud"][splits[name][column]]
        if labels.nunique() < 2:
            purpose = "training" if column == "is_training_row" else "evaluation"
            missing = "transactions" if labels.empty else "frauds" if labels.iloc[0] == 0 else "genuine transactions"
            raise DataError(
                f"{config.data}: the {name} split has no {missing} for {purpose}, among {len(labels):,} transactions. Use more "
                "days (--split.training-days, --split.test-days)."
            )


def _source_columns(config: FraudConfig) -> dict[str, str]:
    columns = config.columns
    names = {"card": columns.card, "terminal": columns.terminal, "time": columns.time, "amount": columns.amount}
    names["label"] = columns.label
    return {name: column for name, column in names.items() if column}


def _raise_for_leaks(frame: pd.DataFrame, config: FraudConfig, source: str) -> None:
    """Raises a `DataError` if a further column determines the label."""
    fraud = frame["fraud"].to_numpy()
    if not MIN_FRAUDS_FOR_LEAKS <= fraud.sum() < len(fraud):  # with a few frauds it may be chance
        return
    for name in (*config.columns.numeric, *config.columns.categorical):
        codes, unique = pd.factorize(frame[name], use_na_sentinel=False)
        frauds, rows = np.bincount(codes, fraud), np.bincount(codes)
        if len(unique) <= MAX_LEAKING_VALUES and ((frauds == 0) | (frauds == rows)).all():
            raise DataError(f'{source}: column "{name}" determines the label completely. Remove it from --columns.')


def _describe_split(split: FraudSplitConfig) -> str:
    start = f"training from {split.training_from}" if split.training_from else "test on the last days"
    return (
        f"{start}: {split.training_days} training days, {split.label_delay_days} days of label delay, {split.test_days} test "
        "days; cards with a known fraud are excluded from the test days"
    )
