"""A user's files, compressed or not: found, opened, and read as text, with an error that names the line and the remedy."""

from __future__ import annotations

import bz2
import gzip
import lzma
import zlib
from pathlib import Path
from typing import BinaryIO

from shared.errors import DataError

COMPRESSIONS = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}
BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)
"""What reading a file may raise, decompression included."""


def file_format(path: Path) -> str:
    """Returns the last suffix that is no compression's, in lower case; "" where there is none."""
    suffixes = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSIONS]
    return suffixes[-1] if suffixes else ""


def require_file(path: Path) -> None:
    """Raises a `DataError` where there is no such file."""
    if not path.exists():
        raise DataError(f"{path}: no such file. Check the path; it is taken from the folder you are in ({Path.cwd()}).")


def open_file(path: Path) -> BinaryIO:
    """Opens a file's bytes, decompressed."""
    return COMPRESSIONS.get(path.suffix.lower(), open)(path, "rb")  # type: ignore[operator]


def read_text(path: Path) -> str:
    """Returns a text file whole, line ends as line feeds, without a mark of the byte order.

    Raises:
        DataError: the file is missing, broken, binary, or no UTF-8.
    """
    require_file(path)
    try:
        with open_file(path) as file:
            content = file.read()
    except BROKEN as error:
        raise DataError(f"{path}: cannot be read ({error}). Is it what its name says?") from error
    if b"\x00" in content:
        raise DataError(f"{path}: holds zero bytes, so it is no UTF-8 text. Is it what its name says?")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise encoding_error(path, error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def encoding_error(path: Path, error: UnicodeError) -> DataError:
    """Returns the error that names the first line of a file which is not UTF-8."""
    return DataError(
        f"{path}, line {_first_line_not_utf8(path)}: not UTF-8 text ({error}). If it is text at all, convert it, for "
        "example: iconv -f latin1 -t utf-8."
    )


def _first_line_not_utf8(path: Path) -> int:
    with open_file(path) as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                return number
    return 1
