"""From a `--data` value to raw records in a pandas table: a file of the user's, or a TensorFlow data set.

Every fault of the data becomes a `DataError` that names the file, the row (1 is the first record) and the remedy.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from shared import files
from shared.config import TaskConfig
from shared.errors import DataError

READERS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".jsonl": None, ".ndjson": None, ".parquet": None}
SEPARATORS = {".csv": ";\t|", ".tsv": "", ".txt": ",;|"}
"""Marks that may part the fields of a text file in the place of the one that its name promises."""
QUOTED = re.compile(rb'"[^"]*"')

USER_FILE_LICENCE = "that of your files: they state none"


@dataclass(frozen=True)
class Origin:
    """What a model card says of a data set."""

    name: str
    """Folder or data set name."""
    location: str
    """File names or the TensorFlow data set's full name."""
    sha256: str
    """Of the files' bytes, or of the records where there is no file."""
    licence: str
    """As far as the source states one."""
    split: str
    """How training, validation and test were told apart."""


@dataclass(frozen=True)
class Splits:
    """Raw records of the three splits, columns as the task's `load` describes them."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    origin: Origin
    sizes: Mapping[str, int] = field(default_factory=dict)
    """How many records train and judge, by the split's name, where a table holds others besides."""
    display: Mapping[str, Callable[[pd.Series], pd.Series] | None] = field(default_factory=dict)
    """How `lstm-suite check` shows a column that a reader would not know otherwise, such as seconds since 1970; None for not at
    all."""

    def size(self, name: str) -> int:
        """Returns how many records of a split train or judge."""
        return self.sizes.get(name, len(getattr(self, name)))


def reject_split_files(config: TaskConfig, own: bool) -> None:
    """Raises a `DataError` where files of single splits are given to data that has splits of its own.

    Args:
        config: with `data`, `validation_data` and `test_data`.
        own: whether the data are the user's files.
    """
    for option, value in (("--test-data", config.test_data), ("--validation-data", config.validation_data)):
        if value and not own:
            raise DataError(
                f"{option} {value} goes with a file as --data; {config.data} has its own splits. Leave it out."
            )


def is_path(source: str) -> bool:
    """Tells a path from the name of a TensorFlow data set: by what exists, then by its look."""
    path = Path(source).expanduser()
    return path.exists() or bool(set(path.suffixes) & set(READERS)) or source.startswith((".", "/", "~"))


def read_table(source: str, columns: Sequence[str], optional: Sequence[str] = ()) -> pd.DataFrame:
    """Reads the named columns of a table.

    Args:
        source: path of a .csv, .tsv, .jsonl or .parquet file, the text formats also as .gz, .xz or .bz2. Where the first line
            of a .csv has no comma, semicolons, tabs or bars part its fields.
        columns: names, or positions ("0", "1" …) in a .csv or .tsv file that has no header.
        optional: names of columns that are read where they are there.

    Returns:
        A table with exactly these columns, in this order; text stays text, empty cells of text files are "".

    Raises:
        DataError: the file is missing, a folder, empty, not what its name says, or lacks a column.
    """
    headerless = all(column.isdigit() for column in columns)
    frame = read_all(source, headerless)
    missing = [column for column in columns if column not in frame.columns]
    if missing:
        raise DataError(
            f'{Path(source).expanduser()}: no column "{missing[0]}". It has {_listed(frame.columns)}; name yours on the '
            "command line."
        )
    return frame[[*columns, *(column for column in optional if column in frame.columns and column not in columns)]]


def read_all(source: str, headerless: bool = False) -> pd.DataFrame:
    """Reads every column of a table (see `read_table`).

    Args:
        source: path of a file.
        headerless: a text file has no header; its columns are called "0", "1" and so on.

    Raises:
        DataError: as for `read_table`, but for columns.
    """
    path = Path(source).expanduser()
    kind = _kind(path)
    try:
        frame = _read(path, kind, headerless)
    except (UnicodeDecodeError, UnicodeError) as error:
        raise files.encoding_error(path, error) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.") from error
    except (ValueError, csv.Error, *files.BROKEN) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as {kind[1:]} ({reason}). Mend it there, if it is what its name says."
        ) from error
    if frame.empty:
        raise DataError(
            f"{path}: the file holds no records. It needs at least one, in a .csv or .tsv below the header."
        )
    return frame


def read_tfds(name: str, columns: Mapping[str, str]) -> tuple[dict[str, pd.DataFrame], Any]:
    """Reads every labelled split of a TensorFlow data set, downloading it first where that is needed.

    The folder is TFDS's own: the environment variable TFDS_DATA_DIR, or ~/tensorflow_datasets.

    Args:
        name: such as "imdb_reviews" or "glue/sst2:2.0.0".
        columns: names of the features to read, and what they are called in the result.

    Returns:
        A table for each split, class labels as their names, and the TFDS `DatasetInfo`.

    Raises:
        DataError: there is no such data set, it lacks a feature, or it can be neither found nor downloaded.
    """
    import tensorflow_datasets as tfds

    builder = open_tfds(name)
    missing = [column for column in columns if column not in builder.info.features]
    if missing:
        raise DataError(f'{name}: no feature "{missing[0]}". It has {_listed(builder.info.features)}.')
    prepare_tfds(builder, name)
    frames = {}
    for split in builder.info.splits:
        examples = tfds.as_numpy(builder.as_dataset(split=split))
        frame = pd.DataFrame([{column: example[column] for column in columns} for example in examples])
        frames[split] = _decoded(frame, builder.info.features).rename(columns=dict(columns))
    return frames, builder.info


