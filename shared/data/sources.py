"""From a `--data` value to raw records: the one place that tells the embedded sample, a file and a named data set apart.

A task gives one reader per kind of source to `load_source`. A problem with the data becomes a `DataError` that names the file, the
row (the first record is row 1) and the fix.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from shared.config import DataConfig, SplitFilesConfig, option
from shared.data.files import file_format
from shared.data.notices import Notice
from shared.data.tables import FORMATS
from shared.errors import DataError

T = TypeVar("T")

SAMPLE = "sample"
"""Value of `--data` for the embedded sample of a task, and the name of its data set."""
PROJECT_LICENCE = "Apache-2.0, as the project"
USER_FILE_LICENCE = "not stated; the terms of your files apply"
UNKNOWN_LICENCE = "not stated"


@dataclass(frozen=True)
class Origin:
    """Source of a data set, as the model card describes it."""

    name: str
    """Name of the data set; published scores are stored under it."""
    location: str
    """File names, or the full name of the TensorFlow data set."""
    sha256: str
    """SHA-256 of the bytes of the files, or of the records if there is no file."""
    licence: str
    """Licence that the source states, if any."""
    split_description: str
    """How the data were divided into training, validation and test split."""

    @classmethod
    def of_sample(
        cls, location: str, digest: str, split_description: str = "", licence: str = PROJECT_LICENCE
    ) -> Origin:
        """Describes the embedded sample of a task, whose name is `SAMPLE`.

        Args:
            location: what generates the sample, or where it comes from.
            digest: SHA-256 of the records, in hexadecimal.
            split_description: how the data were divided.
            licence: licence of the sample.
        """
        return cls(SAMPLE, location, digest, licence, split_description)

    @classmethod
    def of_files(cls, paths: Iterable[str], digest: str | None = None, split_description: str = "") -> Origin:
        """Describes files or folders of the user.

        The name is that of the folder of the first file, or of the first path itself if it is a folder: file names such as
        `train.csv` or `input.txt` are alike in many data sets. Keep each data set in its own folder, so that its scores get their own
        name.

        Args:
            paths: at least one file or folder; the first one has the training split.
            digest: SHA-256 in hexadecimal; None for that of the bytes of the files, one after the other.
            split_description: how the data were divided.

        Raises:
            OSError: `digest` is None, and a path is not a file that can be read.
        """
        paths = list(paths)
        first = Path(paths[0]).expanduser().resolve()
        return cls(
            name=first.name if first.is_dir() else first.parent.name,
            location=", ".join(map(file_name, paths)),
            sha256=sha256(*paths) if digest is None else digest,
            licence=USER_FILE_LICENCE,
            split_description=split_description,
        )

    @classmethod
    def of_tfds(cls, info: Any, digest: str, split_description: str = "") -> Origin:
        """Describes a TensorFlow data set.

        Args:
            info: TFDS `DatasetInfo`.
            digest: SHA-256 of the records, in hexadecimal.
            split_description: how the data were divided.
        """
        licence = info.redistribution_info.license or UNKNOWN_LICENCE
        return cls(info.name, info.full_name, digest, licence, split_description)


@dataclass(frozen=True)
class Splits:
    """Raw records of the three splits; the task's `load` describes the columns."""

    train: pd.DataFrame
    validation: pd.DataFrame
    test: pd.DataFrame
    origin: Origin
    sizes: Mapping[str, int] = field(default_factory=dict)
    """Number of training or scored records by split name, for tables that also hold other records."""
    config: Any = None
    """Configuration whose defaults were fitted to the data, such as column names and lengths; None if nothing was changed."""
    display: Mapping[str, Callable[[pd.Series], pd.Series] | None] = field(default_factory=dict)
    """Functions that make a column readable in `lstm-suite check`, such as dates from seconds since 1970; None hides the column."""

    notices: tuple[Notice, ...] = ()
    """What was noticed about the data."""
    details: Mapping[str, Callable[[pd.DataFrame], str]] = field(default_factory=dict)
    """Further rows of `lstm-suite check` by their titles: functions that summarize the table of a split in a few words."""

    def size(self, name: str) -> int:
        """Returns the number of training or scored records of a split."""
        return self.sizes.get(name, len(getattr(self, name)))


