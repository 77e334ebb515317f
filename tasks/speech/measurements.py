"""What is noticed about the sound of recordings: levels, clipping, silence and channels, as numbers and as notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from tasks.speech.containers import SIZE_WRONG, TRUNCATED
from tasks.speech.timing import SAMPLE_RATE

FULL_SCALE = {"PCM_U8": 0.99, "PCM_S8": 0.99, "ULAW": 0.98, "ALAW": 0.984}
"""By encoding: absolute value from which a sample counts as clipped, a little below the maximum; elsewhere 0.999."""
MAX_CLIPPED = 1e-3  # fraction of the samples of a recording
MIN_PEAK = 1e-4  # below it, a recording or channel has no sound
QUIET_PEAK = 1e-2
MAX_OFFSET = 0.02
MAX_SILENCE = 2.0  # seconds at the start or end
CANCELLED_RATIO = 0.1  # root mean square of the mean of the channels, relative to that of the loudest channel
SILENCE_RATIO = 0.03  # root mean square of a frame of silence, relative to that of the loudest frame: 30 dB
SILENCE_FRAME = SAMPLE_RATE // 100
MAX_LISTED_NAMES = 3
COLUMNS = (
    *("sample_rate", "channels", "peak", "offset", "clipped", "leading_silence", "trailing_silence"),
    *("is_cancelled", "sounding_channel", "size_problem"),
)
"""Names of the measurements of a recording."""


@dataclass
class Meter:
    """Measures a recording while it is read in blocks.

    Args:
        sample_rate: of the file, in samples per second.
        channels: number of channels of the file.
        full_scale: absolute value from which a sample counts as clipped.
        size_problem: from `tasks.speech.containers.open_recording`.
    """

    sample_rate: int
    channels: int
    full_scale: float
    size_problem: int
    count: int = 0
    clipped: int = 0
    total: float = 0.0
    mixed_power: float = 0.0
    peaks: np.ndarray = field(default_factory=lambda: np.zeros(1))
    powers: np.ndarray = field(default_factory=lambda: np.zeros(1))

    def update(self, block: np.ndarray, mixed: np.ndarray) -> None:
        """Adds a block of the used channels, float32 `(samples, channels)`, and the mono signal made of it, `(samples,)`."""
        absolute = np.abs(block)
        self.count += len(block)
        self.clipped += int((absolute.max(axis=1) >= self.full_scale).sum())
        self.peaks = np.maximum(self.peaks, absolute.max(axis=0))
        self.powers = self.powers + np.square(block, dtype=np.float64).sum(axis=0)
        self.mixed_power += float(np.square(mixed, dtype=np.float64).sum())
        self.total += float(mixed.sum(dtype=np.float64))

    def measure(self, samples: np.ndarray) -> dict[str, float]:
        """Returns the measurements by the names of `COLUMNS`.

        `clipped` is a fraction; silences are in seconds; `sounding_channel` is the index of the loudest channel if another one has no
        sound, or else -1.

        Args:
            samples: the whole recording, float32 `(samples,)` at 16 kHz.
        """
        leading, trailing = measure_silence(samples)
        loudest = int(np.argmax(self.powers))
        is_partly_silent = self.peaks.max() >= MIN_PEAK > self.peaks.min()
        return {
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "peak": float(self.peaks.max()),
            "offset": self.total / max(1, self.count),
            "clipped": self.clipped / max(1, self.count),
            "leading_silence": leading,
            "trailing_silence": trailing,
            "is_cancelled": self.mixed_power < CANCELLED_RATIO**2 * self.powers[loudest],
            "sounding_channel": loudest if is_partly_silent else -1,
            "size_problem": self.size_problem,
        }


def measure_silence(samples: np.ndarray) -> tuple[float, float]:
    """Returns the seconds before the first and after the last frame of 10 ms with sound; 0 for both if there is no sound.

    Args:
        samples: float32 `(samples,)` at 16 kHz.
    """
    frames = samples[: len(samples) // SILENCE_FRAME * SILENCE_FRAME].reshape(-1, SILENCE_FRAME)
    if not len(frames) or np.abs(samples).max() < MIN_PEAK:
        return 0.0, 0.0
    rms = np.sqrt(np.mean(np.square(frames), axis=1))
    loud = np.flatnonzero(rms > max(MIN_PEAK, SILENCE_RATIO * rms.max()))
    if not len(loud):
        return 0.0, 0.0
    seconds = SILENCE_FRAME / SAMPLE_RATE
    return float(loud[0] * seconds), float((len(frames) - 1 - loud[-1]) * seconds)


def add_notices(frame: pd.DataFrame, source: str, has_rows: bool = True) -> None:
    """Adds a notice for each kind of oddity in the sound of some recordings.

    Args:
        frame: columns `name`, and those of `COLUMNS`.
        source: file or folder, for the messages.
        has_rows: whether the recordings are the rows of a table.
    """
    for mask, observation, hint in (*_find_losses(frame), *_find_levels(frame)):
        _add_notice(frame["name"].tolist(), mask.to_numpy(bool), source, observation, hint, has_rows)


def add_notices_of_losses(measured: Sequence[Mapping[str, float]], names: Sequence[str], source: str) -> None:
    """Adds a notice for each kind of oddity that leaves no or less speech in some recordings.

    Args:
        measured: measurements of each recording.
        names: their names.
        source: where they come from, for the messages.
    """
    if measured:
        for mask, observation, hint in _find_losses(pd.DataFrame(list(measured))):
            _add_notice(names, mask.to_numpy(bool), source, observation, hint, has_rows=False)


def _find_losses(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str, str]]:
    """Yields what is wrong with the size and the channels: a mask, an observation and a hint."""
    has_sound, is_one_sided = frame["peak"] >= MIN_PEAK, frame["sounding_channel"] >= 0
    channels = [str(int(k)) for k in np.unique(frame["sounding_channel"][is_one_sided])]
    yield (
        frame["size_problem"] == SIZE_WRONG,
        "state a wrong size of their data, as after writing to a pipe; they are read to the end of the file",
        "",
    )
    yield (
        frame["size_problem"] == TRUNCATED,
        "end before the size that they state; the existing part is used",
        "Copy them again, or check that the text fits.",
    )
    yield (
        frame["is_cancelled"].astype(bool) & has_sound,
        "have channels that cancel each other, so their mean has nearly no sound",
        "Use one channel: --audio.channel 0",
    )
    yield (
        is_one_sided & ~frame["is_cancelled"].astype(bool),
        "have a channel without sound, so the mean of the channels is quieter",
        f"Use the channel with the sound: --audio.channel {channels[0]}" if len(channels) == 1 else "",
    )
    yield ~has_sound, "have no sound", ""


def _find_levels(frame: pd.DataFrame) -> Iterator[tuple[pd.Series, str, str]]:
    """Yields what is unusual about the levels: a mask, an observation and a hint."""
    silence = frame[["leading_silence", "trailing_silence"]].max(axis=1)
    yield (
        (frame["peak"] >= MIN_PEAK) & (frame["peak"] < QUIET_PEAK),
        f"are very quiet: no sample is above {QUIET_PEAK:g}",
        "Record them again, or amplify them.",
    )
    yield (
        frame["clipped"] > MAX_CLIPPED,
        f"are clipped: more than {MAX_CLIPPED:.1%} of the samples have the maximum value",
        "Record them again with a lower gain.",
    )
    yield (
        frame["offset"].abs() > MAX_OFFSET,
        f"have an offset: the mean of the samples is not 0, but more than {MAX_OFFSET:g} above or below",
        "Remove it: ffmpeg -i a.wav -af highpass=f=50 a.flac",
    )
    yield (
        silence > MAX_SILENCE,
        f"have more than {MAX_SILENCE:g} seconds of silence at the start or end",
        "Cut it off, unless the recordings to transcribe have it too.",
    )


def _add_notice(
    names: Sequence[str], mask: np.ndarray, source: str, observation: str, hint: str, has_rows: bool
) -> None:
    positions = np.flatnonzero(mask)
    if not len(positions):
        return
    listed = ", ".join(str(names[k]) for k in positions[:MAX_LISTED_NAMES])
    listed += " …" if len(positions) > MAX_LISTED_NAMES else ""
    rows = positions + 1 if has_rows else ()
    add_notice(f"{source}: {len(positions):,} of {len(mask):,} recordings {observation}: {listed}.", rows, hint)


def summarize_rates(frame: pd.DataFrame) -> str:
    """Returns the sample rates of the files with their counts, such as "8000 Hz 12, 16000 Hz 3"."""
    return _summarize_counts(frame, "sample_rate", "{} Hz")


def summarize_channels(frame: pd.DataFrame) -> str:
    """Returns the numbers of channels of the files with their counts, such as "mono 12, stereo 3"."""
    counts = _summarize_counts(frame, "channels", "{} channels")
    return counts.replace("2 channels", "stereo").replace("1 channels", "mono")


def summarize_hours(frame: pd.DataFrame) -> str:
    """Returns the hours of audio, such as "1.25"."""
    return f"{frame['length'].sum() / SAMPLE_RATE / 3600:,.4g}"


def summarize_clipping(frame: pd.DataFrame) -> str:
    """Returns the fraction of clipped recordings, such as "0.5 % of recordings"."""
    return _summarize_fraction(frame, "clipped", lambda values: values > MAX_CLIPPED)


def summarize_silence(frame: pd.DataFrame) -> str:
    """Returns the fraction of recordings without sound, and the longest silence at a start or end."""
    if "peak" not in frame or not len(frame):
        return "unknown"
    ends = frame[["leading_silence", "trailing_silence"]].max()
    fraction = (frame["peak"] < MIN_PEAK).mean()
    return f"{fraction:.1%} without sound; at most {ends.iloc[0]:.2f} s at the start, {ends.iloc[1]:.2f} s at the end"


def _summarize_counts(frame: pd.DataFrame, column: str, form: str) -> str:
    if column not in frame:
        return "unknown"
    counts = frame[column].astype(int).value_counts().sort_index()
    return ", ".join(f"{form.format(value)} {count:,}" for value, count in counts.items())


def _summarize_fraction(frame: pd.DataFrame, column: str, is_odd: Callable[[pd.Series], pd.Series]) -> str:
    return f"{is_odd(frame[column]).mean():.1%} of recordings" if column in frame and len(frame) else "unknown"