def open_tfds(name: str) -> Any:
    """Returns the builder of a TensorFlow data set, which knows its features (see `read_tfds`).

    Raises:
        DataError: there is no such data set.
    """
    import tensorflow_datasets as tfds

    try:
        return tfds.builder(name, data_dir=os.environ.get("TFDS_DATA_DIR") or None)
    except Exception as error:  # no such name, configuration or version, or a library that it needs is not there
        raise DataError(
            f'"{name}" is neither a file here nor a TensorFlow data set to be had ({_first_line(error).rstrip(".")}). Check the '
            "spelling, or give a path such as ./data.csv."
        ) from error


def prepare_tfds(builder: Any, name: str) -> None:
    """Downloads a data set where it is not there yet.

    Raises:
        DataError: it can be neither found nor downloaded.
    """
    try:
        builder.download_and_prepare()
    except Exception as error:  # TFDS lets the errors of many download libraries through
        folder = os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
        raise DataError(
            f"{name}: not in {folder}, and the download failed ({type(error).__name__}: {_first_line(error)}). Check the "
            "network, or set TFDS_DATA_DIR to a folder that holds it."
        ) from error


def sha256(*paths: str) -> str:
    """Returns the SHA-256 of the files' bytes, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).expanduser().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256_records(frame: pd.DataFrame) -> str:
    """Returns the SHA-256 of a table's records in hexadecimal."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


def _kind(path: Path) -> str:
    """Returns the format by the path's suffix, after checking that there is a file at all."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give one file of {_listed(READERS)}, for example {path / 'train.csv'}.")
    files.require_file(path)
    kind = files.file_format(path)
    if kind not in READERS:
        raise DataError(
            f"{path}: unknown kind of file. Its name should end in one of {_listed(READERS)} (also with .gz or .xz)."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.")
    return kind


def _read(path: Path, kind: str, headerless: bool) -> pd.DataFrame:
    if kind == ".parquet":
        return pd.read_parquet(path)
    if kind in (".jsonl", ".ndjson"):
        return _read_jsonl(path)
    with files.open_file(path) as file:
        frame = pd.read_csv(
            file,
            sep=_separator(path, kind),
            header=None if headerless else 0,
            keep_default_na=False,
            dtype=str,
            encoding="utf-8-sig",
            quoting=csv.QUOTE_NONE if kind in (".tsv", ".txt") else csv.QUOTE_MINIMAL,
        )
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would take the first field for an index
        raise ValueError("row 1 has more fields than the header; a .csv field that holds a comma needs double quotes")
    frame.columns = frame.columns.map(str)
    if any("\x00" in str(column) for column in frame.columns):
        raise ValueError("binary content")
    return frame


def _separator(path: Path, kind: str) -> str:
    """Returns what stands between the fields: the kind's own mark, unless the first line has none of it, but another."""
    with files.open_file(path) as file:
        first = QUOTED.sub(b"", file.readline())
    own = str(READERS[kind])
    others = [mark for mark in SEPARATORS[kind] if mark.encode() in first]
    return own if own.encode() in first or not others else max(others, key=lambda mark: first.count(mark.encode()))


def _read_jsonl(path: Path) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    with files.open_file(path) as file:
        for line in file:
            text = line.decode("utf-8-sig" if not records else "utf-8").strip()
            if not text:
                continue
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"row {len(records) + 1}, character {error.pos + 1}: {error.msg}") from error
            if "\\u" in text and _lone_surrogate(record):
                raise ValueError(
                    f"row {len(records) + 1} holds half a character (a lone surrogate); cut the text elsewhere"
                )
            if not isinstance(record, dict):
                raise ValueError(f"row {len(records) + 1} is no object such as {{...}}")
            records.append(record)
    return pd.DataFrame(records)


def _lone_surrogate(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


def _decoded(frame: pd.DataFrame, features: Any) -> pd.DataFrame:
    """Turns bytes into text and class numbers into class names."""
    for column in frame.columns:
        names = getattr(features[column], "names", None)
        if names is not None:
            frame[column] = [names[k] if 0 <= k < len(names) else "" for k in frame[column]]
        elif len(frame) and isinstance(frame[column].iloc[0], bytes):
            frame[column] = [value.decode("utf-8", errors="replace") for value in frame[column]]
    return frame


def _first_line(error: BaseException) -> str:
    text = str(error).strip()
    return text.splitlines()[0][:400] if text else "no further word"


def _listed(names: Any) -> str:
    return ", ".join(str(name) for name in names)
