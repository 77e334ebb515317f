"""Labelled texts from any source into three splits that share no film (or other group) and no text."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from shared import sources
from shared.classes import list_classes
from shared.columns import raise_where_empty
from shared.errors import DataError
from shared.pipelines import split_by_group
from shared.sources import Origin, Splits
from tasks.sentiment import sample
from tasks.sentiment.config import SentimentConfig

KNOWN_LICENCES = {"imdb": "none stated; released for research (Maas et al., 2011)"}
FILM_COLUMN = "title_id"
FEWEST = 10  # texts a split must hold
SPLIT_SEED = 1  # not the training seed: runs of several seeds are judged on one split


def load(config: SentimentConfig) -> Splits:
    """Reads the texts and parts them into training, validation and test.

    Returns:
        Splits with the columns `text` and `label`, both strings.

    Raises:
        DataError: a file cannot be used; a text is missing; there are fewer than two classes or too few texts; a
            validation or test label does not occur in training.
    """
    source = config.data
    own_files = sources.is_path(source)
    sources.reject_split_files(config, own_files)
    if source == "sample":
        splits = _sample(config)
    elif own_files:
        splits = _files(config)
    else:
        splits = _tfds(config)
    _check(splits, source)
    return splits


def read(config: SentimentConfig, source: str) -> pd.DataFrame:
    """Reads one file into the columns `text`, `label` and `group`.

    The group is the configured column, else `title_id` (the film of a review) where the file has it, else left out.
    Blank texts are kept: a model meets them in use.

    Raises:
        DataError: as for `shared.sources.read_table`, or a text or label is null, or a label blank.
    """
    columns = _columns(config)
    frame = sources.read_table(source, list(columns), optional=() if "group" in columns.values() else (FILM_COLUMN,))
    columns = {FILM_COLUMN: "group", **columns} if FILM_COLUMN in frame and "group" not in columns.values() else columns
    frame = frame.rename(columns=columns)
    for name, column in columns.items():
        frame[column] = _strings(frame[column], source, name)
    empty = frame["label"].str.strip() == ""
    raise_where_empty(empty, frame["label"].rename(config.label_column), source, "a label")
    return frame


def _columns(config: SentimentConfig) -> dict[str, str]:
    """Returns what the columns are called in the file, and here."""
    columns = {config.text_column: "text", config.label_column: "label"}
    if config.group_column:
        columns[config.group_column] = "group"
    if len(columns) < 2 + bool(config.group_column):
        raise DataError(
            f"{config.data}: text, label and group must be different columns. Received: {config.text_column}, "
            f"{config.label_column}, {config.group_column}"
        )
    return columns


def _strings(values: pd.Series, source: str, name: str) -> pd.Series:
    """Turns a column into strings, numbers without a needless ".0"."""
    missing = values.isna()
    if missing.any():
        row = int(np.argmax(missing)) + 1
        raise DataError(f'{source}, row {row}: column "{name}" is null; fill it or drop the row.')
    if pd.api.types.is_float_dtype(values) and (values % 1 == 0).all():
        values = values.astype("int64")
    odd = [not isinstance(value, (str, bool, int, float, np.generic)) for value in values]
    if any(odd):
        row = odd.index(True) + 1
        raise DataError(
            f'{source}, row {row}: column "{name}" holds {type(values.iloc[row - 1]).__name__}; expected text.'
        )
    return values.astype(str)


def _files(config: SentimentConfig) -> Splits:
    paths = [path for path in (config.data, config.validation_data, config.test_data) if path]
    train = read(config, config.data)
    test = read(config, config.test_data) if config.test_data else None
    validation = read(config, config.validation_data) if config.validation_data else None
    how = []
    if test is None:
        train, test = _kept_back(train, config.test_fraction, config)
        how.append(f"test {config.test_fraction:.0%} kept back{_by(config)}")
    else:
        how.append(f"test {Path(config.test_data or '').name}")
    if validation is None:
        train, validation = _kept_back(train, config.validation_fraction, config)
        how.append(f"validation {config.validation_fraction:.0%} of training kept back{_by(config)}")
    else:
        how.append(f"validation {Path(config.validation_data or '').name}")
    name = Path(config.data).expanduser().resolve().parent.name
    origin = Origin(
        name=name,
        location=", ".join(Path(path).name for path in paths),
        sha256=sources.sha256(*paths),
        licence=sources.USER_FILE_LICENCE,
        split="; ".join(how),
    )
    return _without_overlap(train, validation, test, origin)


def _tfds(config: SentimentConfig) -> Splits:
    frames, info = sources.read_tfds(config.data, _columns(config))
    frames = {name: frame[frame["label"] != ""].copy() for name, frame in frames.items()}  # TFDS: -1 is no label
    for frame in frames.values():
        for column, name in (("text", config.text_column), ("label", config.label_column)):
            frame[column] = _strings(frame[column], config.data, name)
    if "train" not in frames:
        raise DataError(f'{config.data}: no split "train". It has {", ".join(frames)}.')
    train = frames["train"]
    test = frames.get("test")
    validation = frames.get("validation")
    labelled_test = test is not None and len(test) > 0
    if test is None or not labelled_test:
        train, test = _kept_back(train, config.test_fraction, config)
    if validation is None or validation.empty:
        train, validation = _kept_back(train, config.validation_fraction, config)
    origin = Origin(
        name=info.name.removesuffix("_reviews"),
        location=info.full_name,
        sha256=sources.sha256_records(pd.concat([train, validation, test])[["text", "label"]]),
        licence=(
            info.redistribution_info.license or KNOWN_LICENCES.get(info.name.removesuffix("_reviews"), "not stated")
        ),
        split="the data set's own" if labelled_test else "test kept back by chance",
    )
    return _without_overlap(train, validation, test, origin)


def _sample(config: SentimentConfig) -> Splits:
    train, validation, test = (
        sample.generate(count, seed=k) for k, count in enumerate((sample.TRAIN, sample.VALIDATION, sample.TEST))
    )
    records = pd.concat([train, validation, test])
    origin = Origin(
        name="sample",
        location="generated by tasks/sentiment/sample.py",
        sha256=sources.sha256_records(records),
        licence="Apache-2.0, as the project",
        split="three generations with seeds of their own",
    )
    return _without_overlap(train, validation, test, origin)


def _kept_back(frame: pd.DataFrame, fraction: float, config: SentimentConfig) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Keeps a share of the groups back; without groups, texts that are equal count as one group."""
    groups = frame["group"] if "group" in frame else frame["text"]
    try:
        chosen = split_by_group(groups.tolist(), fraction, seed=SPLIT_SEED)
    except ValueError as error:
        raise DataError(f"{config.data}: too few different texts or groups to keep a part back ({error}).") from error
    return frame[~chosen], frame[chosen]


def _without_overlap(train: pd.DataFrame, validation: pd.DataFrame, test: pd.DataFrame, origin: Origin) -> Splits:
    """Takes texts and groups out of training that stand in validation or test too, and out of validation those in test."""
    for column in ("text", "group") if "group" in test else ("text",):
        validation = validation[~validation[column].isin(test[column])]
        train = train[~train[column].isin(test[column]) & ~train[column].isin(validation[column])]
    columns = ["text", "label"]
    origin = dataclasses.replace(
        origin, split=f"{origin.split}; what stands in a later split too is out of the earlier"
    )
    train, validation, test = (frame[columns].reset_index(drop=True) for frame in (train, validation, test))
    return Splits(train, validation, test, origin)


def _check(splits: Splits, source: str) -> None:
    list_classes(splits, source)
    for name in ("train", "validation", "test"):
        frame = getattr(splits, name)
        if len(frame) < FEWEST:
            raise DataError(
                f"{source}: {len(frame)} texts in the {name} split; at least {FEWEST} are needed. Give more, or change "
                "--validation-fraction and --test-fraction."
            )


def _by(config: SentimentConfig) -> str:
    return f" by {config.group_column}" if config.group_column else " at random"
