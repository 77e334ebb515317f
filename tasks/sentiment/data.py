"""Reads labelled texts from any source into three splits that have no text and no group, such as a film, in common."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import pandas as pd

from shared.config import option
from shared.data import label_sets, labelled_texts
from shared.data.classes import list_classes
from shared.data.notices import add_notice
from shared.data.sources import Origin, Splits, load_source, read_split_files, sha256_records
from shared.data.splits import (
    SPLITS,
    Selection,
    hold_out,
    keep_labels,
    split_by_group,
    split_by_label,
    split_by_label_sets,
)
from shared.data.tables import read_table
from shared.data.tfds import read_tfds, require_training_split
from shared.errors import DataError
from tasks.sentiment import sample
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.labels import (
    DETAILS,
    MULTILABEL_DETAILS,
    check_labels,
    convert_labels,
    divide_labels,
    separate_labels,
    to_strings,
)

KNOWN_LICENCES = {"imdb": "none stated; released for research (Maas et al., 2011)"}
DEFAULT_GROUP_COLUMN = "title_id"  # the film of a review; used where a file has it
ENOUGH_TEXTS = 10  # in a split that is held out, if there are enough texts
MIN_TEXTS = 3  # per split


def load(config: SentimentConfig) -> Splits:
    """Reads the texts and divides them into training, validation and test split.

    Returns:
        Splits with the columns `text`, strings, and `label`, strings or, if a text may have several labels, sets of labels (see
        `shared.data.label_sets`).

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
    original, (config, frames) = config, separate_labels(config, frames)
    is_multilabel = config.columns.label_separator is not None
    frames = check_labels(config, frames)
    frames, descriptions = hold_out(frames, config, config.split, partial(_select, config), "different texts or groups")
    description = origin.split_description or "; ".join(descriptions[name] for name in sorted(descriptions))
    digest = origin.sha256 or sha256_records(pd.concat(frames[name][["text", "label"]] for name in SPLITS))
    origin = dataclasses.replace(
        origin,
        sha256=digest,
        split_description=f"{description}; overlapping rows removed from the earlier split",
    )
    splits = Splits(
        **_without_overlap(frames),
        origin=origin,
        config=None if config == original else config,
        display={"label": None} if is_multilabel else {},
        details=MULTILABEL_DETAILS if is_multilabel else DETAILS,
    )
    list_classes(splits, config.data, option(config.columns, "label"))
    _require_texts(splits, config.data)
    return splits


def read_records(config: SentimentConfig, source: str) -> pd.DataFrame:
    """Reads labelled texts into the columns `text`, `label` and `group`: a table, a fastText file, or a folder per class.

    All are strings, but labels are sets of labels (see `shared.data.label_sets`) if there are several label columns, a separator, or
    arrays. The group is the column `--split.group`, or else `title_id`; a file without it gives no column `group`. Empty texts are allowed.
    Of a folder with splits, it reads the test split. Labels that are all whole numbers lose their ".0".

    Raises:
        DataError: as in `shared.data.tables.read_table`; or a text or label is null, or a label is empty. Sets may be empty.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        frames = labelled_texts.read_class_folders(path)
        return divide_labels(config, frames.get("test", frames["train"]), source)
    if path.exists() and labelled_texts.is_fasttext(path):
        separator = config.columns.label_separator or labelled_texts.LABEL_SEPARATOR
        return divide_labels(config, labelled_texts.read_fasttext(path, separator), source)
    optional = () if config.split.group else (DEFAULT_GROUP_COLUMN,)
    frame = read_table(source, _source_columns(config), optional, _column_options(config))
    return _convert_columns(config, frame, source)


def _convert_columns(config: SentimentConfig, frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Returns the columns `text`, `label` and, if the source has it, `group` of a table with the columns of the source."""
    columns, group = config.columns, config.split.group or DEFAULT_GROUP_COLUMN
    result = {"text": to_strings(frame[columns.text], source)}
    if len(columns.label) > 1:
        result["label"] = label_sets.parse_label_columns(frame[list(columns.label)], source)
    else:
        result["label"] = convert_labels(config, frame[columns.label[0]], source)
    if group in frame:
        result["group"] = to_strings(frame[group], source)
    return pd.DataFrame(result)


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


def _source_columns(config: SentimentConfig) -> list[str]:
    """Returns the names of the columns in the source that are needed."""
    columns = [config.columns.text, *config.columns.label, *([config.split.group] if config.split.group else [])]
    if len(set(columns)) < len(columns):
        raise DataError(
            f"{config.data}: {option(config.split, 'group')} must name another column than --columns.text and --columns.label. Received: "
            f"{config.split.group}"
        )
    return columns


def _column_options(config: SentimentConfig) -> dict[str, str]:
    """Returns the names of the columns in the source, with the options that set them."""
    options = dict.fromkeys(config.columns.label, option(config.columns, "label"))
    options[config.columns.text] = option(config.columns, "text")
    if config.split.group:
        options[config.split.group] = option(config.split, "group")
    return options


def _read_tfds(config: SentimentConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    columns = _source_columns(config)
    frames, info = read_tfds(config.data, {name: name for name in columns}, _column_options(config))
    if len(config.columns.label) == 1 and config.columns.label_separator is None:
        frames = {name: _labelled_rows(frame, config.columns.label[0]) for name, frame in frames.items()}
    require_training_split(config.data, frames, frames)
    frames = {name: _convert_columns(config, frame, config.data) for name, frame in frames.items()}
    origin = Origin.of_tfds(info, digest="")
    name = info.name.removesuffix("_reviews")
    licence = info.redistribution_info.license or KNOWN_LICENCES.get(name, origin.licence)
    labelled = {split: frame for split, frame in frames.items() if split == "train" or len(frame)}
    return labelled, dataclasses.replace(origin, name=name, licence=licence)


def _labelled_rows(frame: pd.DataFrame, column: str) -> pd.DataFrame:
    """Returns the rows of a table with a label; a missing class of TensorFlow Datasets (-1) is ""."""
    is_missing = frame[column].map(lambda value: isinstance(value, str) and value == "")
    return frame[~is_missing].reset_index(drop=True)


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
    label_column = frame["label"]
    if has_groups:
        is_held_out = keep_labels(split_by_group(groups, fraction), groups, label_column.tolist())
    elif label_sets.is_label_sets(label_column):
        is_held_out = split_by_label_sets(groups, label_column.tolist(), fraction)
    elif label_column.is_unique:  # the column is no label, as the check of the classes says
        is_held_out = split_by_group(groups, fraction)
    else:
        is_held_out = split_by_label(groups, label_column.tolist(), fraction)
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
