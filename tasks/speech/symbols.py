"""Characters and their numbers; 0 is the blank of connectionist temporal classification."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

SPACE = " "


def alphabet_of(texts: Iterable[str]) -> str:
    """Returns the characters of some texts, sorted; character k has the number k + 1."""
    return "".join(sorted(set("".join(texts))))


def labels_of(text: str, alphabet: str) -> np.ndarray:
    """Returns the numbers of a text's characters, int32 `(characters,)`; those of no number are left out."""
    return np.array([alphabet.index(sign) + 1 for sign in text if sign in alphabet], np.int32)


def text_of(numbers: Iterable[int], alphabet: str) -> str:
    """Returns the text of the likeliest symbol of each step: repetitions are one, blanks none."""
    signs, before = [], 0
    for number in numbers:
        if number not in (0, before):
            signs.append(alphabet[number - 1])
        before = number
    return "".join(signs)
