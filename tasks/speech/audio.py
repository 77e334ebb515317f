"""Reads recordings of any format, sample rate and number of channels as mono samples at 16 kHz, and caches them in one file."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import unicodedata
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path
from typing import BinaryIO

import numpy as np

from shared.errors import DataError
from tasks.speech.timing import SAMPLE_RATE

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache" / "speech"
SUFFIXES = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
INT16_MAX = 32_767
CACHE_VERSION = 1  # a new number makes all cached files outdated
MAX_SECONDS = 3600  # of one recording


def read(content: bytes | Path, place: str) -> np.ndarray:
    """Returns the samples of a recording, float32 `(samples,)` in [-1, 1], at 16 kHz; channels are averaged.

    Args:
        content: bytes of the file, or its path.
        place: file or row, for the error message.

    Raises:
        DataError: the file is missing or not audio, is empty, has NaN or infinite samples, or is longer than one hour.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content) if isinstance(content, bytes) else content) as file:
            if file.frames > MAX_SECONDS * file.samplerate:
                raise DataError(f"{place}: the recording is longer than one hour. Cut it at pauses.")
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, OSError, TypeError) as error:  # TypeError: a .raw file does not state its format
        reason = str(error).strip().rstrip(".").splitlines()[0]
        raise DataError(
            f"{place}: cannot be read as audio ({reason}). Give a complete .wav, .flac, .ogg or .mp3 file."
        ) from error
    return convert_samples(samples.mean(axis=1), rate, place)


def read_path(text: str) -> np.ndarray:
    """Returns the samples of a recording (see `read`).

    Args:
        text: path of the file; the recordings in a .zip file have paths such as calls.zip/a.wav.

    Raises:
        DataError: the recording is missing or cannot be used.
    """
    path = Path(text).expanduser()
    archive = next((parent for parent in path.parents if parent.suffix.lower() == ".zip" and parent.is_file()), None)
    if archive is None:
        return read(path, text)
    folder, name = Folder(archive), path.relative_to(archive).as_posix()
    if not folder.contains(name):
        raise DataError(f"{text}: there is no recording {name} in {archive}. Check the name.")
    return folder.read(name, text)


def convert_samples(samples: np.ndarray, rate: int, place: str) -> np.ndarray:
    """Returns samples as mono at 16 kHz, float32 `(samples,)` in [-1, 1].

    Args:
        samples: `(samples,)` or `(samples, channels)`, integers or floating-point numbers in [-1, 1].
        rate: samples per second.
        place: file or row, for the error message.

    Raises:
        DataError: there are no samples, or some are NaN or infinite.
    """
    if samples.ndim > 1:
        samples = samples.mean(axis=-1).astype(samples.dtype)
    if samples.dtype.kind == "i":
        is_int16 = samples.dtype.itemsize == 8 and np.abs(samples).max(initial=0) <= 2**15  # TFDS stores them as int64
        samples = samples.astype(np.float32) / (2**15 if is_int16 else 2 ** min(31, 8 * samples.dtype.itemsize - 1))
    if not len(samples):
        raise DataError(f"{place}: the recording has no samples. Leave it out.")
    if not np.isfinite(samples).all():
        raise DataError(f"{place}: the recording has NaN or infinite samples. Write the file again, or leave it out.")
    if rate != SAMPLE_RATE:
        import librosa

        samples = librosa.resample(samples.astype(np.float32), orig_sr=rate, target_sr=SAMPLE_RATE, res_type="soxr_hq")
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


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
        if self.archive is not None:
            names = self.archive.namelist()
        else:
            names = [str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()]
        return sorted(
            name for name in names if Path(name).suffix.lower() in SUFFIXES and not Path(name).name.startswith(".")
        )

    def fingerprint(self, name: str) -> tuple[int, int]:
        """Returns two numbers that change with a recording: its size and checksum, or its size and modification time."""
        if self.archive is not None:
            info = self.archive.getinfo(name)
            return info.file_size, info.CRC
        status = (self.path / name).stat()
        return status.st_size, status.st_mtime_ns

    def read(self, name: str, place: str) -> np.ndarray:
        """Returns the samples of a recording (see `read`)."""
        if self.archive is not None:
            try:
                content = self.archive.read(name)
            except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
                raise DataError(
                    f"{place}: {name} cannot be read from {self.path} ({error}). Create the .zip file again."
                ) from error
            return read(content, place)
        return read(self.path / name, place)

    def sample_rate(self, name: str) -> int:
        """Returns the samples per second of a recording that `read` has read; 0 in a .zip file, all of which it would decompress."""
        import soundfile

        return 0 if self.archive is not None else int(soundfile.info(str(self.path / name)).samplerate)

    def contains(self, name: str) -> bool:
        """Returns whether there is a recording with this name."""
        return name in self.archive.NameToInfo if self.archive is not None else (self.path / name).is_file()

    def find(self, name: str) -> str:
        """Returns the name of the recording that a manifest means; the same name if there is none.

        A manifest may write accents separately, backslashes between folders, or no suffix.
        """
        return name if self.contains(name) else self._names_by_key.get(_name_key(name), name)

    @cached_property
    def _names_by_key(self) -> dict[str, str]:
        """Names of the recordings by `_name_key`, with the suffix and without it where that is unique."""
        names = self.names()
        stems = Counter(name.removesuffix(Path(name).suffix) for name in names)
        unique = {stem: name for name in names if stems[stem := name.removesuffix(Path(name).suffix)] == 1}
        return {_name_key(key): name for key, name in [*unique.items(), *zip(names, names, strict=True)]}

    def require(self, name: str, place: str) -> None:
        """Raises a `DataError` if there is no recording with this name."""
        if not self.contains(name):
            folder = "the current folder" if self.path == Path() else self.path
            raise DataError(
                f"{place}: there is no recording {name} in {folder}. Check the name, or give the folder with --recordings."
            )


