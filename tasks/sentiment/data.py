"""Reads labelled texts from any source into three splits that have no text and no group, such as a film, in common."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import labelled_texts, labels
from shared.data.classes import list_classes
from shared.data.columns import raise_where_empty
from shared.data.notices import add_notice
from shared.data.scripts import summarize_scripts
from shared.data.sources import Origin, Splits, load_source, read_split_files, sha256_records
from shared.data.splits import SPLITS, Selection, hold_out, keep_labels, split_by_group, split_by_label
from shared.data.tables import read_table
from shared.data.tfds import read_tfds, require_training_split
from shared.errors import DataError, RowError
from tasks.sentiment import sample
from tasks.sentiment.config import SentimentConfig

KNOWN_LICENCES = {"imdb": "none stated; released for research (Maas et al., 2011)"}
DEFAULT_GROUP_COLUMN = "title_id"  # the film of a review; used where a file has it
ENOUGH_TEXTS = 10  # in a split that is held out, if there are enough texts
MIN_TEXTS = 3  # per split
DETAILS: dict[str, Callable[[pd.DataFrame], str]] = {
    "class balance": lambda frame: labels.summarize_balance(frame["label"]),
    "scripts": lambda frame: summarize_scripts(frame["text"]),
}
SEVERAL_LABELS_HINT = "Keep one label per text if the combinations are no classes."


def load(config: SentimentConfig) -> Splits:
    """Reads the texts and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text` and `label`, both strings.

    Raises:
        DataError: a file cannot be used; a text is missing; there are fewer than two classes or too few texts; a validation or test
            label does not occur in the training split.
    """
    frames, origin = load_source(
        config,
        sample=_read_sample,
        files=lambda: _read_files(config),
        tfds=lambda: _read_tfds(config),
    )
    frames = _check_labels(config, frames)
    frames, descriptions = hold_out(frames, config, config.split, partial(_select, config), "different texts or groups")
    description = origin.split_description or "; ".join(descriptions[name] for name in sorted(descriptions))
    digest = origin.sha256 or sha256_records(pd.concat(frames[name][["text", "label"]] for name in SPLITS))
    origin = dataclasses.replace(
        origin,
        sha256=digest,
        split_description=f"{description}; overlapping rows removed from the earlier split",
    )
    splits = Splits(**_without_overlap(frames), origin=origin, details=DETAILS)
    list_classes(splits, config.data, option(config.columns, "label"))
    _require_texts(splits, config.data)
    return splits


def read_records(config: SentimentConfig, source: str) -> pd.DataFrame:
    """Reads labelled texts into the columns `text`, `label` and `group`, all strings: a table, a fastText file, or a folder per class.

    The group is the column `--split.group`, or else `title_id`; a file without it gives no column `group`. Empty texts are allowed.
    Of a folder with splits, it reads the test split. Labels that are all whole numbers lose their ".0".

    Raises:
        DataError: as in `shared.data.tables.read_table`; or a text or label is null, or a label is empty.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        frames = labelled_texts.read_class_folders(path)
        return frames.get("test", frames["train"])
    if path.exists() and labelled_texts.is_fasttext(path):
        return labelled_texts.read_fasttext(path)
    columns = _source_columns(config)
    optional = () if config.split.group else (DEFAULT_GROUP_COLUMN,)
    frame = read_table(source, list(columns), optional, _column_options(config))
    if optional and DEFAULT_GROUP_COLUMN in frame:
        columns = {DEFAULT_GROUP_COLUMN: "group", **columns}
    frame = frame.rename(columns=columns)
    for name, column in columns.items():
        frame[column] = to_strings(frame[column].rename(name), source)
    is_empty = frame["label"].str.strip() == ""
    raise_where_empty(is_empty, frame["label"].rename(config.columns.label), source)
    frame["label"] = labels.normalize_numbers(frame["label"])
    return frame


def match_labels(config: SentimentConfig, values: pd.Series, classes: Sequence[str]) -> pd.Series:
    """Returns labels of a file as the classes of a model that they match by `--columns.label-matching`; others stay as they are."""
    matching = config.columns.label_matching
    names = {labels.match_key(name, matching): name for name in classes}
    return values.map(lambda label: names.get(labels.match_key(label, matching), label))


def _read_files(config: SentimentConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Reads the files of the user; a folder may have several splits, which separate files replace."""
    path = Path(config.data).expanduser()
    if not path.is_dir():
        return read_split_files(config, partial(read_records, config))
    folders = labelled_texts.read_class_folders(path)
    frames, origin = read_split_files(
        config, lambda source: folders["train"] if source == config.data else read_records(config, source), digest=""
    )
    return {**folders, **frames}, origin


def _check_labels(config: SentimentConfig, frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
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
    labels.notice_several_labels(everything["label"], config.data, SEVERAL_LABELS_HINT)
    if everything["label"].nunique() <= len(everything) // MIN_TEXTS:  # otherwise the column is no label
        labels.notice_rare_labels(everything["label"], config.data)
    return frames


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


def _read_tfds(config: SentimentConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    frames, info = read_tfds(config.data, _source_columns(config), _column_options(config))
    frames = {name: frame[frame["label"] != ""].copy() for name, frame in frames.items()}  # a missing label is -1
    require_training_split(config.data, frames, frames)
    for frame in frames.values():
        for column, name in (("text", config.columns.text), ("label", config.columns.label)):
            frame[column] = to_strings(frame[column].rename(name), config.data)
    origin = Origin.of_tfds(info, digest="")
    name = info.name.removesuffix("_reviews")
    licence = info.redistribution_info.license or KNOWN_LICENCES.get(name, origin.licence)
    labelled = {split: frame for split, frame in frames.items() if split == "train" or len(frame)}
    return labelled, dataclasses.replace(origin, name=name, licence=licence)


def _read_sample() -> tuple[dict[str, pd.DataFrame], Origin]:
    sizes = (sample.TRAIN_SIZE, sample.VALIDATION_SIZE, sample.TEST_SIZE)
    frames = {name: sample.generate(size, seed) for seed, (name, size) in enumerate(zip(SPLITS, sizes, strict=True))}
    location = "generated by tasks/sentiment/sample.py"
    return frames, Origin.of_sample(location, digest="", split_description="generated with three different seeds")


def _select(config: SentimentConfig, frame: pd.DataFrame, name: str, fraction: float) -> Selection:
    """Selects rows to hold out: rows of a group stay together; without groups, rows with equal texts stay together, and each label
    has the same fraction."""
    has_groups = "group" in frame
    groups = (frame["group"] if has_groups else frame["text"]).tolist()
    fraction = _fit_fraction(config, len(frame), name, fraction)
    if has_groups:
        is_held_out = keep_labels(split_by_group(groups, fraction), groups, frame["label"].tolist())
    elif frame["label"].is_unique:  # the column is no label, as the check of the classes says
        is_held_out = split_by_group(groups, fraction)
    else:
        is_held_out = split_by_label(groups, frame["label"].tolist(), fraction)
    grouping = f"by {config.split.group or DEFAULT_GROUP_COLUMN}" if has_groups else "at random within each label"
    part = "of the rest " if name == "validation" else ""
    return is_held_out, f"{fraction:.0%} {part}held out {grouping}"


def _fit_fraction(config: SentimentConfig, texts: int, name: str, fraction: float) -> float:
    """Returns a larger fraction, with a notice, if a split of few texts would be too small to measure anything."""
    fitted = min(ENOUGH_TEXTS, texts // 4) / max(texts, 1)
    if fraction * texts >= ENOUGH_TEXTS - 1 or fitted <= fraction:
        return fraction
    add_notice(
        f"{config.data}: {texts} texts are few: {fitted:.0%} instead of {fraction:.0%} of them are held out for the {name} split.",
        hint=f"Scores of so few texts are uncertain; add texts, or give a file with --{name}-data.",
    )
    return fitted


def _without_overlap(frames: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Removes texts and groups of the test split from training and validation, and those of validation from training."""
    train, validation, test = (frames[name] for name in SPLITS)
    for column in ("text", "group") if "group" in test else ("text",):
        validation = validation[~validation[column].isin(test[column])]
        train = train[~train[column].isin(test[column]) & ~train[column].isin(validation[column])]
    tables = zip(SPLITS, (train, validation, test), strict=True)
    return {name: frame[["text", "label"]].reset_index(drop=True) for name, frame in tables}


def _require_texts(splits: Splits, source: str) -> None:
    for name in ("train", "validation", "test"):
        count = len(getattr(splits, name))
        if count < MIN_TEXTS:
            raise DataError(
                f"{source}: the {name} split must have at least {MIN_TEXTS} texts. Received: {count}. Add texts, or change "
                "--split.validation-fraction and --split.test-fraction."
            )
