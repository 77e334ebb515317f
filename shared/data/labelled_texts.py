"""Labelled texts that are no table: a folder per class with a file per text, and files in the format of fastText."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shared.data import files
from shared.data.notices import add_notice, count_noun
from shared.errors import DataError

SPLIT_FOLDERS = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("validation", "valid", "val", "dev"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
"""Names of folders in lower case that hold a split, with the name of the split."""
UNLABELLED_FOLDERS = ("unsup", "unlabeled", "unlabelled")
TEXT_SUFFIXES = (".txt", ".text", ".md")
FILE_SUFFIX = re.compile(r"\.[A-Za-z]\w*")
FASTTEXT_LABEL = "__label__"
FASTTEXT_MARK = re.compile(rf"(?:^|\s+){FASTTEXT_LABEL}(\S+)")
MAX_LISTED = 3  # names in a message
LABEL_SEPARATOR = ","
"""Separator between several labels of one fastText line."""


def read_class_folders(folder: Path) -> dict[str, pd.DataFrame]:
    """Reads a folder with one folder per class, and one text file per text in it.

    The folders of the classes are in `train`, `test` and so on (see `SPLIT_FOLDERS`), or directly in the folder, which is then
    the training split. Folders without labels, such as `unsup` of the IMDB reviews, and empty files are left out with a notice.

    Args:
        folder: the folder.

    Returns:
        Table by split name, "train" at least, with the columns `text` and `label`, both strings.

    Raises:
        DataError: there are no folders with text files, or no training split.
    """
    folder = _inner_folder(folder)
    splits = {SPLIT_FOLDERS[path.name.lower()]: path for path in _folders(folder) if path.name.lower() in SPLIT_FOLDERS}
    if not splits:
        return {"train": _read_split(folder)}
    if "train" not in splits:
        raise DataError(
            f"{folder}: there is no folder train beside {', '.join(path.name for path in splits.values())}. Add one, or give the "
            "folder of the classes itself."
        )
    return {name: _read_split(path) for name, path in splits.items()}


def read_text_folder(folder: Path) -> pd.DataFrame:
    """Returns the columns `file` and `text` of all text files in a folder and its folders, in the order of their paths.

    Raises:
        DataError: the folder has no text file, or a file cannot be read.
    """
    paths = list_text_files(folder)
    if not paths:
        raise _no_files_error(folder)
    return pd.DataFrame(
        {"file": [str(path.relative_to(folder)) for path in paths], "text": files.read_texts(paths, folder)},
        dtype=object,
    )


def read_plain_texts(path: Path) -> pd.DataFrame | None:
    """Returns the texts of a folder or of a fastText file without their labels; None for any other file.

    The column is `text`; a folder has the column `file` before it, the paths of the texts in the folder.

    Raises:
        DataError: the folder has no text file, or a file cannot be read.
    """
    if path.is_dir():
        return read_text_folder(path)
    if path.exists() and is_fasttext(path):
        return read_fasttext(path)[["text"]]
    return None


def is_fasttext(path: Path) -> bool:
    """Returns True if the first line of a file has the format of fastText: a text with `__label__x` before or after it.

    Raises:
        DataError: the file is missing or damaged.
    """
    return not path.is_dir() and FASTTEXT_MARK.search(files.read_first_line(path)) is not None


def read_fasttext(path: Path) -> pd.DataFrame:
    """Reads a file in the format of fastText: each line has one or more labels, such as `__label__x`, before or after the text.

    Empty lines are no records.

    Returns:
        Table with the columns `text` and `label`; several labels are joined with `LABEL_SEPARATOR`.

    Raises:
        DataError: a line has no label, or the file cannot be read.
    """
    rows = []
    lines = [line for line in files.read_text(path).split("\n") if line.strip()]
    for row, line in enumerate(lines, 1):
        labels = [label.rstrip(",") for label in FASTTEXT_MARK.findall(line)]
        if not any(labels):
            raise DataError(
                f"{path}, row {row}: no label. Expected a line such as: {FASTTEXT_LABEL}positive a good film"
            )
        rows.append((FASTTEXT_MARK.sub("", line).lstrip(), LABEL_SEPARATOR.join(labels)))
    return pd.DataFrame(rows, columns=["text", "label"])


def _inner_folder(folder: Path) -> Path:
    """Returns the folder that contains several folders or files, if a folder contains only one folder, as after unpacking."""
    while len(folders := _folders(folder)) == 1 and not _has_files(folder) and not _has_files(folders[0]):
        folder = folders[0]
    return folder


def _has_files(folder: Path) -> bool:
    return any(path.is_file() and not path.name.startswith(".") and _is_text(path) for path in folder.iterdir())


def _read_split(folder: Path) -> pd.DataFrame:
    classes = {path.name: list_text_files(path) for path in _folders(folder)}
    unlabelled = {name: paths for name, paths in classes.items() if name.lower() in UNLABELLED_FOLDERS}
    for name, members in unlabelled.items():
        add_notice(f"{folder / name}: {count_noun(len(members), 'text')} without a label left out.")
    without_texts = [name for name, members in classes.items() if not members]
    if without_texts:
        add_notice(f"{folder}: folders without text files left out: {', '.join(without_texts[:MAX_LISTED])}.")
    paths = [(path, name) for name, members in classes.items() if name not in unlabelled for path in members]
    if not paths:
        raise _no_files_error(folder)
    texts = files.read_texts([path for path, _ in paths], folder)
    frame = pd.DataFrame({"text": texts, "label": [name for _, name in paths]})
    is_empty = frame["text"].str.strip() == ""
    if is_empty.any():
        names = [str(path.relative_to(folder)) for (path, _), empty in zip(paths, is_empty, strict=True) if empty]
        listed = ", ".join(names[:3]) + (" …" if len(names) > 3 else "")
        add_notice(f"{folder}: {count_noun(len(names), 'empty file')} left out: {listed}.")
    return frame[~is_empty].reset_index(drop=True)


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith((".", "__")))


def list_text_files(folder: Path, suffixes: Sequence[str] = TEXT_SUFFIXES) -> list[Path]:
    """Returns the files with one of the suffixes or without a suffix, sorted; a notice counts the others."""
    paths = [path for path in sorted(folder.rglob("*")) if path.is_file() and not path.name.startswith(".")]
    texts = [path for path in paths if _is_text(path, suffixes)]
    others = [path.name for path in paths if not _is_text(path, suffixes)]
    if texts and others:
        add_notice(
            f"{folder}: {count_noun(len(others), 'file')} without a suffix of text files left out, such as {others[0]}."
        )
    return texts


def _is_text(path: Path, suffixes: Sequence[str] = TEXT_SUFFIXES) -> bool:
    return files.file_format(path) in suffixes or not FILE_SUFFIX.fullmatch(path.suffix)


def _no_files_error(folder: Path) -> DataError:
    names = sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
    content = (
        f"it contains {', '.join(names[:MAX_LISTED])}{' …' * (len(names) > MAX_LISTED)}" if names else "it is empty"
    )
    return DataError(
        f"{folder}: is a folder without text files in a folder per class; {content}. Give such a folder, for example with "
        "positive/1.txt and negative/2.txt, or one table."
    )
