"""The alignment is the most probable of all paths that spell the text, compared with an exhaustive search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from tasks.speech.alignment import Word, align_symbols, align_words
from tasks.speech.symbols import decode_path, encode_text

ALPHABET = " ab"


def random_log_probabilities(steps, seed):
    values = np.random.default_rng(seed).normal(0, 2, (steps, len(ALPHABET) + 1))
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))


def symbol_steps(path):
    """Returns the first and the last step of each symbol that a path writes."""
    steps = []
    for k, symbol_id in enumerate(path):
        if symbol_id and k and symbol_id == path[k - 1]:
            steps[-1][1] = k
        elif symbol_id:
            steps.append([k, k])
    return steps


@pytest.mark.parametrize("text", ["a", "ab", "aa", "a b", "bab", "aab"])
@pytest.mark.parametrize("seed", range(6))
def test_the_alignment_is_the_most_probable_path(text, seed):
    values = random_log_probabilities(6, seed)
    paths = [path for path in product(range(len(ALPHABET) + 1), repeat=6) if decode_path(path, ALPHABET) == text]
    best = max(paths, key=lambda path: sum(values[k, symbol_id] for k, symbol_id in enumerate(path)))
    assert align_symbols(values, encode_text(text, ALPHABET)).tolist() == symbol_steps(best)


def test_words_have_the_times_of_their_characters():
    path = [0, 2, 2, 3, 1, 0, 3, 0]  # BLANK_ID, "ab", space, BLANK_ID, "b", BLANK_ID
    values = np.log(np.full((8, 4), 0.02) + 0.92 * np.eye(4)[path])
    assert align_words(values, "ab b", ALPHABET) == [
        Word("ab", pytest.approx(0.04), pytest.approx(0.16)),
        Word("b", pytest.approx(0.24), pytest.approx(0.28)),
    ]


@pytest.mark.parametrize(
    ("steps", "text", "message"),
    [
        (3, "abab", "at least 4 steps for 4 symbols. Received: 3"),
        (2, "aa", "at least 3 steps for 2 symbols. Received: 2"),
        (3, "ac", "'c'"),
        (3, "", "''"),
        (6, "a  b", "one space"),
        (6, "a ", "one space"),
    ],
)
def test_a_text_that_cannot_be_aligned_is_rejected(steps, text, message):
    with pytest.raises(ValueError, match=message):
        align_words(random_log_probabilities(steps, 0), text, ALPHABET)


@pytest.mark.parametrize(("text", "steps"), [("abab", 4), ("aa", 3), ("a", 1)])
def test_the_minimum_number_of_steps_is_enough(text, steps):
    assert len(align_symbols(random_log_probabilities(steps, 1), encode_text(text, ALPHABET))) == len(text)


@pytest.mark.parametrize("labels", [[], [0], [1, 4]])
def test_labels_that_are_no_characters_are_rejected(labels):
    with pytest.raises(ValueError, match="from 1 to 3"):
        align_symbols(random_log_probabilities(5, 0), labels)
