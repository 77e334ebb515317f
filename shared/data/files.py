"""User files, compressed or not: checked, opened and read as text. Errors name the file, the line and the fix."""

from __future__ import annotations

import bz2
import codecs
import gzip
import lzma
import zlib
from pathlib import Path
from typing import BinaryIO

from shared.errors import DataError

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""Exceptions of reading a file, decompression included."""


def file_format(path: Path) -> str:
    """Returns the last suffix that does not name a compression, in lower case; "" if there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    return suffixes[-1] if suffixes else ""


def require_file(path: Path) -> None:
    """Raises a `DataError` if the path does not exist."""
    if not path.exists():
        raise DataError(f"{path}: no such file. Check the path; relative paths start at {Path.cwd()}.")


def require_writable(path: Path) -> None:
    """Checks that a file can be created.

    Raises:
        DataError: its folder does not exist, or it is a folder.
    """
    if path.is_dir():
        raise DataError(f"{path}: is a folder. Give the name of a file.")
    if not path.parent.is_dir():
        raise DataError(f"{path}: there is no folder {path.parent}. Create it, or give another path.")


def open_file(path: Path) -> BinaryIO:
    """Opens a file for reading its decompressed bytes."""
    return COMPRESSIONS.get(path.suffix.lower(), open)(path, "rb")  # type: ignore[operator]


def read_text(path: Path) -> str:
    """Returns the text of a file, with line feeds as line ends and without a byte order mark.

    Raises:
        DataError: the file is missing, damaged, binary, or not UTF-8.
    """
    content = _read_bytes(path)
    if b"\x00" in content:
        raise DataError(f"{path}: not a text file, it contains zero bytes. Give a UTF-8 text file.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise encoding_error(path, error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_first_line(path: Path) -> str:
    """Returns the first line of a file (see `read_lines`); "" for an empty file.

    Raises:
        DataError: the file is missing or damaged.
    """
    require_file(path)
    try:
        with open_file(path) as file:
            return split_lines(file.readline())[0]
    except READ_ERRORS as error:
        raise _read_error(path, error) from error


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a file; bytes that are not UTF-8 become surrogate escapes.

    Raises:
        DataError: the file is missing, damaged or empty.
    """
    content = _read_bytes(path)
    if not content:
        raise DataError(f"{path}: the file is empty. Write at least one line.")
    return split_lines(content)


def split_lines(content: bytes) -> list[str]:
    """Splits bytes at line feeds only, without carriage returns and without a byte order mark; bytes that are not UTF-8 become
    surrogate escapes."""
    text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def encoding_error(path: Path, error: UnicodeError) -> DataError:
    """Returns the error that names the first line of a file that is not UTF-8."""
    return DataError(
        f"{path}, line {_first_line_not_utf8(path)}: not UTF-8 text ({error}). If it is a text file, convert it, for "
        "example with: iconv -f latin1 -t utf-8."
    )


def _read_bytes(path: Path) -> bytes:
    require_file(path)
    try:
        with open_file(path) as file:
            return file.read()
    except READ_ERRORS as error:
        raise _read_error(path, error) from error


def _read_error(path: Path, error: BaseException) -> DataError:
    return DataError(
        f"{path}: cannot be read ({error}). Check that the file is complete and has the format of its suffix."
    )


def _first_line_not_utf8(path: Path) -> int:
    with open_file(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
