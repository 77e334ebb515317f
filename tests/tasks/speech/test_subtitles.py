"""Transcripts as text, subtitles and JSON."""

from __future__ import annotations

import json

import pytest

from tasks.speech.decoder import Transcript, Word
from tasks.speech.subtitles import MAX_LINE, format_transcript
from tasks.speech.transcription import RecordingTranscript, TimedTranscript


def transcript_of(*segments):
    """Returns a transcript of segments `(start, text)`, with half a second per word."""
    parts = []
    for start, text in segments:
        words = [Word(word, start + 0.5 * k, start + 0.5 * k + 0.4, 0.9) for k, word in enumerate(text.split())]
        parts.append(TimedTranscript(start, start + 0.5 * len(words), Transcript(tuple(words), 0.1)))
    return RecordingTranscript(tuple(parts), 0.1)


TWO = transcript_of((0.5, "hello you"), (3661.25, "a < b & c"))


def test_text_has_a_line_per_segment():
    assert format_transcript(TWO, "txt") == "hello you\na < b & c\n"


def test_subtitles_are_numbered_and_timed():
    assert format_transcript(TWO, "srt") == (
        "1\n00:00:00,500 --> 00:00:01,500\nhello you\n\n2\n01:01:01,250 --> 01:01:03,650\na < b & c\n"
    )
    assert format_transcript(TWO, "vtt") == (
        "WEBVTT\n\n00:00:00.500 --> 00:00:01.500\nhello you\n\n01:01:01.250 --> 01:01:03.650\na &lt; b &amp; c\n"
    )


def test_json_has_segments_and_words():
    result = json.loads(format_transcript(TWO, "json"))
    assert result["text"] == "hello you a < b & c"
    assert [segment["start"] for segment in result["segments"]] == [0.5, 3661.25]
    assert result["segments"][0]["words"][1] == {"word": "you", "start": 1.0, "end": 1.4, "confidence": 0.9}


def test_long_text_is_divided_into_subtitles_of_two_lines_that_do_not_overlap():
    cues = format_transcript(transcript_of((0.0, "international " * 30)), "srt").split("\n\n")
    assert len(cues) > 3
    lines = [line for cue in cues for line in cue.splitlines()[2:]]
    assert max(map(len, lines)) <= MAX_LINE
    assert all(len(cue.splitlines()) <= 4 for cue in cues)
    assert " ".join(lines).split() == ["international"] * 30
    times = [time for cue in cues for time in cue.splitlines()[1].split(" --> ")]
    assert times == sorted(times)


@pytest.mark.parametrize("form", ["txt", "srt", "vtt", "json"])
def test_a_recording_without_speech_has_an_empty_document(form):
    document = format_transcript(RecordingTranscript((), 1.0), form)
    expected = {"txt": "", "srt": "", "vtt": "WEBVTT\n"}
    if form == "json":
        assert json.loads(document) == {"text": "", "confidence": 1.0, "segments": []}
    else:
        assert document == expected[form]
