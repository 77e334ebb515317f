"""Reads recordings of any format, sample rate and number of channels as mono samples at 16 kHz, and caches them in one file.

This is the only place that decodes, mixes and resamples; the signature `transcribe_wav` does the same in the graph
(`tasks/speech/wav.py`).
"""

from __future__ import annotations

import hashlib
import math
import os
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pandas as pd
import soxr

from shared.errors import DataError
from tasks.speech.containers import HEAD_BYTES, describe_error, explain_unreadable, open_recording
from tasks.speech.input_config import MEAN_CHANNEL
from tasks.speech.measurements import FULL_SCALE, Meter
from tasks.speech.timing import SAMPLE_RATE

MIN_RATE, MAX_RATE = 4_000, 1_000_000
"""Samples per second that a file may state; others are mistakes, and resampling would need much memory."""
ROOT = Path(__file__).resolve().parents[2]
CACHE = ROOT / "data" / "cache" / "speech"
INT16_MAX = 32_767
CACHE_VERSION = 2  # a new number makes all cached files outdated
MAX_SECONDS = 3600  # of one recording in training
MAX_FLOAT_SAMPLE = 8.0  # absolute value from which a floating-point sample is an integer that was not scaled
BLOCK_SAMPLES = 1 << 18  # samples of all channels that are decoded at once


@dataclass(frozen=True)
class Recording:
    """A decoded recording."""

    samples: np.ndarray
    """Float32 `(samples,)` in [-1, 1] at 16 kHz."""
    measurements: Mapping[str, float] = field(default_factory=dict)
    """What `tasks.speech.measurements.Meter` measured; empty if nothing was."""


def read(content: bytes | Path, place: str, channel: str = MEAN_CHANNEL, name: str = "") -> np.ndarray:
    """Returns the samples of a recording, float32 `(samples,)` in [-1, 1], at 16 kHz (see `decode`)."""
    return decode(content, place, channel, name).samples


def decode(
    content: bytes | Path, place: str, channel: str = MEAN_CHANNEL, name: str = "", max_seconds: float = math.inf
) -> Recording:
    """Decodes a recording of any format that libsndfile reads, and measures it.

    Args:
        content: bytes of the file, or its path.
        place: file or row, for the error message.
        channel: `mean` for the mean of all channels, or the index of a channel; a file with one channel is used as it is.
        name: name of the file, for the command that converts it; that of the path by default.
        max_seconds: maximum duration.

    Raises:
        DataError: the file is missing or not audio, has no samples or no such channel, has NaN, infinite or too large samples, or
            is too long.
    """
    recording = decode_short(content, place, channel, name, max_seconds)
    if recording is None:
        raise DataError(f"{place}: the recording is longer than {max_seconds / 3600:g} hour. Cut it at pauses.")
    return recording


def decode_short(
    content: bytes | Path, place: str, channel: str = MEAN_CHANNEL, name: str = "", max_seconds: float = math.inf
) -> Recording | None:
    """Decodes a whole recording, and returns it as `decode` does if it is short; None if it is longer than `max_seconds`.

    Memory does not grow with the length of a longer recording.
    """
    meters: list[Meter] = []
    blocks: list[np.ndarray] = []
    count = 0
    for block in _decode_blocks(content, place, channel, name, meters):
        count += len(block)
        if count > max_seconds * SAMPLE_RATE:
            blocks.clear()
        else:
            blocks.append(block)
    if count > max_seconds * SAMPLE_RATE:
        return None
    samples = np.concatenate(blocks)
    return Recording(samples, meters[0].measure(samples))


