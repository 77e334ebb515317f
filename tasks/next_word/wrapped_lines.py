"""Hard-wrapped texts: lines that end because the next word does not fit, such as those of Project Gutenberg."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from shared.data.scripts import script_of

MIN_LINES = 20  # lines with text that show whether a text is hard-wrapped
MIN_WIDTH, MAX_WIDTH = 30, 130  # characters of the lines of a hard-wrapped text
WIDTH_PERCENTILE = 95
TOLERANCE = 0.85  # fraction of the width that a full line has at least, together with the next word
MIN_FULL = 0.6  # fraction of the lines
MAX_ENDED = 0.5  # fraction of the full lines that may end a sentence, or stand before a capital, digit or sign
MAX_USUAL = 0.6  # fraction of the full lines that may stand before the same word; records of a list begin alike
SENTENCE_ENDS = (*".!?…。！？\"'”’»:;",)
UNSPACED_SCRIPTS = ("Han", "Kana", "Thai", "Lao", "Khmer", "Myanmar", "Tibetan")


def is_wrapped(lines: Sequence[str]) -> bool:
    """Returns True if a text looks hard-wrapped: most lines are full, and a sentence goes on after most full lines.

    Args:
        lines: lines of a text; empty lines separate paragraphs.
    """
    texts = [line.strip() for line in lines]
    width = _width(texts)
    is_full = _full_lines(texts, width)
    count = sum(map(bool, texts))
    if count < MIN_LINES or not MIN_WIDTH <= width <= MAX_WIDTH or is_full.sum() < MIN_FULL * count:
        return False
    breaks = [(before, after) for (before, after), full in zip(pairwise(texts), is_full, strict=False) if full]
    ended = sum(before.endswith(SENTENCE_ENDS) for before, _ in breaks)
    begun = sum(not after[0].isalpha() or after[0].isupper() for _, after in breaks)
    usual = Counter(_first_word(after) for _, after in breaks).most_common(1)[0][1]
    return max(ended, begun) <= MAX_ENDED * len(breaks) and usual <= MAX_USUAL * len(breaks)


def join_wrapped(lines: Sequence[str]) -> list[str]:
    """Returns the paragraphs of a hard-wrapped text, one string each, without the empty lines between them.

    A line is joined with the next one if it is full, that is, if the next word would not have fit into it. So a heading, a verse or
    the last line of a paragraph stays a line of its own. A line that ends in a hyphen, or in a script without spaces, is joined without a
    space.

    Args:
        lines: lines of a text.
    """
    texts = [line.strip() for line in lines]
    paragraphs: list[str] = []
    continues = False
    for text, is_full in zip(texts, _full_lines(texts, _width(texts)), strict=True):
        if continues:
            paragraphs[-1] += _separator(paragraphs[-1], text) + text
        elif text:
            paragraphs.append(text)
        continues = bool(is_full)
    return paragraphs


def _width(texts: Sequence[str]) -> float:
    lengths = [len(text) for text in texts if text]
    return float(np.percentile(lengths, WIDTH_PERCENTILE)) if lengths else 0.0


def _full_lines(texts: Sequence[str], width: float) -> np.ndarray:
    """Returns which lines are followed by a word that did not fit, boolean `(lines,)`."""
    following = [*texts, ""][1:]
    needed = [
        len(text) + 1 + len(_first_word(after)) if text and after else 0
        for text, after in zip(texts, following, strict=True)
    ]
    return np.array(needed, float) > max(TOLERANCE * width, 1.0)


def _first_word(text: str) -> str:
    return text[0] if script_of(text[0]) in UNSPACED_SCRIPTS else text.split(maxsplit=1)[0]


def _separator(before: str, after: str) -> str:
    if before.endswith(("\u00ad", "-", "–", "—")):
        return ""
    return "" if _is_unspaced(before[-1]) or _is_unspaced(after[0]) else " "


def _is_unspaced(character: str) -> bool:
    """Returns True for a character of a script without spaces between words, and for its punctuation."""
    script = script_of(character)
    return script in UNSPACED_SCRIPTS or (not script and unicodedata.east_asian_width(character) in "WF")
