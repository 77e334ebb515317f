"""The validation split selects the language model's settings, and calibrates the confidence of a word."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.speech.config import DecodingConfig
from tasks.speech.decoder import NO_CALIBRATION, Decoder
from tasks.speech.tuning import choose_min_confidence, correct_words, fit_confidence, tune_language_model
from tests.shared.decoding.sequences import log_probabilities_of
from tests.tasks.speech.conftest import ALPHABET

CONFIG = DecodingConfig(beam_width=4, language_model_weights=(0.5,), word_bonuses=(0.0, 1.0))


def uncertain(path, probability):
    """Returns log-probabilities whose letters have this probability."""
    values = log_probabilities_of(path, ALPHABET)
    for step, character in zip(values, path, strict=True):
        if character != "_":
            others = np.full(5, (1 - probability) / 4)
            others[ALPHABET.index(character) + 1] = probability
            step[:] = np.log(others)
    return values


@pytest.mark.parametrize(("vocabulary", "is_closed"), [("open", False), ("closed", True)])
def test_the_vocabulary_is_the_chosen_one(vocabulary, is_closed):
    config = dataclasses.replace(CONFIG, vocabulary=vocabulary)
    settings = tune_language_model([log_probabilities_of("a_b_", ALPHABET)], ["ab"], ["ab", "c"], config, ALPHABET)
    assert settings["is_closed"] is is_closed
    assert (settings["weight"], settings["beam_width"]) == (0.5, 4)
    assert settings["word_bonus"] in (0.0, 1.0)


def test_a_word_that_is_often_wrong_at_its_probability_gets_a_lower_confidence():
    """Words with probability 0.95 are right half of the time; words with 0.5 a tenth."""
    rng = np.random.default_rng(0)
    sequences, references = [], []
    for probability, accuracy in ((0.95, 0.5), (0.5, 0.1)):
        for _ in range(300):
            sequences.append(uncertain("_a_", probability))
            references.append("a" if rng.random() < accuracy else "b")
    calibration = fit_confidence(Decoder(ALPHABET), sequences, references)
    decoder = Decoder(ALPHABET, calibration=calibration)
    assert decoder.decode(uncertain("_a_", 0.95)).words[0].confidence == pytest.approx(0.5, abs=0.07)
    assert decoder.decode(uncertain("_a_", 0.5)).words[0].confidence == pytest.approx(0.1, abs=0.07)


@pytest.mark.parametrize("count", [3, 100])
def test_without_errors_or_with_few_words_the_confidence_stays(count):
    sequences = [uncertain("_a_", 0.9)] * count
    assert fit_confidence(Decoder(ALPHABET), sequences, ["a"] * count) == NO_CALIBRATION


def test_words_are_correct_in_the_alignment_with_the_fewest_errors():
    assert correct_words("go left now", ["go", "right", "now"]) == [True, False, True]
    assert correct_words("go left", ["please", "go", "left"]) == [False, True, True]
    assert correct_words("", ["go"]) == [False]
    assert correct_words("go", []) == []


def test_the_minimum_of_the_confidence_costs_few_correct_words():
    sequences = [uncertain("_a_", probability) for probability in np.linspace(0.5, 0.9, 1000)]
    minimum = choose_min_confidence(Decoder(ALPHABET), sequences, ["a"] * 1000)
    lost = np.mean([decoder_confidence < minimum for decoder_confidence in np.linspace(0.5, 0.9, 1000)])
    assert minimum > 0.4
    assert 0 <= lost <= 0.005
    wrong_first = ["b"] * 200 + ["a"] * 800  # the least confident words are wrong
    assert choose_min_confidence(Decoder(ALPHABET), sequences, wrong_first) > minimum
    assert choose_min_confidence(Decoder(ALPHABET), [], []) == 0


def test_a_transcript_below_the_minimum_has_no_words():
    decoder = Decoder(ALPHABET, min_confidence=0.8)
    assert decoder.decode(uncertain("_a_", 0.9)).text == "a"
    assert decoder.decode(uncertain("_a_", 0.7)).text == ""
