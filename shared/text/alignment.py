"""Where the tokens of `separate_words` stand in the text of the user."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

import tensorflow as tf

from shared.text.characters import HYPHENS
from shared.text.markup import TAG
from shared.text.separation import separate_words

MAX_SKIPPED = 16  # characters between two characters of a token that belong to no token

Span = tuple[int, int]
"""First character of a token, and the one after its last."""


def locate_tokens(texts: Sequence[str]) -> list[tuple[list[str], list[Span]]]:
    """Returns the tokens of each text, and the span of each token in the text.

    The tokens are those of `separate_words` with `fold`. Characters that belong to no token, such as those of HTML tags, are in no span;
    invisible characters are in the span of the token before them. Tokens that are made of one character, such as the three of an
    ellipsis, have the same span. A token that does not occur in the text has an empty span.

    Args:
        texts: texts without surrogates.
    """
    if not texts:
        return []
    separated = [value.decode() for value in separate_words(tf.constant(list(texts), tf.string)).numpy()]
    characters = sorted(set().union(*texts))
    elements = dict(zip(characters, _fold_characters(characters), strict=True))
    result = []
    for text, line in zip(texts, separated, strict=True):
        tokens = line.split(" ") if line else []
        result.append((tokens, _spans(_without_tags(text), tokens, elements)))
    return result


def _fold_characters(characters: list[str]) -> list[str]:
    if not characters:
        return []
    return [_base_characters(value.decode()) for value in separate_words(tf.constant(characters)).numpy()]


def _base_characters(folded: str) -> str:
    """Returns the decomposed characters without marks, joiners and spaces: what composition and sorting of marks do not change."""
    decomposed = unicodedata.normalize("NFD", folded)
    return "".join(c for c in decomposed if unicodedata.category(c)[0] != "M" and c not in " \u200d")


def _without_tags(text: str) -> str:
    return re.sub(TAG, lambda match: " " * len(match[0]), text, flags=re.ASCII)


def _spans(text: str, tokens: Sequence[str], elements: dict[str, str]) -> list[Span]:
    base = [
        (element, position)
        for position, character in enumerate(text)
        if not (
            character in HYPHENS and text[position - 1 : position] in HYPHENS and position
        )  # a dash of several hyphens
        for element in elements.get(character, "")
    ]
    starts, k = list[int | None](), 0
    for token in tokens:
        start = None
        for element in _base_characters(token):
            candidates = range(k, min(k + MAX_SKIPPED, len(base)))
            match = next((j for j in candidates if base[j][0] == element), None)
            if match is not None:
                start, k = base[match][1] if start is None else start, match + 1
        starts.append(start)
    return _close_spans(text, starts)


def _close_spans(text: str, starts: Sequence[int | None]) -> list[Span]:
    """Ends each span before the next token that starts later, without the whitespace between them."""
    spans, start_after = list[Span](), len(text)
    current, end = len(text), len(text)
    for start in reversed(starts):
        if start is None:
            spans.append((current, current))
            continue
        if start < current:
            start_after, current = current, start
            end = start + len(text[start:start_after].rstrip())
        spans.append((start, end))
    return spans[::-1]
