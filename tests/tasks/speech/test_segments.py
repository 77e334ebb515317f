"""Recordings of any length are cut into segments of speech, whatever the size of their blocks."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tasks.speech.segments import MAX_SEGMENT, find_segments
from tasks.speech.timing import SAMPLE_RATE
from tests.tasks.speech.conftest import tone

SILENCE = np.zeros(2 * SAMPLE_RATE, np.float32)
WORD = tone("abca")


def blocks_of(samples, size):
    return (samples[start : start + size] for start in range(0, len(samples), size))


def test_pauses_divide_segments_and_silence_is_cut_off():
    samples = np.concatenate([SILENCE, WORD, SILENCE, WORD])
    first, second = find_segments([samples])
    for segment, start in ((first, 2.0), (second, 4.0 + len(WORD) / SAMPLE_RATE)):
        assert segment.start == pytest.approx(start - 0.2, abs=0.1)
        expected = min(start + len(WORD) / SAMPLE_RATE + 0.2, len(samples) / SAMPLE_RATE)
        assert segment.end == pytest.approx(expected, abs=0.15)
        begin = round(segment.start * SAMPLE_RATE)
        np.testing.assert_array_equal(segment.samples, samples[begin : begin + len(segment.samples)])


def test_a_short_pause_does_not_divide():
    samples = np.concatenate([WORD, np.zeros(SAMPLE_RATE // 2, np.float32), WORD])
    assert len(list(find_segments([samples]))) == 1


@pytest.mark.parametrize("size", [1600, 50_001, 10**9])
def test_the_size_of_the_blocks_does_not_matter(size):
    parts = [SILENCE, WORD, SILENCE] * 12
    samples = np.concatenate(parts)
    expected = [(segment.start, segment.end) for segment in find_segments([samples])]
    assert len(expected) == 12
    assert [(segment.start, segment.end) for segment in find_segments(blocks_of(samples, size))] == expected


def test_long_speech_is_divided_without_a_gap():
    rng = np.random.default_rng(0)
    speech = np.concatenate([tone("abc") * rng.uniform(0.5, 1) for _ in range(200)])
    segments = list(find_segments(blocks_of(speech, 16_000)))
    assert len(speech) > 3 * MAX_SEGMENT
    assert all(len(segment.samples) <= MAX_SEGMENT + 1000 for segment in segments)
    for one, two in pairwise(segments):
        assert 0 <= one.end - two.start < 0.1
    assert segments[0].start < 0.1
    assert segments[-1].end == pytest.approx(len(speech) / SAMPLE_RATE, abs=0.01)


@pytest.mark.parametrize("samples", [np.zeros(0), np.zeros(1), np.zeros(40 * SAMPLE_RATE)])
def test_silence_has_no_segments(samples):
    assert list(find_segments([samples.astype(np.float32)])) == []
    assert list(find_segments([])) == []
