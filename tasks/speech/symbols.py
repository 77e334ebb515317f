"""Conversion between text and symbol ids: id 0 stands for no character, and id k for character k of the alphabet, from 1 on."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SPACE = " "
BLANK_ID = 0  # the CTC blank, which stands for no character (Graves et al., 2006) - vocabulary: ok


def build_alphabet(texts: Iterable[str]) -> str:
    """Returns the characters of the texts, sorted; the character at index k has the symbol id k + 1."""
    return "".join(sorted(set("".join(texts))))


def encode_text(text: str, alphabet: str) -> np.ndarray:
    """Returns the symbol ids of a text, int32 `(characters,)`; characters outside the alphabet are left out."""
    return np.array([alphabet.index(character) + 1 for character in text if character in alphabet], np.int32)


def decode_path(symbol_ids: Iterable[int], alphabet: str) -> str:
    """Returns the text of one symbol id per step: repeated symbols are merged, then `BLANK_ID` is removed."""
    characters, previous = [], BLANK_ID
    for symbol_id in symbol_ids:
        if symbol_id not in (BLANK_ID, previous):
            characters.append(alphabet[symbol_id - 1])
        previous = symbol_id
    return "".join(characters)
