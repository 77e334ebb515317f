"""Beam search finds what trying every text would, and hears the language model."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tasks.speech.decoding import Fusion, best_text
from tasks.speech.symbols import SPACE, text_of

ALPHABET = " ab"


def logs(steps, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1.5, (steps, len(ALPHABET) + 1))
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def opinion(before, word):
    """Short words are likely, and the same one is not said twice."""
    return -1.0 if not word else -0.7 * len(word) - 1.0 * (bool(before) and before[-1] == word)


def likelihood(text, given, fusion):
    words = tuple(text.split(SPACE))
    total = sum(fusion.of(words[:k], word) for k, word in enumerate(words) if word)
    return given + total + fusion.of_end(tuple(word for word in words if word))


def every_text(values):
    """The logarithm of the probability of each text, over all ways to spell it out."""
    found = {}
    for way in product(range(values.shape[1]), repeat=len(values)):
        text = text_of(way, ALPHABET)
        if text != text.lstrip() or SPACE * 2 in text:  # a blank at the end is heard and not written
            continue
        found[text] = np.logaddexp(found.get(text, -np.inf), sum(values[k][sign] for k, sign in enumerate(way)))
    return found


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.8, 0.5)])
def test_a_wide_beam_finds_the_likeliest_text(seed, weight, bonus):
    values = logs(6, seed)
    fusion = Fusion(opinion, weight, bonus)
    expected = max((likelihood(text, given, fusion), text) for text, given in every_text(values).items())[1].strip()
    found = best_text(values, ALPHABET, fusion, beam=5000)
    assert found == expected


def test_only_known_words_are_said_where_asked_for():
    values = np.log([[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1]])
    free, known = Fusion(opinion, 0.0, 0.0), Fusion(opinion, 0.0, 0.0, frozenset({"aa", "b"}))
    assert best_text(values, ALPHABET, free, 50) == "ab"
    assert best_text(values, ALPHABET, known, 50) == "b"


def test_a_beginning_of_a_known_word_is_not_said_where_only_it_is_left():
    values = np.log([[0.05, 0.05, 0.85, 0.05]])
    known = Fusion(opinion, 0.0, 0.0, frozenset({"ab"}))
    assert best_text(values, ALPHABET, known, beam=1) == ""


def test_the_language_model_decides_between_what_sounds_alike():
    values = np.log([[0.02, 0.02, 0.5, 0.46]])
    likes_b = Fusion(lambda before, word: 0.0 if word in ("b", "") else -3.0, 1.0, 0.0)
    assert best_text(values, ALPHABET, Fusion(opinion, 0.0, 0.0), 10) == "a"
    assert best_text(values, ALPHABET, likes_b, 10) == "b"


def test_silence_is_no_text():
    assert best_text(np.log([[0.97, 0.01, 0.01, 0.01]] * 5), ALPHABET, Fusion(opinion, 0.5, 1.0), 10) == ""
