"""Reads texts from any source into three splits: consecutive parts of one text, or whole documents of several."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data import files
from shared.data.labelled_texts import list_text_files
from shared.data.notices import add_notice, count_noun
from shared.data.scripts import summarize_scripts
from shared.data.sources import Origin, Splits, load_source, sha256_records, split_files
from shared.data.splits import SPLITS, Selection, hold_out, split_by_group
from shared.data.tables import FORMATS, read_table
from shared.data.tfds import read_tfds, require_training_split
from shared.errors import DataError, RowError
from tasks.next_word import sample
from tasks.next_word.config import NextWordConfig
from tasks.next_word.wrapped_lines import is_wrapped, join_wrapped

TEXT_FORMATS = (".txt", ".text", ".md", ".tokens")
TABLE_FORMATS = frozenset(FORMATS) - frozenset(TEXT_FORMATS)
MIN_CHARACTERS = 100  # per split
FEW_CHARACTERS = 150  # per split; a larger fraction is held out to have them
MAX_FITTED_FRACTION = 0.25
MIN_DOCUMENTS = 3  # fewer are divided as one text
MAX_LINE_FRACTION = 0.05  # of the text; longer lines are cut where they are divided
MIN_PIECE = 80  # characters
PIECES = 50  # of a text in one line
MAX_WRAPPED_LINES = 5_000  # that show whether a text is hard-wrapped
UNSPACED_ENDS = ("。", "！", "？")
SENTENCE_END = re.compile(r"(?<=[.!?…])\s+|(?<=[。！？])\s*")


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
    return Splits(**frames, origin=origin, details={"scripts": lambda frame: summarize_scripts(frame["text"])})


def read_texts(config: NextWordConfig, source: str) -> tuple[pd.DataFrame, bool]:
    """Reads a text file, a folder of text files, or a table; `--text.join-lines` joins hard-wrapped lines.

    Args:
        config: column of the text in a table, and whether lines are joined.
        source: path.

    Returns:
        A table with the column `text`, and whether its rows are documents. The rows of one text file are its lines, which belong
        together; each file of a folder and each row of a table is a document.

    Raises:
        DataError: a file is missing, empty or not text, or a table lacks the column.
    """
    path = Path(source).expanduser()
    if path.is_dir():
        return read_folder(config, path)[["text"]], True
    if is_text(source):
        lines = _read_lines(path)
        return pd.DataFrame({"text": join_wrapped(lines) if config.text.join_lines else lines}), False
    column = config.columns.text
    frame = read_table(source, [column], options={column: option(config.columns, "text")})
    return pd.DataFrame({"text": join_lines(config, require_texts(frame[column], source))}), True


def join_lines(config: NextWordConfig, documents: Iterable[str]) -> list[str]:
    """Returns documents; with `--text.join-lines`, each paragraph of their hard-wrapped lines is one line."""
    if not config.text.join_lines:
        return list(documents)
    return ["\n".join(join_wrapped(document.splitlines())) for document in documents]


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
    """Returns True if a source is a folder or a text file, whose suffix may say nothing, and False if it is a table."""
    path = Path(source).expanduser()
    return path.is_dir() or files.file_format(path) not in TABLE_FORMATS


def _read_lines(path: Path) -> list[str]:
    lines = files.read_text(path).strip("\n").split("\n")
    if not any(map(str.strip, lines)):
        raise DataError(f"{path}: the file is empty. Give a file with text.")
    return lines


def read_folder(config: NextWordConfig, folder: Path) -> pd.DataFrame:
    """Reads the text files of a folder into the columns `file` and `text`, without empty files, which a notice names.

    Raises:
        DataError: there is no text file with text, or a file is not text.
    """
    paths = list_text_files(folder, TEXT_FORMATS)
    if not paths:
        raise DataError(
            f"{folder}: the folder contains no text file. Give a folder with files whose names end in "
            f"{', '.join(TEXT_FORMATS)}."
        )
    texts = [text.strip("\n") for text in files.read_texts(paths, folder)]
    names = [str(path.relative_to(folder)) for path in paths]
    empty = [name for name, text in zip(names, texts, strict=True) if not text.strip()]
    if len(empty) == len(texts):
        raise DataError(f"{folder}: all text files are empty. Give files with text.")
    if empty:
        add_notice(
            f"{folder}: {count_noun(len(empty), 'empty file')} left out: {', '.join(empty[:3])}{' …' * (len(empty) > 3)}."
        )
    frame = pd.DataFrame({"file": names, "text": texts}, dtype=object)
    frame = frame[frame["text"].str.strip() != ""].reset_index(drop=True)
    return frame.assign(text=pd.Series(join_lines(config, frame["text"]), dtype=object))


def _read_sample() -> tuple[dict[str, pd.DataFrame], Origin]:
    description = "whole topics: every tenth is in the test split, every tenth in the validation split"
    return sample.split(), Origin.of_sample(sample.LOCATION, "", description, sample.LICENCE)


def _read_files(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    paths = split_files(config)
    tables = {name: read_texts(config, path) for name, path in paths.items()}
    frames = {name: frame for name, (frame, _) in tables.items()}
    _notice_wrapped_lines(config, frames["train"]["text"])
    documents = len(frames["train"])
    has_documents = tables["train"][1] and documents >= MIN_DOCUMENTS
    if tables["train"][1] and not has_documents:
        lines = "\n".join(frames["train"]["text"]).split("\n")
        if documents > 1:
            add_notice(
                f"{config.data}: {documents} documents are too few to hold out whole ones; they are divided as one text."
            )
        frames["train"] = pd.DataFrame({"text": lines})
    if not has_documents and len(paths) < len(SPLITS):
        frames["train"] = _cut_long_lines(frames["train"], config.data)
    frames, description = _divide(config, frames, has_documents)
    return frames, Origin.of_files(paths.values(), digest="", split_description=description)


def _read_tfds(config: NextWordConfig) -> tuple[dict[str, pd.DataFrame], Origin]:
    column = config.columns.text
    tables, info = read_tfds(config.data, {column: "text"}, {column: option(config.columns, "text")})
    require_training_split(config.data, tables, tables)
    frames = {name: table for name, table in tables.items() if name in SPLITS}
    has_documents = len(frames["train"]) > 1
    frames = {name: table.assign(text=join_lines(config, table["text"])) for name, table in frames.items()}
    _notice_wrapped_lines(config, frames["train"]["text"])
    if not has_documents:
        frames = {name: pd.DataFrame({"text": table["text"].iloc[0].splitlines()}) for name, table in frames.items()}
    frames, description = _divide(config, frames, has_documents)
    return frames, Origin.of_tfds(info, digest="", split_description=description)


def _notice_wrapped_lines(config: NextWordConfig, texts: Iterable[str]) -> None:
    """Proposes `--text.join-lines` for a text whose lines look hard-wrapped."""
    lines = [line for text in itertools.islice(texts, MAX_WRAPPED_LINES) for line in text.split("\n")]
    if not config.text.join_lines and is_wrapped(lines[:MAX_WRAPPED_LINES]):
        add_notice(
            f"{config.data}: most lines end because the next word does not fit; the model learns these line ends.",
            hint=f"Join the lines to paragraphs with {option(config.text, 'join_lines')}.",
        )


def _divide(
    config: NextWordConfig, frames: dict[str, pd.DataFrame], has_documents: bool
) -> tuple[dict[str, pd.DataFrame], str]:
    """Returns the three splits, the missing ones held out from the training split, and their description."""
    has_test = "test" in frames

    def select(frame: pd.DataFrame, name: str, fraction: float) -> Selection:
        fraction = _fit_fraction(config, int(frame["text"].str.len().sum()), name, fraction)
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


def _cut_long_lines(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Cuts lines that have much of a text at the ends of sentences, or at spaces, so that the text can be divided."""
    total = int(frame["text"].str.len().sum())
    size = max(MIN_PIECE, total // PIECES)
    is_long = frame["text"].str.len() > max(size, MAX_LINE_FRACTION * total)
    if not is_long.any():
        return frame
    lines = [
        piece
        for line, cut in zip(frame["text"], is_long, strict=True)
        for piece in (_cut_line(line, size) if cut else [line])
    ]
    add_notice(
        f"{source}: {count_noun(int(is_long.sum()), 'line')} with more than {MAX_LINE_FRACTION:.0%} of the text cut into shorter lines, at the "
        "ends of sentences where possible, so that the text can be divided."
    )
    return pd.DataFrame({"text": lines})


def _cut_line(line: str, size: int) -> list[str]:
    """Returns pieces of a line with about `size` characters: whole sentences, or else whole words, or else characters."""
    pieces: list[str] = []
    for sentence in SENTENCE_END.split(line):
        words = sentence.split(" ") if len(sentence) > 2 * size else [sentence]
        for word in words:
            parts = [word[k : k + size] for k in range(0, len(word), size)] if len(word) > 2 * size else [word]
            for part in parts:
                separator = "" if len(parts) > 1 or (pieces and pieces[-1][-1:] in UNSPACED_ENDS) else " "
                if pieces and len(pieces[-1]) + len(part) < size:
                    pieces[-1] += separator + part
                else:
                    pieces.append(part)
    return [piece for piece in pieces if piece]


def _fit_fraction(config: NextWordConfig, characters: int, name: str, fraction: float) -> float:
    """Returns a larger fraction, with a notice, if a split of a short text would be too small to measure anything."""
    fitted = min(MAX_FITTED_FRACTION, FEW_CHARACTERS / max(characters, 1))
    if fitted <= fraction:
        return fraction
    add_notice(
        f"{config.data}: the text is short: {fitted:.0%} instead of {fraction:.0%} of it are held out for the {name} split.",
        hint=f"Scores of so little text are uncertain; add text, or give a file with --{name}-data.",
    )
    return fitted


def _sha256(frames: Mapping[str, pd.DataFrame]) -> str:
    """Returns the SHA-256 of the texts of all splits, in hexadecimal."""
    digest = hashlib.sha256()
    for name in sorted(frames):
        digest.update(sha256_records(frames[name]).encode())
    return digest.hexdigest()
