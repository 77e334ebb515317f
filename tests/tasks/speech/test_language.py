"""The n-grams' opinion of words."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.speech.language import ngram_opinion

TEXTS = ["go left", "go right", "go left now", "stop", "stop now"] * 5


def test_opinions_of_all_words_and_the_end_sum_to_one():
    opinion, words = ngram_opinion(TEXTS, 3)
    assert words == {"go", "left", "right", "now", "stop"}
    for before in ((), ("go",), ("go", "left"), ("never", "heard")):
        known = sum(np.exp(opinion(before, word)) for word in [*words, ""])
        unknown = np.exp(opinion(before, "x")) * 10
        assert known + unknown == pytest.approx(1, abs=1e-6)


def test_what_was_said_before_counts():
    opinion, _ = ngram_opinion(TEXTS, 3)
    assert opinion(("go",), "left") > opinion(("go",), "right") > opinion(("go",), "stop")
    assert opinion((), "go") > opinion((), "left")
    assert opinion(("go", "left"), "") > opinion(("go",), "")


def test_a_long_unknown_word_is_less_likely_than_a_short_one():
    opinion, _ = ngram_opinion(TEXTS, 2)
    assert opinion((), "xy") > opinion((), "xyz") > opinion((), "xyzxyz")
