"""The alignment is the most probable of all paths that spell the text, compared with an exhaustive search."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from shared.decoding.ctc_alignment import AlignedWord, align_symbols, align_words
from shared.decoding.ctc_symbols import build_alphabet, decode_path, encode_text
from tests.shared.decoding.sequences import log_probabilities_of, random_log_probabilities

ALPHABET = " ab"
LETTER = pytest.approx(np.log(0.9), rel=1e-5)
"""Log-probability of each letter of `log_probabilities_of`."""


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
    values = random_log_probabilities(6, ALPHABET, seed)
    paths = [path for path in product(range(len(ALPHABET) + 1), repeat=6) if decode_path(path, ALPHABET) == text]
    best = max(paths, key=lambda path: sum(values[k, symbol_id] for k, symbol_id in enumerate(path)))
    assert align_symbols(values, encode_text(text, ALPHABET)).tolist() == symbol_steps(best)


def test_words_have_the_steps_of_their_characters():
    assert align_words(log_probabilities_of("_aab _b_", ALPHABET), "ab b", ALPHABET) == [
        AlignedWord("ab", 1, 4, LETTER),
        AlignedWord("b", 6, 7, LETTER),
    ]


def test_a_line_of_handwriting_is_aligned():
    text = "x² - 漢é\n√2"
    alphabet = build_alphabet([text, "abc"])
    log_probabilities = log_probabilities_of("_xx²__ -_ _漢ééé\n√2_", alphabet)
    assert align_words(log_probabilities, text, alphabet) == [
        AlignedWord("x²", 1, 4, LETTER),
        AlignedWord("-", 7, 8, LETTER),
        AlignedWord("漢é\n√2", 11, 18, LETTER),
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
        align_words(random_log_probabilities(steps, ALPHABET, 0), text, ALPHABET)


@pytest.mark.parametrize(("text", "steps"), [("abab", 4), ("aa", 3), ("a", 1)])
def test_the_minimum_number_of_steps_is_enough(text, steps):
    assert len(align_symbols(random_log_probabilities(steps, ALPHABET, 1), encode_text(text, ALPHABET))) == len(text)


@pytest.mark.parametrize("labels", [[], [0], [1, 4]])
def test_labels_that_are_no_characters_are_rejected(labels):
    with pytest.raises(ValueError, match="from 1 to 3"):
        align_symbols(random_log_probabilities(5, ALPHABET, 0), labels)
