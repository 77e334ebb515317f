"""Folders and .zip files of recordings, and the recordings that the names in a manifest mean."""

from __future__ import annotations

import re
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

import numpy as np

from shared.errors import DataError
from tasks.speech import audio
from tasks.speech.audio import Recording
from tasks.speech.containers import UNREADABLE_SUFFIXES, conversion_command
from tasks.speech.input_config import MEAN_CHANNEL

SUFFIXES = (
    *(".wav", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc", ".au", ".snd", ".sph", ".caf"),
    *(".w64", ".rf64", ".wave"),
)
URL = re.compile(r"(https?|s3|gs|ftp|az|hf)://", re.IGNORECASE)
MAX_KEPT_SECONDS = 30.0
"""Duration of a recording up to which `open_path` keeps its samples in memory."""
BLOCK_SECONDS = 30.0
QUOTES = "\"'“”‘’«»"


class Folder:
    """The recordings in a folder or a .zip file.

    Args:
        path: path of the folder or .zip file.

    Raises:
        DataError: the .zip file cannot be read.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive = None if path.is_dir() else _open_archive(path)

    def names(self) -> list[str]:
        """Returns the names of all recordings, sorted; subfolders are part of a name."""
        return [name for name in self._all_names if PurePosixPath(name).suffix.lower() in SUFFIXES]

    def unreadable_names(self) -> list[str]:
        """Returns the names of the recordings in formats that have to be converted, sorted."""
        return [name for name in self._all_names if PurePosixPath(name).suffix.lower() in UNREADABLE_SUFFIXES]

    @cached_property
    def _all_names(self) -> list[str]:
        if self.archive is not None:
            names = [name for name in self.archive.namelist() if not name.endswith("/")]
        else:
            names = [path.relative_to(self.path).as_posix() for path in self.path.rglob("*") if path.is_file()]
        return sorted(name for name in names if not PurePosixPath(name).name.startswith("."))

    @cached_property
    def _names_by_key(self) -> dict[str, list[str]]:
        """The names by their key, with and without suffix (see `_key`)."""
        index: dict[str, list[str]] = {}
        for name in self.names():
            for key in (_key(name), _key(_without_suffix(name))):
                index.setdefault(key, []).append(name)
        return index

    def fingerprint(self, name: str) -> tuple[int, int]:
        """Returns two numbers that change with a recording: its size and checksum, or its size and modification time."""
        if self.archive is not None:
            info = self.archive.getinfo(name)
            return info.file_size, info.CRC
        status = (self.path / name).stat()
        return status.st_size, status.st_mtime_ns

    def decode(
        self, name: str, place: str, channel: str = MEAN_CHANNEL, max_seconds: float = audio.MAX_SECONDS
    ) -> Recording:
        """Decodes a recording (see `tasks.speech.audio.decode`)."""
        return audio.decode(self.content(name, place), place, channel, name, max_seconds)

    def content(self, name: str, place: str) -> bytes | Path:
        """Returns the path of a recording, or its bytes if it is in a .zip file.

        Raises:
            DataError: it cannot be read from the .zip file.
        """
        if self.archive is None:
            return self.path / name
        try:
            return self.archive.read(name)
        except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
            raise DataError(
                f"{place}: {name} cannot be read from {self.path} ({error}). Create the .zip file again."
            ) from error

    def read(self, name: str, place: str) -> np.ndarray:
        """Returns the samples of a recording (see `tasks.speech.audio.read`)."""
        return self.decode(name, place).samples

    def contains(self, name: str) -> bool:
        """Returns whether there is a recording with exactly this name."""
        return name in self.archive.NameToInfo if self.archive is not None else (self.path / name).is_file()

    def find(self, name: str) -> str | None:
        """Returns the name of the recording that a name in a manifest means; None if there is none, or several match.

        The name may be in quotes, have the separators of Windows, other letter case or another form of Unicode, begin with folders of
        another machine, or have another suffix or none.
        """
        if self.contains(name):
            return name
        plain = name.strip().strip(QUOTES).strip().removeprefix("file://").replace("\\", "/")
        if plain and self.contains(plain):
            return plain
        parts = [part for part in PurePosixPath(plain).parts if part not in (".", "/")]
        for start in range(len(parts)):
            end = PurePosixPath(*parts[start:])
            for key in (_key(str(end)), _key(_without_suffix(str(end)))):
                matches = self._names_by_key.get(key, [])
                if len(matches) == 1:
                    return matches[0]
        return None

    def require(self, name: str, place: str) -> str:
        """Returns the name of the recording that a name in a manifest means (see `find`).

        Raises:
            DataError: there is none.
        """
        actual = self.find(name)
        if actual is not None:
            return actual
        if URL.match(name):
            raise DataError(
                f"{place}: {name} is a URL. Download the recordings, and give their folder with --recordings."
            )
        folder = "the current folder" if self.path == Path() else self.path
        raise DataError(
            f"{place}: there is no recording {name} in {folder}. Check the name, or give the folder with --recordings."
        )


def open_path(text: str, channel: str = MEAN_CHANNEL) -> tuple[Iterable[np.ndarray], Mapping[str, float]]:
    """Returns the blocks of a recording of any length (see `tasks.speech.transcription`), and what was measured.

    The whole file is decoded once, so that a mistake in it is reported here. A recording longer than `MAX_KEPT_SECONDS` is decoded again
    whenever its blocks are read; nothing is measured.

    Args:
        text: path of the file; the recordings in a .zip file have paths such as calls.zip/a.wav.
        channel: as in `tasks.speech.audio.decode`.

    Raises:
        DataError: the recording is missing or cannot be used.
    """
    content, name = _open_content(text)
    recording = audio.decode_short(content, text, channel, name, MAX_KEPT_SECONDS)
    if recording is None:
        return LongRecording(content, text, channel, name), {}
    return [recording.samples], recording.measurements


@dataclass(frozen=True)
class LongRecording:
    """A recording whose blocks are decoded while they are read."""

    content: bytes | Path
    place: str
    channel: str
    name: str

    def __iter__(self) -> Iterator[np.ndarray]:
        """Yields the samples in blocks, float32 `(samples,)` in [-1, 1] at 16 kHz."""
        return audio.read_blocks(self.content, BLOCK_SECONDS, self.place, self.channel, self.name)


def _open_content(text: str) -> tuple[bytes | Path, str]:
    """Returns the path of a recording, or its bytes if it is in a .zip file, and its name."""
    path = Path(text).expanduser()
    archive = next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)
    if archive is None:
        return path, path.name
    folder, name = Folder(archive), path.relative_to(archive).as_posix()
    if not folder.contains(name):
        raise DataError(f"{text}: there is no recording {name} in {archive}. Check the name.")
    return folder.content(name, text), name


def describe_unreadable(names: list[str]) -> str:
    """Returns a sentence on recordings that have to be converted: their suffixes, and the command for the first one."""
    counts = Counter(PurePosixPath(name).suffix.lower() for name in names)
    listed = ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(counts.items()))
    return f"{listed} files cannot be read. Convert each: {conversion_command(names[0])}"


def _without_suffix(name: str) -> str:
    """Returns a name without the suffix of a recording; another suffix stays."""
    suffix = PurePosixPath(name).suffix
    return name.removesuffix(suffix) if suffix.lower() in {*SUFFIXES, *UNREADABLE_SUFFIXES} else name


def _key(name: str) -> str:
    """Returns a name in small letters and Unicode's form NFC."""
    return unicodedata.normalize("NFC", name).lower()


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .zip file ({error}). Create the .zip file again.") from error
