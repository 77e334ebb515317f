"""Texts from any source into three splits: contiguous blocks of one text, or whole documents of many."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from shared import files, sources
from shared.errors import DataError
from shared.pipelines import split_by_group
from shared.sources import Origin, Splits
from tasks.next_word import sample
from tasks.next_word.config import NextWordConfig

PLAIN = (".txt", ".text", ".md", ".tokens")
SPLIT_SEED = 1  # not the training seed: runs of several seeds are judged on one split
FEWEST = 100  # characters of a split


def load(config: NextWordConfig) -> Splits:
    """Reads the texts and parts them into training, validation and test.

    Returns:
        Splits with a column `text`: lines of a text file, or documents, in their order.

    Raises:
        DataError: a file cannot be used, or there is too little text.
    """
    source = config.data
    own = source != "sample" and (sources.is_path(source) or _is_text(source))
    sources.reject_split_files(config, own)
    if source == "sample":
        parts, how = sample.split(), "whole topics, every tenth"
        origin = Origin("sample", sample.LOCATION, _digest(parts), sample.LICENCE, how)
    elif own:
        parts, origin = _files(config)
    else:
        parts, origin = _tfds(config)
    for name, part in parts.items():
        if part["text"].str.len().sum() < FEWEST:
            raise DataError(f"{source}: {name} has fewer than {FEWEST} characters. Give more text, or a larger share.")
    return Splits(**parts, origin=origin)


def read(config: NextWordConfig, source: str) -> tuple[pd.DataFrame, bool]:
    """Reads a text file, a folder of such, or a table, and tells whether its rows are documents.

    A text file is read line by line; its rows hang together. Files of a folder and rows of a table are documents.

    Raises:
        DataError: something is missing, empty, or no text.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        found = sorted(p for p in path.rglob("*") if p.is_file() and _is_text(p.name) and not p.name.startswith("."))
        if not found:
            raise DataError(f"{path}: the folder holds no text file. Their names should end in {', '.join(PLAIN)}.")
        return pd.DataFrame({"text": ["\n".join(_lines(file)) for file in found]}), True
    if _is_text(source):
        return pd.DataFrame({"text": _lines(path)}), False
    column = config.text.column
    frame = sources.read_table(source, [column]).rename(columns={column: "text"})
    wrong = [not isinstance(value, str) for value in frame["text"]]
    if any(wrong):
        row = wrong.index(True) + 1
        raise DataError(f'{source}, row {row}: column "{column}" holds no text; fill it or drop the row.')
    return frame, True


def _is_text(source: str) -> bool:
    path = Path(source).expanduser()
    return path.is_dir() or files.file_format(path) in PLAIN


def _lines(path: Path) -> list[str]:
    lines = files.read_text(path).strip("\n").split("\n")
    if not any(map(str.strip, lines)):
        raise DataError(f"{path}: the file is empty. It needs text.")
    return lines


def _files(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    given = {"train": config.data, "validation": config.validation_data, "test": config.test_data}
    found = {name: read(config, source) for name, source in given.items() if source}
    parts = {name: frame for name, (frame, _) in found.items()}
    documents = found["train"][1] and len(parts["train"]) > 1
    if len(parts["train"]) == 1:
        parts["train"] = pd.DataFrame({"text": parts["train"]["text"].iloc[0].split("\n")})
    told = [f"{name} as given" for name in parts if name != "train"]
    for name, share in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name not in parts:
            parts["train"], parts[name] = _kept_back(parts["train"], share, documents, config.data)
            told.append(f"{name} {share:.0%}, {'whole documents' if documents else 'the end of the text'}")
    paths = [Path(source).expanduser().resolve() for source in given.values() if source]
    name = paths[0].name if paths[0].is_dir() else paths[0].parent.name
    location = ", ".join(path.name for path in paths)
    return parts, Origin(name, location, _digest(parts), sources.USER_FILE_LICENCE, "; ".join(told))


def _tfds(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    tables, info = sources.read_tfds(config.data, {config.text.column: "text"})
    parts = {name: table for name, table in tables.items() if name in ("train", "validation", "test")}
    if "train" not in parts:
        raise DataError(f"{config.data}: has no split called train, but {', '.join(tables)}. Give a file of its texts.")
    if len(parts["train"]) == 1:
        parts = {name: pd.DataFrame({"text": table["text"].iloc[0].splitlines()}) for name, table in parts.items()}
    told = [f"{name} of the data set" for name in parts]
    for name, share in (("test", config.test_fraction), ("validation", config.validation_fraction)):
        if name not in parts:
            documents = len(tables["train"]) > 1
            parts["train"], parts[name] = _kept_back(parts["train"], share, documents, config.data)
            told.append(f"{name} {share:.0%} of train")
    licence = info.redistribution_info.license or "not stated"
    return parts, Origin(info.name, info.full_name, _digest(parts), licence, "; ".join(told))


def _kept_back(frame: pd.DataFrame, share: float, documents: bool, source: str) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Returns what is left of a text, and its end, or some of its documents."""
    if documents:
        chosen = split_by_group(list(range(len(frame))), share, SPLIT_SEED)
    else:
        length = np.cumsum(frame["text"].str.len().to_numpy() + 1)
        chosen = length > (1 - share) * length[-1]
    if chosen.all() or not chosen.any():
        raise DataError(f"{source}: has too few lines to be split. Give --validation-data and --test-data.")
    return frame[~chosen].reset_index(drop=True), frame[chosen].reset_index(drop=True)


def _digest(parts: Mapping[str, pd.DataFrame]) -> str:
    """Returns the SHA-256 of all texts."""
    digest = hashlib.sha256()
    for name in sorted(parts):
        digest.update(sources.sha256_records(parts[name]).encode())
    return digest.hexdigest()
