"""Characters, numbers, and what steps spell."""

from __future__ import annotations

import pytest

from tasks.speech.symbols import alphabet_of, labels_of, text_of


def test_a_text_comes_back_from_its_numbers_with_blanks_between():
    alphabet = alphabet_of(["see sea", "bee"])
    assert alphabet == " abes"
    numbers = labels_of("see bee", alphabet)
    spaced = [number for sign in numbers for number in (sign, 0)]
    assert text_of(spaced, alphabet) == "see bee"


@pytest.mark.parametrize(
    ("steps", "text"), [([], ""), ([0, 0], ""), ([1, 1], "a"), ([1, 0, 1], "aa"), ([1, 2, 2, 1], "aba")]
)
def test_repetitions_are_one_and_blanks_none(steps, text):
    assert text_of(steps, "ab") == text


def test_signs_of_no_number_are_left_out():
    assert labels_of("a?b", "ab").tolist() == [1, 2]