def _name_key(name: str) -> str:
    return unicodedata.normalize("NFC", name).replace("\\", "/").removeprefix("./")


def _open_archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .zip file ({error}). Create the .zip file again.") from error


def cache_recordings(
    key: Sequence[object], recordings: Iterator[np.ndarray], folder: Path | None = None
) -> tuple[Path, np.ndarray]:
    """Writes recordings to one file of 16-bit samples, one after the other, so that training does not decode them again.

    Args:
        key: values that identify the recordings; the file is written only once for each key.
        recordings: iterator over the samples of each recording, float32 `(samples,)` in [-1, 1].
        folder: folder of the cached files; None for `CACHE`.

    Returns:
        Path of the file, and the number of samples of each recording, int64 `(recordings,)`.

    Raises:
        DataError: the file cannot be written.
    """
    folder = folder or CACHE
    stem = hashlib.sha256(repr([CACHE_VERSION, *key]).encode()).hexdigest()[:32]
    path, lengths = folder / f"{stem}.samples", folder / f"{stem}.npy"
    if not (path.exists() and lengths.exists()):
        counts = []
        try:
            with _open_atomically(path) as file:
                for samples in recordings:
                    file.write(np.round(samples * INT16_MAX).astype("<i2").tobytes())
                    counts.append(len(samples))
            with _open_atomically(lengths) as file:
                np.save(file, np.array(counts, np.int64))
        except OSError as error:
            raise DataError(
                f"{folder}: the recordings cannot be cached here ({error}). Free disk space, or make the folder writable."
            ) from error
    return path, np.load(lengths)


@contextmanager
def _open_atomically(path: Path) -> Iterator[BinaryIO]:
    """Opens a temporary file for writing; at the end, it is renamed to `path`, or deleted after an error."""
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def open_cache(path: str) -> np.ndarray:
    """Returns all samples of a cached file as a memory map, int16 `(samples,)`."""
    return np.memmap(path, dtype="<i2", mode="r")


def get_samples(cache: np.ndarray, start: int, length: int) -> np.ndarray:
    """Returns one recording of a cached file, float32 `(length,)` in [-1, 1].

    Args:
        cache: from `open_cache`.
        start: index of its first sample.
        length: number of its samples.
    """
    return cache[start : start + length].astype(np.float32) / INT16_MAX
