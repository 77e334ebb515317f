"""Cuts recordings of any length into segments of speech, in constant memory.

A window of the recording is searched for speech (see `tasks.speech.voice_activity`). Pauses of at least `MIN_PAUSE` seconds divide
segments, so that silence around the speech is cut off. Longer speech is divided where it is quietest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE
from tasks.speech.voice_activity import find_speech, frame_energy

WINDOW = 30 * SAMPLE_RATE  # samples that are searched at once
MAX_SEGMENT = 20 * SAMPLE_RATE  # samples
MIN_PAUSE = 1.0
"""Length of a pause between two segments, in seconds."""

Span = tuple[int, int]
"""First sample, and the sample after the last one."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording that has speech."""

    start: float
    """Time of its first sample, in seconds."""
    samples: np.ndarray
    """Float32 `(samples,)` in [-1, 1] at 16 kHz."""

    @property
    def end(self) -> float:
        """Time after its last sample, in seconds."""
        return self.start + len(self.samples) / SAMPLE_RATE


def find_segments(blocks: Iterable[np.ndarray]) -> Iterator[Segment]:
    """Yields the segments of a recording, in their order.

    Args:
        blocks: consecutive parts of the recording of any size, float32 `(samples,)` in [-1, 1] at 16 kHz.
    """
    offset, pending = 0, np.zeros(0, np.float32)
    for block in blocks:
        pending = np.concatenate([pending, block])
        while len(pending) > WINDOW:
            window = pending[:WINDOW]
            spans, used = _complete_spans(window, _find_spans(window))
            for start, end in spans:  # a copy does not keep the window in memory
                yield Segment((offset + start) / SAMPLE_RATE, window[start:end].copy())
            offset, pending = offset + used, pending[used:]
    for start, end in _find_spans(pending):
        yield Segment((offset + start) / SAMPLE_RATE, pending[start:end].copy())


def _complete_spans(window: np.ndarray, spans: list[Span]) -> tuple[list[Span], int]:
    """Returns the spans that later samples do not change, and how many samples of the window are complete."""
    is_open = bool(spans) and spans[-1][1] > len(window) - int(MIN_PAUSE * SAMPLE_RATE)
    if not is_open:
        return spans, len(window)
    if len(spans) > 1:
        return spans[:-1], spans[-1][0]
    if spans[0][0] > 0:
        return [], spans[0][0]
    return spans, spans[0][1]


def _find_spans(samples: np.ndarray) -> list[Span]:
    """Returns the spans with speech, at most `MAX_SEGMENT` long."""
    if len(samples) < 1:
        return []
    padded = np.pad(samples, (0, FRAME_LENGTH))[None]
    energy = np.asarray(frame_energy(padded))[:, : -(-len(samples) // HOP_LENGTH)]
    is_speech = np.asarray(find_speech(energy, np.ones(energy.shape, bool)))[0]
    edges = np.flatnonzero(np.diff(np.concatenate([[0], is_speech, [0]]).astype(np.int8)))
    spans: list[list[int]] = []
    for first, after in edges.reshape(-1, 2):
        if spans and (first - spans[-1][1]) * HOP_LENGTH < MIN_PAUSE * SAMPLE_RATE:
            spans[-1][1] = after
        else:
            spans.append([first, after])
    pieces = [piece for first, after in spans for piece in _divide(energy[0], first, after)]
    return [
        (int(first) * HOP_LENGTH, min(len(samples), int(after) * HOP_LENGTH + FRAME_LENGTH)) for first, after in pieces
    ]


def _divide(energy: np.ndarray, first: int, after: int) -> Iterator[Span]:
    """Yields spans of frames, divided at the quietest frame of the second half of what is too long."""
    limit = MAX_SEGMENT // HOP_LENGTH
    while after - first > limit:
        middle = first + limit // 2
        cut = middle + int(np.argmin(energy[middle : first + limit]))
        yield first, cut
        first = cut
    yield first, after
