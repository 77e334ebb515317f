"""Conversion between text and symbol ids."""

from __future__ import annotations

import pytest

from shared.decoding.ctc_symbols import build_alphabet, count_min_steps, decode_path, encode_text


def test_decoding_restores_an_encoded_text_with_ctc_blanks_between_the_characters():
    alphabet = build_alphabet(["see sea", "bee"])
    assert alphabet == " abes"
    symbol_ids = encode_text("see bee", alphabet)
    path = [value for symbol_id in symbol_ids for value in (symbol_id, 0)]
    assert decode_path(path, alphabet) == "see bee"


@pytest.mark.parametrize(
    ("path", "text"), [([], ""), ([0, 0], ""), ([1, 1], "a"), ([1, 0, 1], "aa"), ([1, 2, 2, 1], "aba")]
)
def test_repeated_symbols_are_merged_and_ctc_blanks_are_removed(path, text):
    assert decode_path(path, "ab") == text


def test_characters_outside_the_alphabet_are_left_out():
    assert encode_text("a?b", "ab").tolist() == [1, 2]


@pytest.mark.parametrize(("labels", "steps"), [("", 0), ("abab", 4), ("aa", 3), ([3, 3, 3], 5)])
def test_equal_neighbors_need_a_step_between_them(labels, steps):
    assert count_min_steps(labels) == steps
