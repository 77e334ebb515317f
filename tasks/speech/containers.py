"""What the first bytes of a file tell: formats that libsndfile cannot read, and .wav files whose header states a wrong size.

A program that writes a .wav file to a pipe does not know the size of the data, so it writes 0, 0xFFFFFFFF or a similar number.
"""

from __future__ import annotations

import io
import os
import shlex
import struct
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

HEAD_BYTES = 512  # that are enough to recognize a format
MAX_CHUNKS = 1_000  # of a .wav file, that are searched for the samples
MIN_PLACEHOLDER = 0x7FFF0000  # sizes from here on stand for an unknown size
MIN_EXTRA_SECONDS = 0.1  # of audio behind the stated end, from which on the stated size counts as wrong
SIZE_CORRECT, SIZE_WRONG, TRUNCATED = 0, 1, 2
"""Values of `WavData.size_problem`."""

AUDIO_FORMATS = (
    *((4, b"ftyp", ".m4a", "MPEG-4"), (0, b"#!AMR", ".amr", "AMR"), (0, b"\x1aE\xdf\xa3", ".webm", "WebM or Matroska")),
    *((0, b"0&\xb2u\x8ef\xcf\x11", ".wma", "Windows Media"), (0, b"ADIF", ".aac", "AAC"), (8, b"AVI ", ".avi", "AVI")),
    *((0, prefix, ".aac", "AAC") for prefix in (b"\xff\xf0", b"\xff\xf1", b"\xff\xf8", b"\xff\xf9")),
    *((0, b"MAC ", ".ape", "Monkey's Audio"), (0, b"wvpk", ".wv", "WavPack"), (0, b"TTA1", ".tta", "True Audio")),
    *((0, b"FLV\x01", ".flv", "Flash Video"), (28, b"Speex", ".spx", "Speex")),
)
"""Formats that have to be converted: offset and value of the first bytes, suffix, and title."""
OTHER_FORMATS = (
    (0, b"\xff\xd8\xff", "a JPEG picture", "Give the recording."),
    (0, b"\x89PNG", "a PNG picture", "Give the recording."),
    (0, b"GIF8", "a GIF picture", "Give the recording."),
    (0, b"%PDF", "a PDF document", "Give the recording."),
    (0, b"PK\x03\x04", "a .zip archive", "Extract it, or give its path as --data."),
    (0, b"\x1f\x8b", "compressed by gzip", "Decompress it with gunzip."),
    (0, b"version https://git-lfs", "a pointer of Git LFS, not the recording", "Run git lfs pull."),
    (0, b"<!doctype", "a web page", "Download the recording again."),
    (0, b"<html", "a web page", "Download the recording again."),
    (0, b"<?xml", "an XML document, such as the error message of a server", "Download the recording again."),
    (0, b"{", "a JSON document, such as the error message of a server", "Download the recording again."),
)
"""Files that are not recordings: offset and value of the first bytes in small letters, title, and fix."""
UNREADABLE_SUFFIXES = frozenset(
    ".m4a .mp4 .aac .amr .awb .webm .mkv .mka .wma .asf .avi .mov .3gp .ape .wv .tta .spx .flv .g722 .g729 .ra .dsf .ac3".split()
)
"""Suffixes of recordings that have to be converted."""
RAW_SUFFIXES = (".raw", ".pcm", ".s16", ".sw")


@dataclass(frozen=True)
class WavData:
    """Place of the samples in a .wav file.

    Attributes:
        format_chunk: content of the chunk `fmt `.
        offset: position of the first sample, in bytes.
        size: number of bytes of the samples that exist.
        size_problem: `SIZE_CORRECT`, `SIZE_WRONG` or `TRUNCATED`.
        is_readable: whether libsndfile finds the samples itself.
    """

    format_chunk: bytes
    offset: int
    size: int
    size_problem: int
    is_readable: bool


def open_recording(content: bytes | Path) -> tuple[BinaryIO, int]:
    """Opens a recording for libsndfile; the header of a .wav file is replaced if its size is wrong.

    Returns:
        The file, and its size problem: `SIZE_CORRECT`, `SIZE_WRONG` or `TRUNCATED`.

    Raises:
        OSError: the file cannot be opened.
    """
    file: BinaryIO = io.BytesIO(content) if isinstance(content, bytes) else content.open("rb")
    try:
        data = find_wav_data(file)
        file.seek(0)
    except BaseException:
        file.close()
        raise
    if data is None or data.is_readable:
        return file, SIZE_CORRECT if data is None else data.size_problem
    return io.BufferedReader(_Section(file, data)), data.size_problem


def explain_unreadable(head: bytes, name: str) -> str:
    """Returns what a file is that libsndfile cannot read, and how to convert it; "" if its first bytes are unknown.

    Args:
        head: the first `HEAD_BYTES` bytes.
        name: name of the file for the command; "" if unknown.
    """
    if not head:
        return "the file is empty. Copy it again, or leave it out."
    for offset, magic, suffix, title in AUDIO_FORMATS:
        if head[offset:].startswith(magic):
            return f"{title} files cannot be read. Convert it: {conversion_command(name or 'recording' + suffix)}"
    for offset, magic, title, fix in OTHER_FORMATS:
        if head[offset:].lower().startswith(magic.lower()):
            return f"the file is {title}. {fix}"
    return ""


