"""Reads texts from any source into three splits: consecutive parts of one text, or whole documents of several."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files
from shared.data.sources import Origin, Splits, load_source, sha256_records, split_files
from shared.data.splits import SPLITS, Selection, hold_out, split_by_group
from shared.data.tables import read_table
from shared.data.tfds import read_tfds, require_training_split
from shared.errors import DataError, RowError
from tasks.next_word import sample
from tasks.next_word.config import ColumnsConfig, NextWordConfig

TEXT_FORMATS = (".txt", ".text", ".md", ".tokens")
MIN_CHARACTERS = 100  # per split


def load(config: NextWordConfig) -> Splits:
    """Reads the texts and divides them into training, validation and test split.

    Returns:
        Splits with the column `text`: the lines of one text, or the documents, in their order.

    Raises:
        DataError: a file cannot be used, or a split has too little text.
    """
    frames, origin = load_source(
        config,
        sample=_read_sample,
        files=lambda: _read_files(config),
        tfds=lambda: _read_tfds(config),
        suffixes=TEXT_FORMATS,
    )
    origin = dataclasses.replace(origin, sha256=_sha256(frames))
    for name, frame in frames.items():
        count = int(frame["text"].str.len().sum())
        if count < MIN_CHARACTERS:
            raise DataError(
                f"{config.data}: the {name} split must have at least {MIN_CHARACTERS} characters. Received: {count}. Add text, or "
                "change --split.validation-fraction and --split.test-fraction."
            )
    return Splits(**frames, origin=origin)


def read_texts(columns: ColumnsConfig, source: str) -> tuple[pd.DataFrame, bool]:
    """Reads a text file, a folder of text files, or a table.

    Args:
        columns: column of the text in a table.
        source: path.

    Returns:
        A table with the column `text`, and whether its rows are documents. The rows of one text file are its lines, which belong
        together; each file of a folder and each row of a table is a document.

    Raises:
        DataError: a file is missing, empty or not text, or a table lacks the column.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        paths = sorted(p for p in path.rglob("*") if p.is_file() and is_text(p.name) and not p.name.startswith("."))
        if not paths:
            raise DataError(
                f"{path}: the folder contains no text file. Give a folder with files whose names end in "
                f"{', '.join(TEXT_FORMATS)}."
            )
        return pd.DataFrame({"text": ["\n".join(_read_lines(file)) for file in paths]}), True
    if is_text(source):
        return pd.DataFrame({"text": _read_lines(path)}), False
    column = columns.text
    frame = read_table(source, [column], options={column: option(columns, "text")})
    return pd.DataFrame({"text": require_texts(frame[column], source)}), True


def require_texts(values: pd.Series, source: str) -> pd.Series:
    """Returns a column whose cells are strings.

    Raises:
        RowError: a cell is not a string.
    """
    invalid = np.flatnonzero([not isinstance(value, str) for value in values])
    if len(invalid):
        problem = f'column "{values.name}" has no text. Fill it in or drop the row.'
        raise RowError(source, invalid, lambda row: problem)
    return values


def is_text(source: str) -> bool:
    """Returns True if a source is a text file or a folder, False if it is a table."""
    path = Path(source).expanduser()
    return path.is_dir() or files.file_format(path) in TEXT_FORMATS


def _read_lines(path: Path) -> list[str]:
    lines = files.read_text(path).strip("\n").split("\n")
    if not any(map(str.strip, lines)):
        raise DataError(f"{path}: the file is empty. Give a file with text.")
    return lines


def _read_sample() -> tuple[dict[str, pd.DataFrame], Origin]:
    description = "whole topics: every tenth is in the test split, every tenth in the validation split"
    return sample.split(), Origin.of_sample(sample.LOCATION, "", description, sample.LICENCE)


def _read_files(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    paths = split_files(config)
    tables = {name: read_texts(config.columns, path) for name, path in paths.items()}
    frames = {name: frame for name, (frame, _) in tables.items()}
    has_documents = tables["train"][1] and len(frames["train"]) > 1
    if len(frames["train"]) == 1:
        frames["train"] = pd.DataFrame({"text": frames["train"]["text"].iloc[0].split("\n")})
    frames, description = _divide(config, frames, has_documents)
    return frames, Origin.of_files(paths.values(), digest="", split_description=description)


def _read_tfds(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    column = config.columns.text
    tables, info = read_tfds(config.data, {column: "text"}, {column: option(config.columns, "text")})
    require_training_split(config.data, tables, tables)
    frames = {name: table for name, table in tables.items() if name in SPLITS}
    has_documents = len(frames["train"]) > 1
    if not has_documents:
        frames = {name: pd.DataFrame({"text": table["text"].iloc[0].splitlines()}) for name, table in frames.items()}
    frames, description = _divide(config, frames, has_documents)
    return frames, Origin.of_tfds(info, digest="", split_description=description)


def _divide(
    config: NextWordConfig, frames: dict[str, pd.DataFrame], has_documents: bool
) -> tuple[dict[str, pd.DataFrame], str]:
    """Returns the three splits, the missing ones held out from the training split, and their description."""
    has_test = "test" in frames

    def select(frame: pd.DataFrame, name: str, fraction: float) -> Selection:
        is_rest = name == "validation" and not has_test
        whole = "the rest" if is_rest else "the documents" if has_documents else "the text"
        if has_documents and len(frame) > 1:
            return split_by_group(range(len(frame)), fraction), f"{fraction:.0%} of {whole}"
        end = np.cumsum(frame["text"].str.len().to_numpy() + 1)
        where = "" if has_documents else ", from its end"
        return end > (1 - fraction) * end[-1], f"{fraction:.0%} of {whole}{where}"

    records = "documents" if has_documents else "lines"
    frames, descriptions = hold_out(frames, config, config.split, select, records)
    return frames, "; ".join(descriptions.values())


def _sha256(frames: Mapping[str, pd.DataFrame]) -> str:
    """Returns the SHA-256 of the texts of all splits, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(frames):
        digest.update(sha256_records(frames[name]).encode())
    return digest.hexdigest()
