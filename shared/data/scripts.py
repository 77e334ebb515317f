"""Writing systems of texts, such as Latin or Han, with the fractions of their letters."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import lru_cache

MAX_LETTERS = 1_000_000
"""Letters after which counting stops."""
MAX_LISTED = 5
SCRIPTS = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana"}
"""First word of the Unicode name of a letter, with the name of its script where they differ."""


def count_scripts(texts: Iterable[str]) -> Counter[str]:
    """Returns the number of letters by script, such as "Latin"; letters after `MAX_LETTERS` are not counted."""
    counts: Counter[str] = Counter()
    letters = 0
    for text in texts:
        characters = Counter(text)
        for character, count in characters.items():
            script = script_of(character)
            if script:
                counts[script] += count
                letters += count
        if letters >= MAX_LETTERS:
            break
    return counts


def summarize_scripts(texts: Iterable[str]) -> str:
    """Returns the scripts of texts with their fractions of the letters, such as "Latin 98 %, Han 2 %"."""
    counts = count_scripts(texts)
    total = sum(counts.values())
    if not total:
        return "no letters"
    listed = [f"{script} {_percent(count / total)}" for script, count in counts.most_common(MAX_LISTED)]
    return ", ".join(listed) + (" …" if len(counts) > MAX_LISTED else "")


def _percent(fraction: float) -> str:
    return f"{fraction:.0%}" if fraction >= 0.01 or fraction == 0 else "< 1%"


@lru_cache(maxsize=100_000)
def script_of(character: str) -> str:
    """Returns the script of a letter; "" for any other character."""
    if not unicodedata.category(character).startswith("L"):
        return ""
    name = unicodedata.name(character, "OTHER").split()[0].partition("-")[0]
    return SCRIPTS.get(name, name.capitalize())