def read_blocks(
    content: bytes | Path, seconds: float, place: str = "", channel: str = MEAN_CHANNEL, name: str = ""
) -> Iterator[np.ndarray]:
    """Yields the samples of a recording of any length in blocks, float32 in [-1, 1], at 16 kHz. Memory does not grow with the length.

    All blocks together are the samples that `read` returns.

    Args:
        content: bytes of the file, or its path.
        seconds: duration of each block but the last, which may be shorter.
        place, channel, name: as in `decode`; the place is the path by default.

    Raises:
        DataError: as in `decode`; a problem inside the file is raised when its block is read.
    """
    size = max(1, round(seconds * SAMPLE_RATE))
    waiting: list[np.ndarray] = []
    for block in _decode_blocks(content, place or str(content), channel, name, []):
        waiting.append(block)
        if sum(map(len, waiting)) >= size:
            samples = np.concatenate(waiting)
            end = len(samples) // size * size
            yield from np.split(samples[:end], end // size)
            waiting = [samples[end:]]
    if any(map(len, waiting)):
        yield np.concatenate(waiting)


def _decode_blocks(
    content: bytes | Path, place: str, channel: str, name: str, meters: list[Meter]
) -> Iterator[np.ndarray]:
    """Yields mono samples at 16 kHz as they are decoded, at least one block, and appends a `Meter` of the file to `meters`."""
    import soundfile

    name = name or (content.name if isinstance(content, Path) else "")
    try:
        raw, size_problem = open_recording(content)
        with raw:
            explanation = explain_unreadable(raw.read(HEAD_BYTES), name)
            if explanation:
                raise DataError(f"{place}: {explanation}")
            raw.seek(0)
            with soundfile.SoundFile(raw) as file:
                if not MIN_RATE <= file.samplerate <= MAX_RATE:
                    raise DataError(
                        f"{place}: the file states {file.samplerate:,} samples per second; {MIN_RATE:,} to {MAX_RATE:,} are possible. "
                        "Write the file again."
                    )
                full_scale = FULL_SCALE.get(file.subtype, 0.999)
                meter = Meter(file.samplerate, file.channels, full_scale, size_problem)
                meters.append(meter)
                yield from _resample_blocks(_read_mono(file, place, channel, meter), file.samplerate, place)
    except (soundfile.LibsndfileError, OSError, TypeError) as error:  # TypeError: a .raw file does not state its format
        raise DataError(describe_error(error, content, place, name)) from error


def _read_mono(file: Any, place: str, channel: str, meter: Meter) -> Iterator[np.ndarray]:
    """Yields the selected channel, or the mean of all, of an open file in blocks, float32 `(samples,)`."""
    buffer = np.empty((max(1, BLOCK_SAMPLES // file.channels), file.channels), np.float32)
    # With a buffer, soundfile reads files that cannot seek, and those whose length it does not know.
    while len(block := file.read(out=buffer)):
        mixed = mix_channels(block, channel, place)
        used = block if channel == MEAN_CHANNEL else mixed[:, None]
        _require_valid(used, place)
        meter.update(used, mixed)
        yield mixed


def mix_channels(samples: np.ndarray, channel: str, place: str) -> np.ndarray:
    """Returns one channel, or the mean of all, `(samples,)`.

    Args:
        samples: `(samples, channels)`.
        channel, place: as in `decode`.

    Raises:
        DataError: there is no such channel.
    """
    count = samples.shape[1]
    if count == 1:
        return samples[:, 0].copy()
    if channel == MEAN_CHANNEL:
        return samples.mean(axis=1).astype(samples.dtype)
    if int(channel) >= count:
        raise DataError(
            f"{place}: there is no channel {channel}; the channels of the recording are 0 to {count - 1}. Change --audio.channel."
        )
    return samples[:, int(channel)].copy()


def _require_valid(samples: np.ndarray, place: str) -> None:
    """Raises a `DataError` if samples are NaN, infinite, or integers that were not scaled."""
    if not np.isfinite(samples).all():
        raise DataError(f"{place}: the recording has NaN or infinite samples. Write the file again, or leave it out.")
    peak = float(np.abs(samples).max(initial=0))
    if peak > MAX_FLOAT_SAMPLE:
        raise DataError(
            f"{place}: floating-point samples must be in [-1, 1]. Received: {peak:g}. Divide 16-bit samples by 32768 before they are "
            "written."
        )


def _resample_blocks(blocks: Iterable[np.ndarray], rate: int, place: str) -> Iterator[np.ndarray]:
    """Yields samples at 16 kHz, clipped to [-1, 1], float32; the length is the duration, rounded up to a sample.

    Raises:
        DataError: there are no samples.
    """
    stream = soxr.ResampleStream(rate, SAMPLE_RATE, 1, dtype="float32", quality="HQ") if rate != SAMPLE_RATE else None
    received = written = 0
    for block in blocks:
        received += len(block)
        output = block if stream is None else stream.resample_chunk(np.ascontiguousarray(block, np.float32))
        written += len(output)
        if len(output):
            yield np.clip(output, -1.0, 1.0)
    if not received:
        raise DataError(f"{place}: the recording has no samples. Leave it out.")
    if stream is not None:
        tail = stream.resample_chunk(np.zeros(0, np.float32), last=True)
        missing = -(-received * SAMPLE_RATE // rate) - written
        yield np.clip(np.pad(tail, (0, max(0, missing - len(tail))))[:missing], -1.0, 1.0)


def convert_samples(samples: np.ndarray, rate: int, place: str, channel: str = MEAN_CHANNEL) -> np.ndarray:
    """Returns samples as mono at 16 kHz, float32 `(samples,)` in [-1, 1].

    Args:
        samples: `(samples,)` or `(samples, channels)`, integers or floating-point numbers in [-1, 1].
        rate: samples per second.
        place, channel: as in `decode`.

    Raises:
        DataError: there are no samples, or some are NaN, infinite or too large.
    """
    if samples.dtype.kind == "i":
        is_int16 = samples.dtype.itemsize == 8 and np.abs(samples).max(initial=0) <= 2**15  # TFDS stores them as int64
        scale = 2**15 if is_int16 else 2 ** min(31, 8 * samples.dtype.itemsize - 1)
        samples = samples.astype(np.float32) / scale
    if samples.ndim > 1:
        samples = mix_channels(samples, channel, place)
    samples = samples.astype(np.float32)
    _require_valid(samples, place)
    return np.concatenate(list(_resample_blocks([samples], rate, place)))


def cache_recordings(
    key: Sequence[object], recordings: Iterable[np.ndarray], folder: Path | None = None
) -> tuple[Path, np.ndarray]:
    """Caches the samples of recordings (see `cache_measured`).

    Args:
        key: values that identify the recordings; the file is written only once for each key.
        recordings: iterator over the samples of each recording, float32 `(samples,)` in [-1, 1].
        folder: folder of the cached files; None for `CACHE`.

    Returns:
        Path of the file, and the number of samples of each recording, int64 `(recordings,)`.

    Raises:
        DataError: the file cannot be written.
    """
    path, table = cache_measured(key, map(Recording, recordings), folder)
    return path, table["length"].to_numpy()


def cache_measured(
    key: Sequence[object], recordings: Iterable[Recording], folder: Path | None = None
) -> tuple[Path, pd.DataFrame]:
    """Writes recordings to one file of 16-bit samples, one after the other, so that training does not decode them again.

    Returns:
        Path of the file, and a table with a row per recording: `length`, the number of its samples, int64, and its measurements.

    Raises:
        DataError: the file cannot be written.
    """
    folder = folder or CACHE
    stem = hashlib.sha256(repr([CACHE_VERSION, *key]).encode()).hexdigest()[:32]
    path, table = folder / f"{stem}.samples", folder / f"{stem}.parquet"
    if not (path.exists() and table.exists()):
        rows = []
        try:
            with _open_atomically(path) as file:
                for recording in recordings:
                    file.write(np.round(recording.samples * INT16_MAX).astype("<i2").tobytes())
                    rows.append({"length": len(recording.samples), **recording.measurements})
            with _open_atomically(table) as file:
                pd.DataFrame(rows, columns=None if rows else ["length"]).astype({"length": np.int64}).to_parquet(file)
        except OSError as error:
            raise DataError(
                f"{folder}: the recordings cannot be cached here ({error}). Free disk space, or make the folder writable."
            ) from error
    return path, pd.read_parquet(table)


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
