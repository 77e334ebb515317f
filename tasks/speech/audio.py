"""A user's recordings: any format that libsndfile reads, any rate, brought to one channel of 16,000 samples a second."""

from __future__ import annotations

import hashlib
import io
import os
import tempfile
import zipfile
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np

from shared.errors import DataError
from tasks.speech.features import RATE

ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache" / "speech"
KINDS = (".wav", ".flac", ".ogg", ".opus", ".mp3", ".aif", ".aiff", ".au", ".sph")
SCALE = 32_767  # of 16-bit samples
VERSION = 1  # of what is kept: another makes the files anew
LONGEST = 3600  # seconds of one recording


def read(content: bytes | Path, place: str) -> np.ndarray:
    """Returns a recording's samples, float32 `(samples,)` in [-1, 1]: channels averaged, brought to `RATE`.

    Args:
        content: of the file, or where it is.
        place: what an error calls it.

    Raises:
        DataError: it is no sound, is empty, holds samples that are no numbers, or is longer than an hour.
    """
    import soundfile

    try:
        with soundfile.SoundFile(io.BytesIO(content) if isinstance(content, bytes) else content) as file:
            if file.frames > LONGEST * file.samplerate:
                raise DataError(f"{place}: longer than an hour. Cut it where nobody speaks.")
            samples, rate = file.read(dtype="float32", always_2d=True), file.samplerate
    except (soundfile.LibsndfileError, OSError, TypeError) as error:  # a .raw file has no type
        reason = str(error).strip().rstrip(".").splitlines()[0]
        raise DataError(
            f"{place}: cannot be read as sound ({reason}). Give a whole .wav, .flac, .ogg or .mp3 file."
        ) from error
    return at_rate(samples.mean(axis=1), rate, place)


def at_rate(samples: np.ndarray, rate: int, place: str) -> np.ndarray:
    """Returns samples `(samples,)` or `(samples, channels)` of any rate, integers or numbers in [-1, 1], as `read` does."""
    if samples.ndim > 1:
        samples = samples.mean(axis=-1).astype(samples.dtype)
    if samples.dtype.kind == "i":
        narrow = samples.dtype.itemsize == 8 and np.abs(samples).max(initial=0) <= 2**15  # TFDS's own integers
        samples = samples.astype(np.float32) / (2**15 if narrow else 2 ** min(31, 8 * samples.dtype.itemsize - 1))
    if not len(samples):
        raise DataError(f"{place}: holds no sound. Leave it out.")
    if not np.isfinite(samples).all():
        raise DataError(f"{place}: holds samples that are no numbers. Write the file anew.")
    if rate != RATE:
        import librosa

        samples = librosa.resample(samples.astype(np.float32), orig_sr=rate, target_sr=RATE, res_type="soxr_hq")
    return np.clip(samples, -1.0, 1.0).astype(np.float32)


class Folder:
    """Recordings of a folder or a .zip file, by their names.

    Args:
        path: of either.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.archive = None if path.is_dir() else _archive(path)

    def names(self) -> list[str]:
        """Returns the names of all recordings, sorted."""
        if self.archive is not None:
            found = self.archive.namelist()
        else:
            found = [str(path.relative_to(self.path)) for path in self.path.rglob("*") if path.is_file()]
        return sorted(
            name for name in found if Path(name).suffix.lower() in KINDS and not Path(name).name.startswith(".")
        )

    def stamp(self, name: str) -> tuple[int, int]:
        """Returns two numbers that change when a recording does: its size and checksum, or size and time of change."""
        if self.archive is not None:
            info = self.archive.getinfo(name)
            return info.file_size, info.CRC
        status = (self.path / name).stat()
        return status.st_size, status.st_mtime_ns

    def read(self, name: str, place: str) -> np.ndarray:
        """Returns a recording's samples (see `read`)."""
        if self.archive is not None:
            try:
                content = self.archive.read(name)
            except (OSError, zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError) as error:
                raise DataError(
                    f"{place}: {name} cannot be read from {self.path} ({error}). Make the .zip file anew."
                ) from error
            return read(content, place)
        return read(self.path / name, place)

    def require(self, name: str, place: str) -> None:
        """Raises a `DataError` where there is no such recording."""
        there = name in self.archive.NameToInfo if self.archive is not None else (self.path / name).is_file()
        if not there:
            folder = "this folder" if self.path == Path() else self.path
            raise DataError(
                f"{place}: no recording {name} in {folder}. Check the name, or say where it is with --audio.recordings."
            )


def _archive(path: Path) -> zipfile.ZipFile:
    try:
        return zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path}: cannot be read as a .zip file ({error}). Is it what its name says?") from error


def kept(key: Sequence[object], make: Iterator[np.ndarray], folder: Path | None = None) -> tuple[Path, np.ndarray]:
    """Returns a file of 16-bit samples that holds recordings one after the other, and how long each is, int64 `(recordings,)`.

    The file is made once for a key: training reads it without decoding anything again.

    Args:
        key: what the recordings are known by.
        make: yields the samples of each.
        folder: of the kept files; by default `CACHE`.
    """
    folder = folder or CACHE
    stem = hashlib.sha256(repr([VERSION, *key]).encode()).hexdigest()[:32]
    path, lengths = folder / f"{stem}.samples", folder / f"{stem}.npy"
    if not (path.exists() and lengths.exists()):
        counts = []
        try:
            with _aside(path) as file:
                for samples in make:
                    file.write(np.round(samples * SCALE).astype("<i2").tobytes())
                    counts.append(len(samples))
            with _aside(lengths) as file:
                np.save(file, np.array(counts, np.int64))
        except OSError as error:
            raise DataError(
                f"{folder}: the recordings cannot be kept there ({error}). Make room, or mend its rights."
            ) from error
    return path, np.load(lengths)


@contextmanager
def _aside(path: Path) -> Iterator[BinaryIO]:
    """Opens a file to write, which takes its name when all is written."""
    path.parent.mkdir(parents=True, exist_ok=True)
    number, name = tempfile.mkstemp(dir=path.parent)
    try:
        with os.fdopen(number, "wb") as file:
            yield file
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def opened(path: str) -> np.ndarray:
    """Returns all samples of a kept file, 16 bits each, read as they are asked for."""
    return np.memmap(path, dtype="<i2", mode="r")


def samples_of(store: np.ndarray, start: int, length: int) -> np.ndarray:
    """Returns one recording of a kept file, float32 `(length,)` in [-1, 1]."""
    return store[start : start + length].astype(np.float32) / SCALE
