"""`shared.text.normalization`: equal to Unicode normalization form C of Python's database."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence

import tensorflow as tf

from shared.text.separation import normalize

ASSIGNED = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code))[0] in "LMNPS"]
CHANGED = {
    "\u034f",
    "\u3164",
    "\uffa0",
    *map(chr, [*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)]),
}
"""Characters that are dropped or become a space."""


def normalize_all(texts: Sequence[str]) -> list[str]:
    return [text.decode() for text in normalize(tf.constant(texts)).numpy()]


def test_every_character_is_normalized_to_form_c():
    characters = [c for c in ASSIGNED if c not in CHANGED]
    composed = [unicodedata.normalize("NFC", c) for c in characters]
    assert normalize_all(characters) == composed
    assert normalize_all([unicodedata.normalize("NFD", c) for c in characters]) == composed


def test_marks_in_any_order_are_normalized_to_form_c():
    rng = random.Random(0)
    marks = [c for c in ASSIGNED if unicodedata.combining(c)]
    decomposable = [c for c in ASSIGNED if unicodedata.decomposition(c)]
    jamo = list(map(chr, range(0x1100, 0x1200)))
    pool = [c for c in marks + decomposable + jamo * 5 + list("aeiouAEIO") * 300 if c not in CHANGED]
    texts = ["".join(rng.choices(pool, k=10)) for _ in range(5_000)]
    assert normalize_all(texts) == [unicodedata.normalize("NFC", text) for text in texts]
