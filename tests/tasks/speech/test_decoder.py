"""Texts, times and confidences of the words, decoded greedily or with the language model of the metadata."""

from __future__ import annotations

import json

import numpy as np
import pytest

from shared.decoding import arpa
from shared.errors import DataError
from tasks.speech.decoder import (
    Decoder,
    Transcript,
    Word,
    load_decoder,
    open_language_model,
    pack_language_model,
    unpack_language_model,
    word_confidence,
)
from tests.shared.decoding.sequences import log_probabilities_of
from tests.tasks.speech.conftest import ALPHABET

STEP = 0.04


def metadata_with(texts, **changes):
    settings = {
        "ngrams": pack_language_model(arpa.train_model(texts, 2)),
        "weight": 1.0,
        "word_bonus": 0.0,
        "is_closed": True,
        "beam_width": 8,
    }
    slopes = {"greedy": 1.0, "language_model": 2.0}
    confidence = {name: {"calibration": [slope, 0.0], "minimum": 0.0} for name, slope in slopes.items()}
    return {"alphabet": ALPHABET, "language_model": settings | changes, "confidence": confidence}


def test_words_have_times_and_confidences():
    log_probabilities = log_probabilities_of("__aab_ _ bb_bc_ ", ALPHABET)
    first, second = Decoder(ALPHABET).decode(log_probabilities, offset=10.0).words
    assert (first.text, second.text) == ("ab", "bbc")
    assert (first.start, first.end) == pytest.approx((10 + 2 * STEP, 10 + 5 * STEP), abs=STEP + 1e-6)
    assert (second.start, second.end) == pytest.approx((10 + 9 * STEP, 10 + 14 * STEP), abs=STEP + 1e-6)
    assert first.confidence == pytest.approx(0.9, rel=1e-5)


def test_a_known_text_is_aligned_in_seconds():
    words = Decoder(ALPHABET).align(log_probabilities_of("_aab _b_", ALPHABET), "ab b")
    assert [(word.text, word.start, word.end) for word in words] == [
        ("ab", pytest.approx(0.04), pytest.approx(0.16)),
        ("b", pytest.approx(0.24), pytest.approx(0.28)),
    ]


def test_a_text_that_needs_more_steps_is_an_error():
    with pytest.raises(ValueError, match="at least 4 steps"):
        Decoder(ALPHABET).align(log_probabilities_of("aba", ALPHABET), "abab")


def test_noise_and_silence_have_a_confidence_without_words():
    silence = Decoder(ALPHABET).decode(log_probabilities_of("____", ALPHABET))
    assert silence.text == ""
    assert silence.confidence == pytest.approx(0.9)
    assert Decoder(ALPHABET).decode(np.zeros((0, 5), np.float32)).confidence == 1.0


def test_the_confidence_of_a_transcript_is_the_geometric_mean_of_its_words():
    words = tuple(Word("a", 0, 1, confidence) for confidence in (0.9, 0.4))
    assert Transcript(words, 0.5).confidence == pytest.approx(np.sqrt(0.36))
    assert word_confidence(np.log(0.8), (1.0, 0.0)) == pytest.approx(0.8)
    assert word_confidence(np.log(0.8), (2.0, -1.0)) == pytest.approx(1 / (1 + np.exp(1 - 2 * np.log(4))))


def test_the_language_model_of_the_metadata_corrects_the_text():
    """The recording sounds a little more like "ac", which the texts do not have."""
    log_probabilities = log_probabilities_of("a_c_", ALPHABET)
    log_probabilities[2] = np.log([0.05, 0.02, 0.03, 0.4, 0.5])
    metadata = json.loads(json.dumps(metadata_with(["ab", "ab ba"])))
    assert load_decoder(metadata).decode(log_probabilities).text == "ab"
    assert load_decoder(metadata, uses_language_model=False).decode(log_probabilities).text == "ac"
    assert load_decoder(metadata).calibration == (2.0, 0.0)


def test_hot_words_are_added_with_and_without_the_language_model():
    log_probabilities = log_probabilities_of("a_c_", ALPHABET)
    log_probabilities[2] = np.log([0.05, 0.02, 0.03, 0.6, 0.3])
    metadata = metadata_with(["ab"])
    assert load_decoder(metadata).decode(log_probabilities).text == "ab"
    for uses_language_model in (True, False):
        decoder = load_decoder(metadata, uses_language_model, {"ac": 8.0})
        assert decoder.decode(log_probabilities).text == "ac"


@pytest.mark.parametrize("word", ["dog", "a b", ""])
def test_a_hot_word_that_cannot_be_written_is_an_error(word):
    with pytest.raises(DataError, match="--hot-words: the model cannot write"):
        load_decoder(metadata_with(["ab"]), hot_words={word: 1.0})


def test_a_packed_language_model_is_the_same_in_every_run():
    model = arpa.train_model(["ab c", "b"], 3)
    assert pack_language_model(model) == pack_language_model(model)
    assert unpack_language_model(pack_language_model(model)).vocabulary == {"ab", "c", "b"}


def test_a_language_model_is_an_arpa_file_or_an_exported_version(tmp_path):
    (tmp_path / "lm.arpa").write_text(arpa.format_model(arpa.train_model(["ab c"], 2)), encoding="utf-8")
    _, vocabulary = open_language_model(str(tmp_path / "lm.arpa"))
    assert vocabulary == {"ab", "c"}
    with pytest.raises(DataError, match=r"none\.arpa"):
        open_language_model(str(tmp_path / "none.arpa"))
    with pytest.raises(DataError, match="not an exported next-word model"):
        open_language_model(str(tmp_path))
