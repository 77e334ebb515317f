"""The beam search finds the same text as an exhaustive search, and uses the language model."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tasks.speech.decoding import Fusion, beam_search
from tasks.speech.symbols import SPACE, decode_path

ALPHABET = " ab"


def random_log_probabilities(steps, seed):
    rng = np.random.default_rng(seed)
    values = rng.normal(0, 1.5, (steps, len(ALPHABET) + 1))
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def language_model_score(previous_words, word):
    """Prefers short words, and a word that differs from the previous one."""
    return -1.0 if not word else -0.7 * len(word) - 1.0 * (bool(previous_words) and previous_words[-1] == word)


def fused_score(text, acoustic_score, fusion):
    words = tuple(text.split(SPACE))
    word_scores = sum(fusion.score_word(words[:k], word) for k, word in enumerate(words) if word)
    return acoustic_score + word_scores + fusion.score_end(tuple(word for word in words if word))


def all_texts(values):
    """Returns the log-probability of each text, summed over all its alignments."""
    texts = {}
    for path in product(range(values.shape[1]), repeat=len(values)):
        text = decode_path(path, ALPHABET)
        if text != text.lstrip() or SPACE * 2 in text:  # the beam search drops only a space at the end
            continue
        log_probability = sum(values[k][symbol_id] for k, symbol_id in enumerate(path))
        texts[text] = np.logaddexp(texts.get(text, -np.inf), log_probability)
    return texts


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize(("weight", "bonus"), [(0.0, 0.0), (0.8, 0.5)])
def test_a_wide_beam_finds_the_most_probable_text(seed, weight, bonus):
    values = random_log_probabilities(6, seed)
    fusion = Fusion(language_model_score, weight, bonus)
    expected = max((fused_score(text, score, fusion), text) for text, score in all_texts(values).items())[1].strip()
    assert beam_search(values, ALPHABET, fusion, beam_width=5000) == expected


def test_a_closed_vocabulary_gives_only_its_words():
    values = np.log([[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1]])
    open_vocabulary = Fusion(language_model_score, 0.0, 0.0)
    closed_vocabulary = Fusion(language_model_score, 0.0, 0.0, frozenset({"aa", "b"}))
    assert beam_search(values, ALPHABET, open_vocabulary, 50) == "ab"
    assert beam_search(values, ALPHABET, closed_vocabulary, 50) == "b"


def test_an_incomplete_word_is_not_written_with_a_closed_vocabulary():
    values = np.log([[0.05, 0.05, 0.85, 0.05]])
    closed_vocabulary = Fusion(language_model_score, 0.0, 0.0, frozenset({"ab"}))
    assert beam_search(values, ALPHABET, closed_vocabulary, beam_width=1) == ""


def test_the_language_model_decides_between_words_with_similar_probabilities():
    values = np.log([[0.02, 0.02, 0.5, 0.46]])
    prefers_b = Fusion(lambda previous_words, word: 0.0 if word in ("b", "") else -3.0, 1.0, 0.0)
    assert beam_search(values, ALPHABET, Fusion(language_model_score, 0.0, 0.0), 10) == "a"
    assert beam_search(values, ALPHABET, prefers_b, 10) == "b"


def test_silence_gives_an_empty_text():
    silence = np.log([[0.97, 0.01, 0.01, 0.01]] * 5)
    assert beam_search(silence, ALPHABET, Fusion(language_model_score, 0.5, 1.0), 10) == ""