def describe_error(error: Exception, content: bytes | Path, place: str, name: str) -> str:
    """Returns the message for a file that cannot be opened or decoded.

    Args:
        error: the exception.
        content: bytes of the file, or its path.
        place: file or row.
        name: name of the file for the command that converts it; "" if unknown.
    """
    if isinstance(content, Path) and not content.is_file():
        return f"{place}: cannot be read as audio, because there is no such file. Check the path."
    reason = getattr(error, "error_string", str(error)).strip().rstrip(".").splitlines()[0]
    command = conversion_command(name or "recording.wav")
    return f"{place}: cannot be read as audio ({reason}). Give a complete .wav, .flac, .ogg or .mp3 file, or convert it: {command}"


def conversion_command(name: str) -> str:
    """Returns the command that converts a recording to a format that can be read."""
    path = PurePosixPath(name.replace("\\", "/"))
    stem, suffix = path.stem, path.suffix
    source, target = shlex.quote(path.name), shlex.quote(stem + (".wav" if suffix.lower() == ".flac" else ".flac"))
    if suffix.lower() in RAW_SUFFIXES:
        return f"ffmpeg -f s16le -ar 16000 -ac 1 -i {source} {target} (with its own rate and number of channels)"
    if suffix.lower() == ".sph":
        return f"sph2pipe -f rif {source} {shlex.quote(stem + '.wav')}"
    return f"ffmpeg -i {source} {target}"


def find_wav_data(file: BinaryIO) -> WavData | None:
    """Finds the samples of a .wav file by its chunks; None if it is no .wav file, or has no chunk with samples or format."""
    size = file.seek(0, os.SEEK_END)
    position, format_chunk, is_padded = 12, b"", True
    if _read_at(file, 0, 4) != b"RIFF" or _read_at(file, 8, 4) != b"WAVE":
        return None
    for _ in range(MAX_CHUNKS):
        chunk, length = _read_chunk_header(file, position)
        if not _is_chunk_name(chunk) and _is_chunk_name(
            _read_at(file, position - 1, 4)
        ):  # an odd chunk without padding
            position, is_padded = position - 1, False
            continue
        if len(chunk) < 4 or not _is_chunk_name(chunk):
            return None
        if chunk == b"data":
            break
        if chunk == b"fmt ":
            format_chunk = _read_at(file, position + 8, min(length, HEAD_BYTES))
        position += 8 + length + length % 2
    if len(format_chunk) < 16 or chunk != b"data":
        return None
    existing, problem, is_readable = _check_size(file, position + 8, length, size, format_chunk)
    return WavData(format_chunk, position + 8, existing, problem, is_readable and is_padded)


def _check_size(file: BinaryIO, offset: int, stated: int, size: int, format_chunk: bytes) -> tuple[int, int, bool]:
    """Returns the existing bytes of samples, the size problem, and whether libsndfile reads them."""
    existing = size - offset
    if stated > existing + 1:
        problem = SIZE_WRONG if stated >= MIN_PLACEHOLDER else TRUNCATED
        return existing, problem, True
    end = offset + stated + stated % 2
    chunk, length = _read_chunk_header(file, end)
    is_chunk = _is_chunk_name(chunk) and len(chunk) == 4 and length <= size - end - 8
    (bytes_per_second,) = struct.unpack("<I", format_chunk[8:12])
    is_padding = not any(_read_at(file, end, 64))
    if (
        is_chunk
        or (stated and is_padding)
        or size - end < max(1, MIN_EXTRA_SECONDS * bytes_per_second if stated else 1)
    ):
        return stated, SIZE_CORRECT, True
    return existing, SIZE_WRONG, False


def _read_at(file: BinaryIO, position: int, count: int) -> bytes:
    file.seek(position)
    return file.read(count)


def _read_chunk_header(file: BinaryIO, position: int) -> tuple[bytes, int]:
    """Returns name and stated size of the chunk at a position; the name is shorter than 4 bytes at the end of the file."""
    header = _read_at(file, position, 8)
    return (header[:4], struct.unpack("<I", header[4:])[0]) if len(header) == 8 else (b"", 0)


def _is_chunk_name(name: bytes) -> bool:
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


class _Section(io.RawIOBase):
    """File of a correct .wav header and the samples of another file, which it reads as they are needed."""

    def __init__(self, file: BinaryIO, data: WavData) -> None:
        size = min(data.size, 0xFFFFFF00)
        chunk = data.format_chunk + b"\0" * (len(data.format_chunk) % 2)
        body = b"WAVEfmt " + struct.pack("<I", len(data.format_chunk)) + chunk + b"data" + struct.pack("<I", size)
        self._file, self._offset, self._position = file, data.offset, 0
        self._header = b"RIFF" + struct.pack("<I", min(len(body) + size, 0xFFFFFFFF)) + body
        self._size = len(self._header) + data.size

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = max(0, start + offset)
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]  # the stub has a private type
        if self._position < len(self._header):
            piece = self._header[self._position : self._position + len(buffer)]
        else:
            start = self._position - len(self._header)
            piece = _read_at(self._file, self._offset + start, min(len(buffer), max(0, self._size - self._position)))
        buffer[: len(piece)] = piece
        self._position += len(piece)
        return len(piece)

    def close(self) -> None:
        self._file.close()
        super().close()
