"""What a language model adds to the score of a text, and which words it allows."""

from __future__ import annotations

import pytest

from shared.decoding.language_model_fusion import NO_FUSION, Fusion, list_candidates


def score(words, word):
    return -1.0 - len(words) if word else -0.5


def test_each_word_adds_its_weighted_score_and_the_bonus():
    fusion = Fusion(score, weight=0.5, bonus=2.0)
    assert fusion.score_word(("x",), "y") == pytest.approx(0.5 * -2 + 2)
    assert fusion.score_end(("x", "y")) == pytest.approx(0.5 * -0.5)


def test_a_closed_vocabulary_allows_only_its_words_and_their_prefixes():
    fusion = Fusion(score, 1.0, 0.0, frozenset({"été", "a"}))
    assert [fusion.allows_prefix(prefix) for prefix in ("", "é", "été", "étés", "t")] == [
        True,
        True,
        True,
        False,
        False,
    ]
    assert [fusion.allows_word(word) for word in ("été", "ét", "a")] == [True, False, True]


def test_an_open_vocabulary_allows_any_word():
    assert NO_FUSION.allows_word("xyz")
    assert NO_FUSION.allows_prefix("xyz")
    assert NO_FUSION.score_word(("a",), "b") == NO_FUSION.score_end(("a",)) == 0


def test_candidates_are_all_combinations():
    candidates = list_candidates(score, [None, frozenset({"a"})], [0.5, 1.0], [0.0, 1.5, 3.0])
    assert len(candidates) == 12
    assert [(fusion.weight, fusion.bonus) for fusion in candidates[:4]] == [
        (0.5, 0.0),
        (0.5, 1.5),
        (0.5, 3.0),
        (1.0, 0.0),
    ]
    assert [fusion.vocabulary for fusion in candidates[5:7]] == [None, frozenset({"a"})]
