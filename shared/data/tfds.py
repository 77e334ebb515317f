"""Data sets of TensorFlow Datasets: opened, downloaded if necessary, and read as tables."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import Any

import pandas as pd

from shared.data.tables import require_columns
from shared.errors import DataError


def read_tfds(
    name: str, columns: Mapping[str, str], options: Mapping[str, str] | None = None
) -> tuple[dict[str, pd.DataFrame], Any]:
    """Reads all splits of a TensorFlow data set, after downloading it if necessary.

    The folder is the value of the environment variable TFDS_DATA_DIR, by default ~/tensorflow_datasets.

    Args:
        name: such as "imdb_reviews" or "glue/sst2:2.0.0".
        columns: features to read, with their column names in the result.
        options: command-line option that names each feature, for the error message.

    Returns:
        Table of each split, class ids replaced with class names, and the TFDS `DatasetInfo`.

    Raises:
        DataError: there is no such data set, it lacks a feature, or it can be neither found nor downloaded.
    """
    import tensorflow_datasets as tfds

    builder = open_tfds(name)
    require_columns(name, builder.info.features, columns, options, kind="feature")
    prepare_tfds(builder, name)
    frames = {}
    for split in builder.info.splits:
        examples = tfds.as_numpy(builder.as_dataset(split=split))
        frame = pd.DataFrame([{column: example[column] for column in columns} for example in examples])
        frames[split] = _decode_features(frame, builder.info.features).rename(columns=dict(columns))
    return frames, builder.info


def open_tfds(name: str) -> Any:
    """Returns the builder of a TensorFlow data set, which describes its features (see `read_tfds`).

    Raises:
        DataError: there is no such data set.
    """
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR") or None)
    except Exception as error:  # unknown name, configuration or version, or a missing library
        raise DataError(
            f'"{name}" is neither an existing file nor an available TensorFlow data set ({_first_line(error).rstrip(".")}). '
            "Check the spelling, or give a path such as ./data.csv."
        ) from error


def prepare_tfds(builder: Any, name: str) -> None:
    """Downloads a data set unless it is already prepared.

    Raises:
        DataError: it can be neither found nor downloaded.
    """
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS passes on the errors of many download libraries
        folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        raise DataError(
            f"{name}: not in {folder}, and the download failed ({type(error).__name__}: {_first_line(error)}). Check the "
            "network, or set TFDS_DATA_DIR to a folder that contains the data set."
        ) from error


def require_training_split(name: str, splits: Iterable[str], available: Iterable[str]) -> None:
    """Checks that a data set has a training split.

    Args:
        name: name of the data set, for the message.
        splits: names of the splits that the task uses.
        available: names of all its splits, for the message.

    Raises:
        DataError: "train" is not one of `splits`.
    """
    if "train" not in splits:
        raise DataError(
            f'{name}: there is no split "train". The splits are {", ".join(available)}. Give a file instead.'
        )


def _decode_features(frame: pd.DataFrame, features: Any) -> pd.DataFrame:
    """Converts bytes to text and class ids to class names; a missing class (-1) becomes ""."""
    for column in frame.columns:
        names = getattr(features[column], "names", None)
        if names is not None:
            frame[column] = [names[k] if 0 <= k < len(names) else "" for k in frame[column]]
        elif len(frame) and isinstance(frame[column].iloc[0], bytes):
            frame[column] = [value.decode("utf-8", errors="replace") for value in frame[column]]
    return frame


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:400] if text else "no details"
