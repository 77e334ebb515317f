"""Values of the user in messages: quotes and escapes show what cannot be seen."""

from __future__ import annotations

import unicodedata

JOINERS = "\u200c\u200d"
"""Zero-width joiners, which belong to words of some scripts and to joined emoji."""


def quote(value: str) -> str:
    """Returns a value in double quotes; characters that cannot be seen, and separate accents, are escaped.

    "caf\\u0301" is written with the escape, because it looks like a value with a composed letter.
    """
    is_composed = unicodedata.is_normalized("NFC", value)
    escaped = "".join(
        character
        if character == " "
        or (character.isprintable() and (is_composed or not unicodedata.combining(character)))
        or (character in JOINERS and value[:position][-1:] > "\x7f" and value[position + 1 :][:1] > "\x7f")
        else character.encode("unicode_escape").decode()
        for position, character in enumerate(value)
    )
    return f'"{escaped}"'


def visible(value: str) -> str:
    """Returns a value as it is, or as `quote` writes it if it is empty, begins or ends with whitespace, or cannot be seen completely."""
    quoted = quote(value)
    return value if value and value == value.strip() and quoted[1:-1] == value else quoted
