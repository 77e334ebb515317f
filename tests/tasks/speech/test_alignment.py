"""The times of words are the steps of the alignment, in seconds."""

from __future__ import annotations

import pytest

from tasks.speech.alignment import Word, align_words
from tests.shared.decoding.sequences import log_probabilities_of

ALPHABET = " ab"


def test_words_have_the_times_of_their_characters():
    assert align_words(log_probabilities_of("_aab _b_", ALPHABET), "ab b", ALPHABET) == [
        Word("ab", pytest.approx(0.04), pytest.approx(0.16)),
        Word("b", pytest.approx(0.24), pytest.approx(0.28)),
    ]


def test_a_text_that_cannot_be_aligned_is_rejected():
    with pytest.raises(ValueError, match=r"at least 4 steps for 4 symbols\. Received: 3"):
        align_words(log_probabilities_of("aba", ALPHABET), "abab", ALPHABET)
