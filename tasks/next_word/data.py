"""Reads texts from any source into three splits: consecutive parts of one text, or whole documents of several."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files, sources
from shared.data.pipelines import split_by_group
from shared.data.sources import Origin, Splits
from shared.errors import DataError
from tasks.next_word import sample
from tasks.next_word.config import ColumnsConfig, NextWordConfig

TEXT_FORMATS = (".txt", ".text", ".md", ".tokens")
SPLIT_SEED = 1  # independent of the training seed, so that runs with several seeds have the same test split
MIN_CHARACTERS = 100  # per split


def load(config: NextWordConfig) -> Splits:
    """Reads the texts and divides them into training, validation and test split.

    Returns:
        Splits with the column `text`: the lines of one text, or the documents, in their order.

    Raises:
        DataError: a file cannot be used, or a split has too little text.
    """
    source = config.data
    has_user_files = source != "sample" and (sources.is_path(source) or _is_text(source))
    sources.reject_split_files(config, has_user_files)
    if source == "sample":
        frames = sample.split()
        description = "whole topics: every tenth is in the test split, every tenth in the validation split"
        origin = Origin("sample", sample.LOCATION, _sha256(frames), sample.LICENCE, description)
    elif has_user_files:
        frames, origin = _load_files(config)
    else:
        frames, origin = _load_tfds(config)
    for name, frame in frames.items():
        count = int(frame["text"].str.len().sum())
        if count < MIN_CHARACTERS:
            raise DataError(
                f"{source}: the {name} split must have at least {MIN_CHARACTERS} characters. Received: {count}. Add text, or "
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
        paths = sorted(p for p in path.rglob("*") if p.is_file() and _is_text(p.name) and not p.name.startswith("."))
        if not paths:
            raise DataError(
                f"{path}: the folder contains no text file. Give a folder with files whose names end in "
                f"{', '.join(TEXT_FORMATS)}."
            )
        return pd.DataFrame({"text": ["\n".join(_read_lines(file)) for file in paths]}), True
    if _is_text(source):
        return pd.DataFrame({"text": _read_lines(path)}), False
    column = columns.text
    frame = sources.read_table(source, [column], options={column: option(columns, "text")})
    frame = frame.rename(columns={column: "text"})
    is_invalid = [not isinstance(value, str) for value in frame["text"]]
    if any(is_invalid):
        row = is_invalid.index(True) + 1
        raise DataError(f'{source}, row {row}: column "{column}" has no text. Fill it in or drop the row.')
    return frame, True


def _is_text(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or files.file_format(path) in TEXT_FORMATS


def _read_lines(path: Path) -> list[str]:
    lines = files.read_text(path).strip("\n").split("\n")
    if not any(map(str.strip, lines)):
        raise DataError(f"{path}: the file is empty. Give a file with text.")
    return lines


def _load_files(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    paths = {"train": config.data, "validation": config.validation_data, "test": config.test_data}
    tables = {name: read_texts(config.columns, path) for name, path in paths.items() if path}
    frames = {name: frame for name, (frame, _) in tables.items()}
    has_documents = tables["train"][1] and len(frames["train"]) > 1
    if len(frames["train"]) == 1:
        frames["train"] = pd.DataFrame({"text": frames["train"]["text"].iloc[0].split("\n")})
    descriptions = [f"{name} from {Path(paths[name] or '').name}" for name in frames if name != "train"]
    descriptions += _hold_out_missing_splits(config, frames, has_documents)
    resolved = [Path(path).expanduser().resolve() for path in paths.values() if path]
    name = resolved[0].name if resolved[0].is_dir() else resolved[0].parent.name
    location = ", ".join(path.name for path in resolved)
    return frames, Origin(name, location, _sha256(frames), sources.USER_FILE_LICENCE, "; ".join(descriptions))


def _load_tfds(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    column = config.columns.text
    tables, info = sources.read_tfds(config.data, {column: "text"}, {column: option(config.columns, "text")})
    frames = {name: table for name, table in tables.items() if name in ("train", "validation", "test")}
    if "train" not in frames:
        raise DataError(
            f'{config.data}: there is no split "train". The splits are {", ".join(tables)}. Give a file with the texts.'
        )
    has_documents = len(frames["train"]) > 1
    if not has_documents:
        frames = {name: pd.DataFrame({"text": table["text"].iloc[0].splitlines()}) for name, table in frames.items()}
    descriptions = [f"{name} split of the data set" for name in frames]
    descriptions += _hold_out_missing_splits(config, frames, has_documents)
    licence = info.redistribution_info.license or "not stated"
    return frames, Origin(info.name, info.full_name, _sha256(frames), licence, "; ".join(descriptions))


def _hold_out_missing_splits(config: NextWordConfig, frames: dict[str, pd.DataFrame], has_documents: bool) -> list[str]:
    """Adds the test and the validation split to `frames` where they are missing, from the training split.

    Returns:
        A description of each added split.
    """
    descriptions: list[str] = []
    fractions = (("test", config.split.test_fraction), ("validation", config.split.validation_fraction))
    for name, fraction in fractions:
        if name not in frames:
            frames["train"], frames[name] = _hold_out(frames["train"], fraction, has_documents, config.data)
            whole = "the rest" if descriptions else "the documents" if has_documents else "the text"
            descriptions.append(f"{name} {fraction:.0%} of {whole}" + ("" if has_documents else ", from its end"))
    return descriptions


def _hold_out(
    frame: pd.DataFrame, fraction: float, has_documents: bool, source: str
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns the remaining rows and the rows held out: the end of a text, or some of the documents."""
    if has_documents and len(frame) > 1:
        is_held_out = split_by_group(list(range(len(frame))), fraction, SPLIT_SEED)
    else:
        end = np.cumsum(frame["text"].str.len().to_numpy() + 1)
        is_held_out = end > (1 - fraction) * end[-1]
    if is_held_out.all() or not is_held_out.any():
        unit = "documents" if has_documents else "lines"
        raise DataError(
            f"{source}: too few {unit} to divide into training, validation and test split. Add text, or give "
            "--validation-data and --test-data."
        )
    return frame[~is_held_out].reset_index(drop=True), frame[is_held_out].reset_index(drop=True)


def _sha256(frames: Mapping[str, pd.DataFrame]) -> str:
    """Returns the SHA-256 of the texts of all splits, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(frames):
        digest.update(sources.sha256_records(frames[name]).encode())
    return digest.hexdigest()
