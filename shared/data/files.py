"""User files, compressed or not: checked, opened and read as text. Errors name the file, the line and the fix.

Compression and encoding are recognized by the content of a file, not by its name.
"""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO, TextIO

from shared.data import archives, encodings
from shared.data.notices import add_notice, count_noun
from shared.errors import DataError

COMPRESSIONS: dict[bytes, Callable[..., BinaryIO]] = {  # by the first bytes of a file
    b"\x1f\x8b": gzip.open,  # type: ignore[dict-item]
    b"\xfd7zXZ\x00": lzma.open,  # type: ignore[dict-item]
    b"BZh": bz2.open,  # type: ignore[dict-item]
}
COMPRESSION_SUFFIXES = (".gz", ".xz", ".bz2", ".zip")
READ_ERRORS = (OSError, EOFError, lzma.LZMAError, zlib.error, zipfile.BadZipFile)  # decompression included
TAR_MAGIC_POSITION = 257  # of "ustar" in a tar archive
START_SIZE = 4096  # bytes of a file that show its format
CHUNK_SIZE = 1 << 20  # bytes


def file_format(path: Path) -> str:
    """Returns the last suffix that does not name a compression, in lower case; "" if there is none.

    For a .zip file, it is the suffix of the file that it contains.

    Raises:
        DataError: the .zip file contains several files, or is damaged.
    """
    named = [suffix.lower() for suffix in path.suffixes if suffix.lower() not in COMPRESSION_SUFFIXES]
    if path.suffix.lower() == ".zip" and path.is_file() and archives.is_archive(path):
        return archives.member_format(path) or (named[-1] if named else "")
    return named[-1] if named else ""


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
    """Opens a file for reading its decompressed bytes; of a .zip file, those of the only file in it.

    Raises:
        DataError: a .zip file contains no file, several files, or an encrypted one.
        OSError, zipfile.BadZipFile: the file cannot be opened.
    """
    start = read_start(path)
    if archives.is_archive(path):
        return archives.open_member(path)
    for magic, opener in COMPRESSIONS.items():
        if start.startswith(magic):
            return opener(path, "rb")
    if path.suffix.lower() in COMPRESSION_SUFFIXES and start:
        add_notice(
            f"{path}: the file is not compressed, although its name ends in {path.suffix}; it was read as it is."
        )
    return path.open("rb")


def open_text(path: Path) -> TextIO:
    """Opens a file for reading its decompressed text, with line ends as they are, and without a byte order mark.

    Raises:
        DataError: the file is not text, or its encoding cannot be decided.
        OSError: the file cannot be read.
    """
    encoding = text_encoding(path)
    return io.TextIOWrapper(open_file(path), encoding=encoding, newline="")


def read_start(path: Path) -> bytes:
    """Returns the first bytes of a file as it is stored, some thousands."""
    with path.open("rb") as file:
        return file.read(START_SIZE)


def text_encoding(path: Path) -> str:
    """Returns Python's name of the encoding of a text file; a notice names it if it is not UTF-8.

    Raises:
        DataError: the file is not text, or its encoding cannot be decided.
        OSError: the file cannot be read.
    """
    status = path.stat()
    encoding, example = _detect_encoding(path, status.st_mtime_ns, status.st_size)
    _add_encoding_notice(path, encoding, example)
    return encoding


def line_encoding(path: Path) -> str:
    """Returns the encoding of a file of lines as `text_encoding` does, but that of UTF-8 if the encoding cannot be decided.

    Raises:
        OSError: the file cannot be read.
    """
    try:
        return text_encoding(path)
    except DataError:
        return encodings.UTF8


def read_text(path: Path) -> str:
    """Returns the text of a file, with line feeds as line ends and without a byte order mark.

    Raises:
        DataError: the file is missing, damaged or binary, or its encoding cannot be decided.
    """
    require_file(path)
    try:
        with open_text(path) as file:
            text = file.read()
    except READ_ERRORS as error:
        raise _read_error(path, error) from error
    except UnicodeError as error:
        raise encoding_error(path, error) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def read_texts(paths: Sequence[Path], folder: Path) -> list[str]:
    """Returns the texts of the files of a folder (see `read_text`); those that are not Unicode have one encoding.

    Raises:
        DataError: a file is damaged or binary, or the encoding cannot be decided.
    """
    contents = [_read_bytes(path) for path in paths]
    detected = [
        encodings.unicode_encoding(content[:START_SIZE]) or (encodings.UTF8 if encodings.is_utf8([content]) else "")
        for content in contents
    ]
    others = [content for content, encoding in zip(contents, detected, strict=True) if not encoding]
    code_page = ""
    if others:
        first = paths[detected.index("")]
        code_page, example = _decide_code_page(first, b"\n".join(others))
        _add_encoding_notice(folder, code_page, example, count_noun(len(others), "file is", "files are"))
    texts = []
    for path, content, encoding in zip(paths, contents, detected, strict=True):
        try:
            text = content.decode(encoding or code_page)
        except UnicodeError as error:
            raise encoding_error(path, error) from error
        if "\x00" in text:
            raise _binary_error(path, content)
        texts.append(text.replace("\r\n", "\n").replace("\r", "\n").removeprefix("\ufeff"))
    return texts


