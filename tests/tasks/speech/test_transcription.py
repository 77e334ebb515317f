"""Recordings of any number and length are transcribed segment by segment, in their order."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.decoder import Decoder
from tasks.speech.timing import SAMPLE_RATE, count_steps
from tasks.speech.transcription import MAX_BATCH_SAMPLES, batches_by_length, transcribe_all
from tests.shared.decoding.sequences import log_probabilities_of
from tests.tasks.speech.conftest import ALPHABET, tone

SILENCE = np.zeros(3 * SAMPLE_RATE, np.float32)


class LengthPredictor:
    """Writes "a" for segments shorter than a second, else "b", and notes its requests."""

    def __init__(self):
        self.shapes = []

    def __call__(self, request):
        self.shapes.append(request["samples"].shape)
        rows = []
        steps = int(count_steps(request["samples"].shape[1]))
        for length in request["length"]:
            letter = "a" if length < SAMPLE_RATE else "b"
            rows.append(log_probabilities_of(f"{letter}{'_' * (steps - 1)}", ALPHABET))
        return {"log_probabilities": np.stack(rows)}


def test_each_recording_has_its_text_and_times():
    short = np.pad(tone("a"), 3200)  # a tone without silence around it is no speech
    long = np.concatenate([tone("abc"), tone("abc")])
    recordings = [[short], [SILENCE, long, SILENCE, short], [SILENCE], []]
    results = transcribe_all(LengthPredictor(), recordings, Decoder(ALPHABET))
    assert [result.text for result in results] == ["a", "b a", "", ""]
    words = results[1].words
    assert words[0].start == pytest.approx(3.0, abs=0.25)
    assert words[1].start == pytest.approx(6.0 + len(long) / SAMPLE_RATE, abs=0.25)
    assert results[2].confidence == 1.0


def test_an_hour_is_read_block_by_block_in_requests_of_limited_size():
    predictor, word = LengthPredictor(), tone("abc")
    blocks = (block for _ in range(700) for block in (word, np.zeros(4 * SAMPLE_RATE, np.float32)))
    (result,) = transcribe_all(predictor, [blocks], Decoder(ALPHABET))
    assert len(result.words) == 700
    assert all(rows * length <= MAX_BATCH_SAMPLES for rows, length in predictor.shapes)
    assert result.words[-1].end > 45 * 60


def test_requests_have_segments_of_similar_length():
    lengths = [10, MAX_BATCH_SAMPLES // 2, 20, MAX_BATCH_SAMPLES, 30]
    batches = [rows.tolist() for rows in batches_by_length(np.argsort(lengths), lengths)]
    assert batches == [[0, 2, 4], [1], [3]]
