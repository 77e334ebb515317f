"""The symbols of connectionist temporal classification (CTC; Graves et al., 2006), and the conversion between text and symbol ids.

Id 0 is `BLANK_ID`, which stands for no character. Id k, from 1 on, is the character at index k - 1 of an alphabet.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

import numpy as np

SPACE = " "
"""The character between two words. All other characters, such as a line break, are part of a word."""
BLANK_ID = 0  # the CTC blank, which stands for no character (Graves et al., 2006) - vocabulary: ok


def build_alphabet(texts: Iterable[str]) -> str:
    """Returns the characters of the texts, sorted; the character at index k has the symbol id k + 1."""
    return "".join(sorted(set("".join(texts))))


def encode_text(text: str, alphabet: str) -> np.ndarray:
    """Returns the symbol ids of a text, int32 `(characters,)`; characters outside the alphabet are left out."""
    return np.array([alphabet.index(character) + 1 for character in text if character in alphabet], np.int32)


def decode_path(symbol_ids: Iterable[int], alphabet: str) -> str:
    """Returns the text of one symbol id per step: repeated symbols are merged, then `BLANK_ID` is removed.

    Args:
        symbol_ids: symbol id of each step, in [0, length of the alphabet].
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
    """
    characters, previous = [], BLANK_ID
    for symbol_id in symbol_ids:
        if symbol_id not in (BLANK_ID, previous):
            characters.append(alphabet[symbol_id - 1])
        previous = symbol_id
    return "".join(characters)


def count_min_steps(labels: Iterable[object]) -> int:
    """Returns the number of steps that the labels need: one for each, and one for `BLANK_ID` between two equal labels.

    Args:
        labels: characters or symbol ids of a text, without `BLANK_ID`.
    """
    labels = list(labels)
    return len(labels) + sum(first == second for first, second in pairwise(labels))
