"""Transcribes recordings of any length with an exported model: cuts them into segments, and decodes with the language model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from shared.decoding.ctc_symbols import SPACE
from shared.task import Predictor
from tasks.speech.batches import pad_rows
from tasks.speech.decoder import Decoder, Transcript, Word, mean_confidence
from tasks.speech.segments import Segment, find_segments
from tasks.speech.timing import SAMPLE_RATE, count_steps

SIGNATURE = "log_probabilities"
"""Signature with the outputs that the decoder reads."""
MAX_BATCH_SAMPLES = 60 * SAMPLE_RATE
"""Samples per request, padding included; a longer segment is a request of its own."""
MAX_PENDING_SAMPLES = 600 * SAMPLE_RATE
"""Samples of the segments that wait, so that segments of similar length form requests."""

Blocks = Iterable[np.ndarray]
"""Consecutive parts of one recording, float32 `(samples,)` in [-1, 1] at 16 kHz."""


@dataclass(frozen=True)
class TimedTranscript:
    """The transcript of a segment, with its time."""

    start: float
    """Start of the segment, in seconds."""
    end: float
    """End of the segment, in seconds."""
    transcript: Transcript


@dataclass(frozen=True)
class RecordingTranscript:
    """The transcripts of the segments of a recording that have text, in their order."""

    segments: tuple[TimedTranscript, ...]
    silence: float
    """Confidence that the recording has no speech, in [0, 1]; it is the smallest `Transcript.silence` of its segments."""

    @property
    def text(self) -> str:
        """The text of all segments."""
        return SPACE.join(segment.transcript.text for segment in self.segments)

    @property
    def words(self) -> list[Word]:
        """The words of all segments."""
        return [word for segment in self.segments for word in segment.transcript.words]

    @property
    def confidence(self) -> float:
        """Geometric mean of the confidences of the words; without words, `silence`."""
        return mean_confidence(self.words, self.silence)


def transcribe_all(predictor: Predictor, recordings: Iterable[Blocks], decoder: Decoder) -> list[RecordingTranscript]:
    """Returns the transcript of each recording.

    Args:
        predictor: calls the signature `SIGNATURE`.
        recordings: the blocks of each recording, which are read once, in their order.
        decoder: writes the texts.
    """
    segments: list[list[TimedTranscript]] = []
    for group in _group(_number_segments(recordings, segments)):
        for (row, segment), transcript in zip(
            group, _transcribe(predictor, [s for _, s in group], decoder), strict=True
        ):
            segments[row].append(TimedTranscript(segment.start, segment.end, transcript))
    return [_combine(parts) for parts in segments]


def _combine(parts: Sequence[TimedTranscript]) -> RecordingTranscript:
    silence = min((part.transcript.silence for part in parts), default=1.0)
    return RecordingTranscript(tuple(part for part in parts if part.transcript.words), silence)


def _number_segments(
    recordings: Iterable[Blocks], segments: list[list[TimedTranscript]]
) -> Iterator[tuple[int, Segment]]:
    """Yields the segments of all recordings with the row of the recording, and adds an empty list for each recording."""
    for row, blocks in enumerate(recordings):
        segments.append([])
        yield from ((row, segment) for segment in find_segments(blocks))


def _group(segments: Iterable[tuple[int, Segment]]) -> Iterator[list[tuple[int, Segment]]]:
    """Yields lists of segments with at most about `MAX_PENDING_SAMPLES` samples."""
    group: list[tuple[int, Segment]] = []
    size = 0
    for row, segment in segments:
        group.append((row, segment))
        size += len(segment.samples)
        if size > MAX_PENDING_SAMPLES:
            yield group
            group, size = [], 0
    if group:
        yield group


def _transcribe(predictor: Predictor, segments: Sequence[Segment], decoder: Decoder) -> list[Transcript]:
    lengths = [len(segment.samples) for segment in segments]
    order = np.argsort(lengths, kind="stable")
    results: list[Transcript] = [Transcript((), 1.0)] * len(segments)
    for rows in batches_by_length(order, lengths):
        samples, length = pad_rows([segments[row].samples for row in rows], np.float32)
        log_probabilities = predictor({"samples": samples, "length": length})["log_probabilities"]
        for row, values, steps in zip(rows, log_probabilities, count_steps(length), strict=True):
            results[row] = decoder.decode(values[:steps], segments[row].start)
    return results


def batches_by_length(order: np.ndarray, lengths: Sequence[int]) -> Iterator[np.ndarray]:
    """Yields the indices of the recordings of each request: as many as fit into `MAX_BATCH_SAMPLES`, at least one.

    Args:
        order: indices of the recordings, shortest first.
        lengths: number of samples of each recording.
    """
    start = 0
    for end in range(1, len(order) + 1):
        if end == len(order) or (end + 1 - start) * lengths[order[end]] > MAX_BATCH_SAMPLES:
            yield order[start:end]
            start = end