def load_source(
    config: DataConfig,
    *,
    sample: Callable[[], T],
    files: Callable[[], T],
    tfds: Callable[[], T] | None = None,
    named: Mapping[str, Callable[[str], T]] | None = None,
    suffixes: Collection[str] = (),
) -> T:
    """Calls the reader for the kind of source that `config.data` names, and returns its result.

    Args:
        config: `data`, and for some tasks `validation_data` and `test_data`.
        sample: reader of the embedded sample.
        files: reader of files and folders of the user.
        tfds: reader of a data set of TensorFlow Datasets; None if the task cannot use one.
        named: readers of other sources by the prefix that starts their name, such as "archive:"; each gets the rest of the name.
        suffixes: suffixes of files, beside those of tables, that make a value a path even if no such file exists.

    Raises:
        DataError: there is no such source; or separate files are given for the validation or test split of data that have their own
            splits; or the reader cannot use the data.
    """
    source = config.data
    is_user_file = source != SAMPLE and is_path(source, suffixes)
    if isinstance(config, SplitFilesConfig) and not is_user_file:
        _reject_split_files(config)
    if source == SAMPLE:
        return sample()
    for prefix, read in (named or {}).items():
        if source.startswith(prefix):
            return read(source.removeprefix(prefix))
    if is_user_file:
        return files()
    if tfds is None:
        raise DataError(f"{source}: no such file. Give the path of a file, or the name {SAMPLE}.")
    return tfds()


def _reject_split_files(config: SplitFilesConfig) -> None:
    for name in ("test_data", "validation_data"):
        if getattr(config, name):
            raise DataError(
                f"{option(config, name)} {getattr(config, name)}: {config.data} has its own splits. Remove the option, or give "
                f"a file as {option(config, 'data')}."
            )


def split_files(config: SplitFilesConfig) -> dict[str, str]:
    """Returns the files of the user by split name; a split without its own file is left out."""
    paths = {"train": config.data, "validation": config.validation_data, "test": config.test_data}
    return {name: path for name, path in paths.items() if path}


def read_split_files(
    config: SplitFilesConfig, read: Callable[[str], pd.DataFrame], digest: str | None = None
) -> tuple[dict[str, pd.DataFrame], Origin]:
    """Reads the files of the user (see `split_files`).

    Args:
        config: paths of the files.
        read: function from a path to a table.
        digest: as in `Origin.of_files`.

    Returns:
        Table by split name, and the description of the files without one of the split.

    Raises:
        DataError: from `read`.
    """
    paths = split_files(config)
    frames = {name: read(path) for name, path in paths.items()}
    return frames, Origin.of_files(paths.values(), digest)


def is_path(source: str, suffixes: Collection[str] = ()) -> bool:
    """Returns True if `source` is a path, False if it is the name of a data set.

    A path exists, has the suffix of a table or one of `suffixes`, or starts with ".", "/" or "~".
    """
    path = Path(source).expanduser()
    if path.exists() or source.startswith((".", "/", "~")):
        return True
    return bool(set(path.suffixes) & {*FORMATS, *suffixes}) or file_format(path) in suffixes


def file_name(path: str) -> str:
    """Returns the last part of a path; for a folder such as "." or "..", that of the folder that it stands for."""
    expanded = Path(path).expanduser()
    return expanded.resolve().name if expanded.is_dir() else expanded.name


def sha256(*paths: str) -> str:
    """Returns the SHA-256 of the bytes of the files, one after the other, in hexadecimal.

    Raises:
        OSError: a file cannot be read.
    """
    digest = hashlib.sha256()
    for path in paths:
        with Path(path).expanduser().open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    return digest.hexdigest()


def sha256_records(frame: pd.DataFrame) -> str:
    """Returns the SHA-256 of the records of a table in hexadecimal."""
    return hashlib.sha256(hash_records(frame)).hexdigest()


def hash_records(frame: pd.DataFrame) -> bytes:
    """Returns a hash of each record of a table, one after the other; those of two tables together are those of both in one."""
    return pd.util.hash_pandas_object(frame, index=False).to_numpy().tobytes()
