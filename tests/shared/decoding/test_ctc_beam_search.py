"""The beam search finds the same text as an exhaustive search, and uses the language model."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from shared.decoding.ctc_beam_search import BeamSearch, beam_search, select_fusion
from shared.decoding.ctc_greedy import decode_greedily
from shared.decoding.ctc_symbols import SPACE, decode_path
from shared.decoding.language_model_fusion import Fusion, list_candidates
from tests.shared.decoding.sequences import log_probabilities_of, random_log_probabilities

ALPHABET = " ab"


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
    values = random_log_probabilities(6, ALPHABET, seed)
    fusion = Fusion(language_model_score, weight, bonus)
    expected = max((fused_score(text, score, fusion), text) for text, score in all_texts(values).items())[1].strip()
    assert beam_search(values, ALPHABET, 5000, fusion) == expected


@pytest.mark.parametrize("size", [1, 2, 5])
def test_a_sequence_in_chunks_gives_the_text_of_the_whole_sequence(size):
    values = random_log_probabilities(12, ALPHABET, 3)
    fusion = Fusion(language_model_score, 0.5, 0.2)
    search = BeamSearch(ALPHABET, 8, fusion)
    for start in range(0, len(values), size):
        search.advance(values[start : start + size])
    assert search.text() == beam_search(values, ALPHABET, 8, fusion)


def test_a_hot_word_is_written_although_others_are_more_probable():
    values = np.log([[0.05, 0.05, 0.55, 0.35], [0.1, 0.1, 0.3, 0.5]])  # "ab" is best, "bb" needs the hot word
    plain = Fusion(language_model_score, 0.0, 0.0)
    hot = Fusion(language_model_score, 0.0, 0.0, hot_words={"b": 3.0})
    assert beam_search(values, ALPHABET, 50, plain) == "ab"
    assert beam_search(values, ALPHABET, 50, hot) == "b"
    assert beam_search(values, ALPHABET, 50, Fusion(language_model_score, 0.0, 0.0, hot_words={"b": 0.0})) == "ab"


def test_a_hot_word_may_be_outside_of_a_closed_vocabulary():
    values = log_probabilities_of("a_b_", ALPHABET)
    assert beam_search(values, ALPHABET, 50, Fusion(language_model_score, 0.0, 0.0, frozenset({"b"}))) == "b"
    hot = Fusion(language_model_score, 0.0, 0.0, frozenset({"b"}), {"ab": 0.0})
    assert beam_search(values, ALPHABET, 50, hot) == "ab"


def test_the_beginning_of_a_hot_word_stays_in_a_narrow_beam():
    values = np.log([[0.02, 0.03, 0.6, 0.35], [0.9, 0.03, 0.04, 0.03], [0.02, 0.03, 0.05, 0.9]])
    hot = Fusion(language_model_score, 0.0, 0.0, hot_words={"bb": 4.0})
    assert beam_search(values, ALPHABET, 1, hot) == "bb"


def test_a_closed_vocabulary_gives_only_its_words():
    values = np.log([[0.1, 0.1, 0.7, 0.1], [0.1, 0.1, 0.1, 0.7], [0.7, 0.1, 0.1, 0.1]])
    open_vocabulary = Fusion(language_model_score, 0.0, 0.0)
    closed_vocabulary = Fusion(language_model_score, 0.0, 0.0, frozenset({"aa", "b"}))
    assert beam_search(values, ALPHABET, 50, open_vocabulary) == "ab"
    assert beam_search(values, ALPHABET, 50, closed_vocabulary) == "b"


def test_an_incomplete_word_is_not_written_with_a_closed_vocabulary():
    values = np.log([[0.05, 0.05, 0.85, 0.05]])
    closed_vocabulary = Fusion(language_model_score, 0.0, 0.0, frozenset({"ab"}))
    assert beam_search(values, ALPHABET, 1, closed_vocabulary) == ""


def test_the_language_model_decides_between_words_with_similar_probabilities():
    values = np.log([[0.02, 0.02, 0.5, 0.46]])
    prefers_b = Fusion(lambda previous_words, word: 0.0 if word in ("b", "") else -3.0, 1.0, 0.0)
    assert beam_search(values, ALPHABET, 10, Fusion(language_model_score, 0.0, 0.0)) == "a"
    assert beam_search(values, ALPHABET, 10, prefers_b) == "b"


def test_silence_gives_an_empty_text():
    silence = np.log([[0.97, 0.01, 0.01, 0.01]] * 5)
    assert beam_search(silence, ALPHABET, 10, Fusion(language_model_score, 0.5, 1.0)) == ""


@pytest.mark.parametrize("seed", range(4))
def test_without_a_language_model_the_text_with_the_most_probable_alignments_wins(seed):
    values = random_log_probabilities(6, ALPHABET, seed)
    texts = all_texts(values)
    expected = max(texts, key=texts.get).strip()
    assert beam_search(values, ALPHABET, beam_width=5000) == expected


def test_the_sum_over_the_alignments_may_exceed_the_most_probable_path():
    values = np.log([[0.55, 0.0001, 0.4498, 0.0001]] * 2)  # "" 0.3025; "a" 2 x 0.55 x 0.4498 + 0.4498²
    assert decode_greedily(values, ALPHABET) == ""
    assert beam_search(values, ALPHABET, beam_width=4) == "a"


def test_a_lexicon_corrects_a_line_of_handwriting():
    alphabet = "漢字¿éñ ?"
    values = log_probabilities_of("¿_ñé é漢 字?", alphabet)
    values[3] = np.log(np.array([0.02, 0.02, 0.02, 0.02, 0.5, 0.38, 0.02, 0.02]))  # "é" rather than "ñ" after "ñ"
    assert beam_search(values, alphabet, beam_width=20) == "¿ñé é漢 字?"
    lexicon = Fusion(lambda words, word: 0.0, 0.0, 0.0, frozenset({"¿ñ", "é漢", "字?"}))
    assert beam_search(values, alphabet, 20, lexicon) == "¿ñ é漢 字?"


def test_an_alphabet_without_a_space_gives_one_word():
    prefers_17 = Fusion(lambda words, word: 0.0 if word in ("17", "") else -3.0, 1.0, 0.0)
    values = np.log([[0.04, 0.48, 0.48], [0.04, 0.48, 0.48]])
    assert beam_search(values, "17", 20, prefers_17) == "17"


def test_the_candidate_with_the_fewest_errors_is_selected():
    values = np.log([[0.02, 0.02, 0.5, 0.46]])

    def prefers_b(previous_words, word):
        return 0.0 if word in ("b", "") else -3.0

    candidates = list_candidates(prefers_b, [None, frozenset({"a"})], [0.0, 1.0, 2.0], [0.0])
    selected = select_fusion(candidates, [values], ALPHABET, 10, lambda texts: float(texts != ["b"]))
    assert (selected.vocabulary, selected.weight) == (None, 1.0)  # the first of two without an error