def read_first_line(path: Path) -> str:
    """Returns the first line of a file that is not empty (see `split_lines`); "" if there is none.

    Raises:
        DataError: the file is missing or damaged.
    """
    require_file(path)
    try:
        with open_file(path) as file:
            start = file.read(CHUNK_SIZE)
    except READ_ERRORS as error:
        raise _read_error(path, error) from error
    return next((line for line in split_lines(start) if line.strip()), "")


def read_lines(path: Path) -> list[str]:
    """Returns the lines of a file; bytes that no encoding explains become surrogate escapes (see `split_lines`).

    Raises:
        DataError: the file is missing, damaged or empty.
    """
    content = _read_bytes(path)
    if not content:
        raise DataError(f"{path}: the file is empty. Write at least one line.")
    encoding = line_encoding(path)
    if encoding != encodings.UTF8:
        content = content.decode(encoding, errors="replace").encode()
    return split_lines(content)


def split_lines(content: bytes) -> list[str]:
    """Splits UTF-8 or UTF-16 at line feeds, without carriage returns and byte order mark; other bytes become surrogate escapes."""
    encoding = encodings.unicode_encoding(content[:START_SIZE]) or encodings.UTF8
    if encoding != encodings.UTF8:
        content = content.decode(encoding, errors="replace").encode()
    text = content.removeprefix(codecs.BOM_UTF8).decode("utf-8", errors="surrogateescape")
    return [line.removesuffix("\r") for line in text.removesuffix("\n").split("\n")]


def encoding_error(path: Path, error: UnicodeError) -> DataError:
    """Returns the error that names the first line of a file that is not UTF-8, and how to correct it."""
    with open_file(path) as file:
        content = file.read()
    lines = content.split(b"\n")
    wrong = next((number for number, line in enumerate(lines, 1) if not encodings.is_utf8([line])), 1)
    if encodings.is_mostly_utf8(content):
        fix = "The rest of the file is UTF-8. Correct the line, or drop wrong bytes, for example with: iconv -c -f utf-8 -t utf-8"
    else:
        fix = "If it is a text file, convert it, for example with: iconv -f latin1 -t utf-8"
    return DataError(f"{path}, line {wrong}: not UTF-8 text ({error}). {fix}.")


@lru_cache(maxsize=64)
def _detect_encoding(path: Path, modified: int, size: int) -> tuple[str, str]:
    """Returns the encoding of a file, and a word of it that shows a code page."""
    with open_file(path) as file:
        start = file.read(START_SIZE)
        encoding = encodings.unicode_encoding(start)
        if encoding is not None and encoding != encodings.UTF8:
            return encoding, ""
        if encodings.is_utf8(_chunks(start, file)):
            return encodings.UTF8, ""
    with open_file(path) as file:
        return _decide_code_page(path, file.read())


def _decide_code_page(path: Path, content: bytes) -> tuple[str, str]:
    code_page = encodings.detect_code_page(content)
    if code_page is None:
        if b"\x00" in content:
            raise _binary_error(path, content)
        try:
            content.decode("utf-8")
        except UnicodeDecodeError as error:
            raise encoding_error(path, error) from error
    assert code_page is not None
    if not code_page.name:
        listed = ", ".join(f'{name} ("{word}")' for name, word in code_page.examples.items())
        raise DataError(
            f"{path}: not UTF-8, and the encoding cannot be decided: it may be {listed}. Convert the file from the right one, for "
            f"example with: iconv -f {next(iter(code_page.examples))} -t utf-8."
        )
    return code_page.name, code_page.examples[code_page.name]


def _add_encoding_notice(path: Path, encoding: str, example: str, subject: str = "the file is") -> None:
    if example:
        add_notice(
            f'{path}: {subject} not in UTF-8; read as {encoding}, for example "{example}".',
            hint="If this is wrong, convert the file, for example with: iconv -f RIGHT_ENCODING -t utf-8.",
        )
    elif encoding != encodings.UTF8:
        add_notice(f"{path}: read as {encoding.upper()}.")


def _chunks(start: bytes, file: BinaryIO) -> Iterator[bytes]:
    """Yields the parts of a file, of which the first one was read."""
    yield start
    while chunk := file.read(CHUNK_SIZE):
        yield chunk


def _read_bytes(path: Path) -> bytes:
    require_file(path)
    try:
        with open_file(path) as file:
            return file.read()
    except READ_ERRORS as error:
        raise _read_error(path, error) from error


def _read_error(path: Path, error: BaseException) -> DataError:
    return DataError(f"{path}: cannot be read ({error}). Check that it is complete and has the format of its suffix.")


def _binary_error(path: Path, content: bytes) -> DataError:
    if content[TAR_MAGIC_POSITION:].startswith(b"ustar"):
        return DataError(f"{path}: is a tar archive. Unpack it, and give one file or a folder.")
    line = content[: content.index(b"\x00")].count(b"\n") + 1
    return DataError(
        f"{path}, line {line}: not a text file, it contains zero bytes (binary content). Give a text file, rename it if it has another "
        "format, or remove the bytes, for example with: tr -d '\\000' < FILE > NEW_FILE."
    )
