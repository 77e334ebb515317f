"""Keystrokes counted by hand."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word.suggestions import Keyboard, judged

NAMES = ["", "[UNK]", "<eos>", "the", "there", "thing", "a", "to", "tea"]


@pytest.fixture
def keyboard() -> Keyboard:
    return Keyboard(NAMES)


def likelihood(**of: float) -> np.ndarray:
    return np.array([9, 9, 9, *(of.get(name, 0.0) for name in NAMES[3:])])


def test_a_word_is_ranked_among_those_with_its_beginning(keyboard):
    given = likelihood(a=6, to=5, tea=4, the=3, there=2, thing=1)
    assert keyboard.ranks(given, NAMES.index("there")) == [4, 3, 1, 1, 0]
    assert keyboard.ranks(given, NAMES.index("a")) == [0]


@pytest.mark.parametrize(
    ("word", "keys", "plain"), [("a", 1, 2), ("tea", 1, 4), ("the", 2, 4), ("there", 3, 6), ("thing", 3, 6)]
)
def test_a_tap_writes_the_rest_of_the_word_and_a_blank(keyboard, word, keys, plain):
    given = likelihood(a=6, to=5, tea=4, the=3, there=2, thing=1)
    target = NAMES.index(word)
    assert keyboard.keystrokes(keyboard.ranks(given, target), target) == (keys, plain)


def test_of_words_that_are_alike_the_more_frequent_stands_first(keyboard):
    given = likelihood()
    assert [keyboard.ranks(given, NAMES.index(word))[0] for word in ("the", "thing", "tea")] == [0, 2, 5]


def test_what_is_no_word_counts_for_nothing_and_is_never_in_the_way(keyboard):
    given = np.stack([likelihood(a=6, to=5, tea=4, the=3)] * 3)
    found = judged(given, np.array([1, 2, 6]), keyboard)
    assert not found[:2].any()
    assert found[2].tolist() == [1, 1, 1, 1, 2, 1]
