"""From a `--data` value to raw records in a pandas table: a file of the user, or a TensorFlow data set.

A problem with the data becomes a `DataError` that names the file, the row (the first record is row 1) and the fix.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from shared.config import SplitFilesTaskConfig
from shared.data import files
from shared.errors import DataError

FORMATS = {".csv": ",", ".tsv": "\t", ".txt": "\t", ".jsonl": None, ".ndjson": None, ".parquet": None}
"""Suffixes of tables, with the separator of the fields in a text table."""
ALTERNATIVE_SEPARATORS = {".csv": ";\t|", ".tsv": "", ".txt": ",;|"}
"""Separators that a text table may have instead of the one in `FORMATS`."""
QUOTED = re.compile(rb'"[^"]*"')

USER_FILE_LICENCE = "not stated; the terms of your files apply"


@dataclass(frozen=True)
class Origin:
    """Source of a data set, as the model card describes it."""

    name: str
    """Name of the folder or of the data set."""
    location: str
    """File names, or the full name of the TensorFlow data set."""
    sha256: str
    """SHA-256 of the bytes of the files, or of the records if there is no file."""
    licence: str
    """Licence that the source states, if any."""
    split_description: str
    """How the data were divided into training, validation and test split."""


@dataclass(frozen=True)
class Splits:
    """Raw records of the three splits; the task's `load` describes the columns."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    origin: Origin
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Number of training or scored records by split name, for tables that also hold other records."""
    display: Mapping[str, Callable[[pd.Series], pd.Series] | None] = field(default_factory=dict)
    """Functions that make a column readable in `lstm-suite check`, such as dates from seconds since 1970; None hides the column."""

    def size(self, name: str) -> int:
        """Returns the number of training or scored records of a split."""
        return self.sizes.get(name, len(getattr(self, name)))


def reject_split_files(config: SplitFilesTaskConfig, is_user_file: bool) -> None:
    """Checks that separate validation and test files are given only together with a file as `--data`.

    Args:
        config: `data`, `validation_data` and `test_data`.
        is_user_file: True if `data` names a file or folder of the user.

    Raises:
        DataError: the data have their own splits, and a separate file is given for one of them.
    """
    for split, value in (("test", config.test_data), ("validation", config.validation_data)):
        if value and not is_user_file:
            raise DataError(
                f"--{split}-data {value}: {config.data} has its own splits. Remove the option, or give a file as --data."
            )


def is_path(source: str) -> bool:
    """Returns True if `source` is a path, False if it is the name of a TensorFlow data set.

    A path exists, has the suffix of a table, or starts with ".", "/" or "~".
    """
    path = Path(source).expanduser()
    return path.exists() or bool(set(path.suffixes) & set(FORMATS)) or source.startswith((".", "/", "~"))


def is_table(source: str, column: str) -> bool:
    """Returns True if a file is a table, False if its lines are the inputs of `predict`.

    Every format of a table except .txt always is one. A .txt file is a table if its first line names the column, or has tabs.

    Raises:
        DataError: the file is missing or damaged.
    """
    path = Path(source).expanduser()
    suffix = files.file_format(path)
    if suffix not in FORMATS or path.is_dir():
        return False
    if suffix != ".txt":
        return True
    header = files.read_first_line(path)
    return "\t" in header or any(column in header.split(separator) for separator in ALTERNATIVE_SEPARATORS[suffix])


def read_table(
    source: str, columns: Sequence[str], optional: Sequence[str] = (), options: Mapping[str, str] | None = None
) -> pd.DataFrame:
    """Reads columns of a table.

    Args:
        source: path of a .csv, .tsv, .txt, .jsonl, .ndjson or .parquet file; the text formats also with .gz, .xz or .bz2. The
            fields of a .csv file may also be separated by semicolons, tabs or bars if its first line has no comma.
        columns: names, or positions ("0", "1" …) in a text table without a header.
        optional: names of columns that are read if they exist.
        options: command-line option that names each column, such as `{"CUSTOMER_ID": "--columns.card"}`, for the error
            message.

    Returns:
        Table with exactly these columns, in this order. Text remains text; empty cells of text tables are "".

    Raises:
        DataError: the file is missing, a folder, empty, not in the format of its suffix, or lacks a column.
    """
    headerless = all(column.isdigit() for column in columns)
    frame = read_all(source, headerless)
    require_columns(str(Path(source).expanduser()), frame.columns, columns, options)
    return frame[[*columns, *(column for column in optional if column in frame.columns and column not in columns)]]


def require_columns(
    source: str,
    available: Iterable[str],
    columns: Iterable[str],
    options: Mapping[str, str] | None = None,
    kind: str = "column",
) -> None:
    """Checks that data have all columns that a task needs.

    Args:
        source: file or data set, for the error message.
        available: names of the columns that the data have.
        columns: names of the columns that are needed.
        options: command-line option that names each column, for the error message.
        kind: noun for a column in the error message.

    Raises:
        DataError: a column is missing; the message lists the available columns and names the option.
    """
    names = list(available)
    missing = [column for column in columns if column not in names]
    if missing:
        option = (options or {}).get(missing[0])
        fix = f"with {option}" if option else "on the command line"
        raise DataError(
            f'{source}: no {kind} "{missing[0]}". The {kind}s are {_join(names)}. Name the right one {fix}.'
        )


def read_all(source: str, headerless: bool = False) -> pd.DataFrame:
    """Reads all columns of a table (see `read_table`).

    Args:
        source: path of a file.
        headerless: True if a text table has no header; its columns are then named "0", "1" and so on.

    Raises:
        DataError: the file is missing, a folder, empty, or not in the format of its suffix.
    """
    path = Path(source).expanduser()
    suffix = _require_table(path)
    try:
        frame = _read(path, suffix, headerless)
    except (UnicodeDecodeError, UnicodeError) as error:
        raise files.encoding_error(path, error) from error
    except pd.errors.EmptyDataError as error:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.") from error
    except (ValueError, csv.Error, *files.READ_ERRORS) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise DataError(
            f"{path}: cannot be read as {suffix[1:]} ({reason}). Correct the file, or rename it if it has another format."
        ) from error
    if frame.empty:
        raise DataError(f"{path}: the file has no records. It needs at least one, in a .csv or .tsv below the header.")
    return frame


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


def sha256(*paths: str) -> str:
    """Returns the SHA-256 of the bytes of the files, one after the other, in hexadecimal."""
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).expanduser().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256_records(frame: pd.DataFrame) -> str:
    """Returns the SHA-256 of the records of a table in hexadecimal."""
    return hashlib.sha256(pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()).hexdigest()


def _require_table(path: Path) -> str:
    """Returns the format of a table by its suffix, after checking that the file exists and is not empty."""
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give one file ({_join(FORMATS)}), for example {path / 'train.csv'}.")
    files.require_file(path)
    suffix = files.file_format(path)
    if suffix not in FORMATS:
        raise DataError(
            f"{path}: unknown file format. Give a file whose name ends in {_join(FORMATS)}; text formats may be "
            "compressed (.gz, .xz, .bz2)."
        )
    if path.stat().st_size == 0:
        raise DataError(f"{path}: the file is empty. It needs a header line and at least one record.")
    return suffix


def _read(path: Path, suffix: str, headerless: bool) -> pd.DataFrame:
    if suffix == ".parquet":
        return pd.read_parquet(path)
    if suffix in (".jsonl", ".ndjson"):
        return _read_jsonl(path)
    with files.open_file(path) as file:
        frame = pd.read_csv(
            file,
            sep=_find_separator(path, suffix),
            header=None if headerless else 0,
            keep_default_na=False,
            dtype=str,
            encoding="utf-8-sig",
            quoting=csv.QUOTE_NONE if suffix in (".tsv", ".txt") else csv.QUOTE_MINIMAL,
        )
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would use the first field as the index
        raise ValueError("row 1 has more fields than the header; put a .csv field with a comma in double quotes")
    frame.columns = frame.columns.map(str)
    if any("\x00" in str(column) for column in frame.columns):
        raise ValueError("binary content")
    return frame


def _find_separator(path: Path, suffix: str) -> str:
    """Returns the separator of a text table: the one of its format, or an alternative if only that is in the first line."""
    with files.open_file(path) as file:
        first_line = QUOTED.sub(b"", file.readline())
    default = str(FORMATS[suffix])
    alternatives = [separator for separator in ALTERNATIVE_SEPARATORS[suffix] if separator.encode() in first_line]
    if default.encode() in first_line or not alternatives:
        return default
    return max(alternatives, key=lambda separator: first_line.count(separator.encode()))


def _read_jsonl(path: Path) -> pd.DataFrame:
    records: list[dict[str, Any]] = []
    with files.open_file(path) as file:
        for line in file:
            text = line.decode("utf-8-sig" if not records else "utf-8").strip()
            if not text:
                continue
            row = len(records) + 1
            try:
                record = json.loads(text)
            except json.JSONDecodeError as error:
                raise ValueError(f"row {row}, character {error.pos + 1}: {error.msg}") from error
            if "\\u" in text and _has_lone_surrogate(record):
                raise ValueError(f"row {row} contains half a character, a lone surrogate such as \\ud83d")
            if not isinstance(record, dict):
                raise ValueError(f"row {row} is not an object such as {{...}}")
            records.append(record)
    return pd.DataFrame(records)


def _has_lone_surrogate(record: Any) -> bool:
    try:
        json.dumps(record, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return True
    return False


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


def _join(names: Iterable[str]) -> str:
    return ", ".join(map(str, names))
