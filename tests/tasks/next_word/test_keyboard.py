"""Keystrokes equal those counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word.keyboard import Keyboard, typing_statistics

VOCABULARY = ["", "[UNK]", "<eos>", "the", "there", "thing", "a", "to", "tea"]


@pytest.fixture
def keyboard() -> Keyboard:
    return Keyboard(VOCABULARY)


def make_scores(**by_word: float) -> np.ndarray:
    """Returns scores of all words; special tokens have the highest."""
    return np.array([9, 9, 9, *(by_word.get(word, 0.0) for word in VOCABULARY[3:])])


def test_a_word_is_ranked_among_words_with_the_same_prefix(keyboard):
    scores = make_scores(a=6, to=5, tea=4, the=3, there=2, thing=1)
    assert keyboard.ranks(scores, VOCABULARY.index("there")) == [4, 3, 1, 1, 0]
    assert keyboard.ranks(scores, VOCABULARY.index("a")) == [0]


@pytest.mark.parametrize(
    ("word", "with_bar", "without_bar"),
    [("a", 1, 2), ("tea", 1, 4), ("the", 2, 4), ("there", 3, 6), ("thing", 3, 6)],
)
def test_a_tap_writes_the_rest_of_the_word_and_a_space(keyboard, word, with_bar, without_bar):
    scores = make_scores(a=6, to=5, tea=4, the=3, there=2, thing=1)
    target = VOCABULARY.index(word)
    assert keyboard.keystrokes(keyboard.ranks(scores, target), target) == (with_bar, without_bar)


def test_of_words_with_equal_scores_the_more_frequent_comes_first(keyboard):
    scores = make_scores()
    ranks = [keyboard.ranks(scores, VOCABULARY.index(word))[0] for word in ("the", "thing", "tea")]
    assert ranks == [0, 2, 5]


def test_special_tokens_count_for_nothing_and_are_never_ahead_of_a_word(keyboard):
    scores = np.stack([make_scores(a=6, to=5, tea=4, the=3)] * 3)
    statistics = typing_statistics(scores, np.array([1, 2, 6]), keyboard)
    assert not statistics[:2].any()
    assert statistics[2].tolist() == [1, 1, 1, 1, 2, 1]
