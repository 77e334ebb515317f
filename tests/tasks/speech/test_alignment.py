"""The alignment is the likeliest of all ways to spell a text out, found by trying every one."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tasks.speech.alignment import Word, aligned, words_in_time
from tasks.speech.symbols import labels_of, text_of

ALPHABET = " ab"


def logs(steps, seed):
    values = np.random.default_rng(seed).normal(0, 2, (steps, len(ALPHABET) + 1))
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def runs(way):
    """First and last step of each symbol that is said."""
    found = []
    for k, sign in enumerate(way):
        if sign and k and sign == way[k - 1]:
            found[-1][1] = k
        elif sign:
            found.append([k, k])
    return found


@pytest.mark.parametrize("text", ["a", "ab", "aa", "a b", "bab", "aab"])
@pytest.mark.parametrize("seed", range(6))
def test_it_is_the_likeliest_of_all_ways(text, seed):
    values = logs(6, seed)
    ways = [way for way in product(range(len(ALPHABET) + 1), repeat=6) if text_of(way, ALPHABET) == text]
    likeliest = max(ways, key=lambda way: sum(values[k, sign] for k, sign in enumerate(way)))
    assert aligned(values, labels_of(text, ALPHABET)).tolist() == runs(likeliest)


def test_words_have_the_times_of_their_letters():
    likely = [0, 2, 2, 3, 1, 0, 3, 0]  # nothing, "ab", a blank, nothing, "b", nothing
    values = np.log(np.full((8, 4), 0.02) + 0.92 * np.eye(4)[likely])
    assert words_in_time(values, "ab b", ALPHABET) == [
        Word("ab", pytest.approx(0.04), pytest.approx(0.16)),
        Word("b", pytest.approx(0.24), pytest.approx(0.28)),
    ]


@pytest.mark.parametrize(
    ("steps", "text", "told"),
    [
        (3, "abab", "4 steps or more for 4 symbols. Received: 3"),
        (2, "aa", "3 steps or more for 2 symbols. Received: 2"),
        (3, "ac", "'c'"),
        (3, "", "''"),
        (6, "a  b", "one space"),
        (6, "a ", "one space"),
    ],
)
def test_what_cannot_be_said_is_refused(steps, text, told):
    with pytest.raises(ValueError, match=told):
        words_in_time(logs(steps, 0), text, ALPHABET)


@pytest.mark.parametrize(("text", "steps"), [("abab", 4), ("aa", 3), ("a", 1)])
def test_no_step_more_is_asked_for_than_is_needed(text, steps):
    assert len(aligned(logs(steps, 1), labels_of(text, ALPHABET))) == len(text)


@pytest.mark.parametrize("labels", [[], [0], [1, 4]])
def test_what_is_no_symbol_is_refused(labels):
    with pytest.raises(ValueError, match="from 1 to 3"):
        aligned(logs(5, 0), labels)
