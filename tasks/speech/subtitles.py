"""Transcripts as text, as subtitles (.srt and .vtt) and as JSON with the time of each word."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Sequence
from typing import Any

from tasks.speech.decoder import Word
from tasks.speech.transcription import RecordingTranscript, TimedTranscript

MAX_LINE = 42  # characters of a line, as broadcasters recommend
MAX_LINES = 2  # of a subtitle
MAX_CUE_SECONDS = 7.0
MIN_CUE_SECONDS = 1.0  # so that a short word can be read
MAX_GAP = 1.5  # seconds of silence within a subtitle


def format_transcript(transcript: RecordingTranscript, form: str) -> str:
    """Returns a transcript as a document.

    Args:
        transcript: transcript of a recording.
        form: `txt`, one line per segment; `srt` or `vtt`, subtitles; or `json`.
    """
    if form == "txt":
        return "".join(f"{segment.transcript.text}\n" for segment in transcript.segments)
    if form == "json":
        return json.dumps(as_object(transcript), ensure_ascii=False, indent=1) + "\n"
    cues = list(_cues(transcript.words))
    if form == "vtt":
        texts = [
            f"{_time(start, '.')} --> {_time(end, '.')}\n{html.escape(text, quote=False)}\n"
            for start, end, text in cues
        ]
        return "\n".join(["WEBVTT\n", *texts])
    texts = [
        f"{k}\n{_time(start, ',')} --> {_time(end, ',')}\n{text}\n" for k, (start, end, text) in enumerate(cues, 1)
    ]
    return "\n".join(texts)


def as_object(transcript: RecordingTranscript) -> dict[str, Any]:
    """Returns a transcript as JSON-ready values: `text`, `confidence`, and `segments` with `start`, `end`, `text`, `confidence` and
    `words`. Times are in seconds."""
    return {
        "text": transcript.text,
        "confidence": round(transcript.confidence, 3),
        "segments": [_segment_object(segment) for segment in transcript.segments],
    }


def word_objects(words: Sequence[Word]) -> list[dict[str, Any]]:
    """Returns words as JSON-ready objects with `word`, `start` and `end` in seconds, and `confidence`."""
    return [
        {
            "word": word.text,
            "start": round(word.start, 2),
            "end": round(word.end, 2),
            "confidence": round(word.confidence, 3),
        }
        for word in words
    ]


def _segment_object(segment: TimedTranscript) -> dict[str, Any]:
    transcript = segment.transcript
    return {
        "start": round(segment.start, 2),
        "end": round(segment.end, 2),
        "text": transcript.text,
        "confidence": round(transcript.confidence, 3),
        "words": word_objects(transcript.words),
    }


def _cues(words: Sequence[Word]) -> Iterator[tuple[float, float, str]]:
    """Yields start, end and text of each subtitle, which end before the next one begins."""
    groups = list(_group_words(words))
    for k, group in enumerate(groups):
        start, end = group[0].start, max(group[-1].end, group[0].start + MIN_CUE_SECONDS)
        if k + 1 < len(groups):
            end = min(end, groups[k + 1][0].start)
        yield start, max(end, group[-1].end), "\n".join(_break_lines([word.text for word in group]))


def _group_words(words: Sequence[Word]) -> Iterator[list[Word]]:
    group: list[Word] = []
    for word in words:
        if group:
            is_full = len(_break_lines([w.text for w in [*group, word]])) > MAX_LINES
            is_long = word.end - group[0].start > MAX_CUE_SECONDS or word.start - group[-1].end > MAX_GAP
            if is_full or is_long:
                yield group
                group = []
        group.append(word)
    if group:
        yield group


def _break_lines(words: Sequence[str]) -> list[str]:
    lines = [words[0]]
    for word in words[1:]:
        if len(lines[-1]) + 1 + len(word) <= MAX_LINE:
            lines[-1] += f" {word}"
        else:
            lines.append(word)
    return lines


def _time(seconds: float, separator: str) -> str:
    """Returns a time as 01:02:03.456."""
    milliseconds = round(1000 * seconds)
    minutes, milliseconds = divmod(milliseconds, 60_000)
    return f"{minutes // 60:02}:{minutes % 60:02}:{milliseconds // 1000:02}{separator}{milliseconds % 1000:03}"
