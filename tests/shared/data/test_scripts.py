"""`shared.data.scripts`: writing systems with the fractions of their letters."""

from __future__ import annotations

import pytest

from shared.data.scripts import summarize_scripts


@pytest.mark.parametrize(
    ("texts", "summary"),
    [
        (["abcdéf 1!", "gh"], "Latin 100%"),
        (["abc", "Я"], "Latin 75%, Cyrillic 25%"),
        (["酒店很好"], "Han 100%"),
        (["この本"], "Kana 67%, Han 33%"),
        (["كتاب", "हिन्दी"], "Arabic 57%, Devanagari 43%"),
        (["x" * 999 + "я"], "Latin 100%, Cyrillic < 1%"),
        (["123 …"], "no letters"),
    ],
)
def test_scripts_have_their_fractions_of_the_letters(texts, summary):
    assert summarize_scripts(texts) == summary
