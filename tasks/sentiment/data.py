"""Reads labelled texts from any source into three splits that have no text and no group, such as a film, in common."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files, sources
from shared.data.classes import list_classes
from shared.data.columns import raise_where_empty
from shared.data.pipelines import split_by_group
from shared.data.sources import Origin, Splits
from shared.errors import DataError
from tasks.sentiment import sample
from tasks.sentiment.config import ColumnsConfig, SentimentConfig

KNOWN_LICENCES = {"imdb": "none stated; released for research (Maas et al., 2011)"}
DEFAULT_GROUP_COLUMN = "title_id"  # the film of a review; used where a file has it
MIN_TEXTS = 10  # per split
SPLIT_SEED = 1  # independent of the training seed, so that runs with several seeds have the same test split


def load(config: SentimentConfig) -> Splits:
    """Reads the texts and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text` and `label`, both strings.

    Raises:
        DataError: a file cannot be used; a text is missing; there are fewer than two classes or too few texts; a validation or test
            label does not occur in the training split.
    """
    has_user_files = sources.is_path(config.data)
    sources.reject_split_files(config, has_user_files)
    if config.data == "sample":
        splits = _load_sample()
    elif has_user_files:
        splits = _load_files(config)
    else:
        splits = _load_tfds(config)
    list_classes(splits, config.data)
    _require_texts(splits, config.data)
    return splits


def read_records(config: SentimentConfig, source: str) -> pd.DataFrame:
    """Reads a file of labelled texts into the columns `text`, `label` and `group`, all strings.

    The group is the column `--split.group`, or else `title_id`; a file without it gives no column `group`. Empty texts are allowed.

    Raises:
        DataError: as in `shared.data.sources.read_table`; or a text or label is null, or a label is empty.
    """
    columns = _source_columns(config)
    optional = () if config.split.group else (DEFAULT_GROUP_COLUMN,)
    frame = sources.read_table(source, list(columns), optional, _column_options(config))
    if optional and DEFAULT_GROUP_COLUMN in frame:
        columns = {DEFAULT_GROUP_COLUMN: "group", **columns}
    frame = frame.rename(columns=columns)
    for name, column in columns.items():
        frame[column] = _to_strings(frame[column], source, name)
    is_empty = frame["label"].str.strip() == ""
    raise_where_empty(is_empty, frame["label"].rename(config.columns.label), source)
    return frame


def read_texts(columns: ColumnsConfig, source: str) -> list[str]:
    """Reads the texts of a file: the text column of a table, or the lines of any other file (see `shared.data.sources.is_table`).

    Bytes of lines that are not UTF-8 become surrogate escapes.

    Raises:
        DataError: the file cannot be read or is empty, the column is missing, or a text is null.
    """
    if not sources.is_table(source, columns.text):
        return files.read_lines(Path(source).expanduser())
    frame = sources.read_table(source, [columns.text], options={columns.text: option(columns, "text")})
    return _to_strings(frame[columns.text], source, columns.text).tolist()


def _source_columns(config: SentimentConfig) -> dict[str, str]:
    """Returns the names of the columns in the source, with their names in the splits."""
    columns = {config.columns.text: "text", config.columns.label: "label"}
    if config.split.group:
        columns[config.split.group] = "group"
    if len(columns) < 2 + bool(config.split.group):
        raise DataError(
            f"{config.data}: {option(config.split, 'group')} must name another column than --columns.text and --columns.label. Received: "
            f"{config.split.group}"
        )
    return columns


def _column_options(config: SentimentConfig) -> dict[str, str]:
    """Returns the names of the columns in the source, with the options that set them."""
    options = {getattr(config.columns, name): option(config.columns, name) for name in ("text", "label")}
    if config.split.group:
        options[config.split.group] = option(config.split, "group")
    return options


def _to_strings(values: pd.Series, source: str, name: str) -> pd.Series:
    """Converts a column to strings; whole floating-point numbers lose their ".0"."""
    is_missing = values.isna()
    if is_missing.any():
        row = int(np.argmax(is_missing)) + 1
        raise DataError(f'{source}, row {row}: column "{name}" is null. Fill it in or drop the row.')
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    is_wrong = [not isinstance(value, (str, bool, int, float, np.generic)) for value in values]
    if any(is_wrong):
        row = is_wrong.index(True)
        kind = type(values.iloc[row]).__name__
        raise DataError(f'{source}, row {row + 1}: column "{name}" must have text. Received: {kind}')
    return values.astype(str)


def _load_files(config: SentimentConfig) -> Splits:
    paths = [path for path in (config.data, config.validation_data, config.test_data) if path]
    train = read_records(config, config.data)
    test = read_records(config, config.test_data) if config.test_data else None
    validation = read_records(config, config.validation_data) if config.validation_data else None
    grouping = f"by {config.split.group or DEFAULT_GROUP_COLUMN}" if "group" in train else "at random"
    descriptions = []
    if test is None:
        train, test = _hold_out(train, config.split.test_fraction, config.data)
        descriptions.append(f"test {config.split.test_fraction:.0%} held out {grouping}")
    else:
        descriptions.append(f"test from {Path(config.test_data or '').name}")
    if validation is None:
        train, validation = _hold_out(train, config.split.validation_fraction, config.data)
        descriptions.append(f"validation {config.split.validation_fraction:.0%} of the rest held out {grouping}")
    else:
        descriptions.append(f"validation from {Path(config.validation_data or '').name}")
    origin = Origin(
        name=Path(config.data).expanduser().resolve().parent.name,
        location=", ".join(Path(path).name for path in paths),
        sha256=sources.sha256(*paths),
        licence=sources.USER_FILE_LICENCE,
        split_description="; ".join(descriptions),
    )
    return _without_overlap(train, validation, test, origin)


def _load_tfds(config: SentimentConfig) -> Splits:
    frames, info = sources.read_tfds(config.data, _source_columns(config), _column_options(config))
    frames = {name: frame[frame["label"] != ""].copy() for name, frame in frames.items()}  # a missing label is -1
    for frame in frames.values():
        for column, name in (("text", config.columns.text), ("label", config.columns.label)):
            frame[column] = _to_strings(frame[column], config.data, name)
    if "train" not in frames:
        raise DataError(f'{config.data}: there is no split "train". The splits are {", ".join(frames)}.')
    train = frames["train"]
    test = frames.get("test")
    validation = frames.get("validation")
    has_test_labels = test is not None and len(test) > 0
    if test is None or not has_test_labels:
        train, test = _hold_out(train, config.split.test_fraction, config.data)
    if validation is None or validation.empty:
        train, validation = _hold_out(train, config.split.validation_fraction, config.data)
    name = info.name.removesuffix("_reviews")
    origin = Origin(
        name=name,
        location=info.full_name,
        sha256=sources.sha256_records(pd.concat([train, validation, test])[["text", "label"]]),
        licence=info.redistribution_info.license or KNOWN_LICENCES.get(name, "not stated"),
        split_description="test split of the data set" if has_test_labels else "test held out at random",
    )
    return _without_overlap(train, validation, test, origin)


def _load_sample() -> Splits:
    sizes = (sample.TRAIN_SIZE, sample.VALIDATION_SIZE, sample.TEST_SIZE)
    train, validation, test = (sample.generate(size, seed) for seed, size in enumerate(sizes))
    origin = Origin(
        name="sample",
        location="generated by tasks/sentiment/sample.py",
        sha256=sources.sha256_records(pd.concat([train, validation, test])),
        licence="Apache-2.0, as the project",
        split_description="generated with three different seeds",
    )
    return _without_overlap(train, validation, test, origin)


def _hold_out(frame: pd.DataFrame, fraction: float, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the remaining rows and the rows held out.

    Rows of a group stay together; without groups, rows with equal texts stay together.
    """
    groups = frame["group"] if "group" in frame else frame["text"]
    try:
        is_held_out = split_by_group(groups.tolist(), fraction, seed=SPLIT_SEED)
    except ValueError as error:
        raise DataError(f"{source}: there are too few different texts or groups to split ({error}).") from error
    return frame[~is_held_out], frame[is_held_out]


def _without_overlap(train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame, origin: Origin) -> Splits:
    """Removes texts and groups of the test split from training and validation, and those of validation from training."""
    for column in ("text", "group") if "group" in test else ("text",):
        validation = validation[~validation[column].isin(test[column])]
        train = train[~train[column].isin(test[column]) & ~train[column].isin(validation[column])]
    origin = dataclasses.replace(
        origin, split_description=f"{origin.split_description}; overlapping rows removed from the earlier split"
    )
    train, validation, test = (frame[["text", "label"]].reset_index(drop=True) for frame in (train, validation, test))
    return Splits(train, validation, test, origin)


def _require_texts(splits: Splits, source: str) -> None:
    for name in ("train", "validation", "test"):
        count = len(getattr(splits, name))
        if count < MIN_TEXTS:
            raise DataError(
                f"{source}: the {name} split must have at least {MIN_TEXTS} texts. Received: {count}. Add texts, or change "
                "--split.validation-fraction and --split.test-fraction."
            )
