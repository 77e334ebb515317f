"""`shared.text.alignment`: tokens stand where the user wrote them."""

from __future__ import annotations

import pytest

from shared.text.alignment import locate_tokens


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Good.<br />Don't!", ["Good", ".", "Don't", "!"]),
        ("  <i>Well-known</i>  &c", ["Well", "-", "known", "&", "c"]),
        ("cafe\u0301 Caf\u00e9", ["cafe\u0301", "Caf\u00e9"]),
        ("wait\u2026 no", ["wait", *["\u2026"] * 3, "no"]),
        ("a" + "-" * 80 + "b", ["a", "-" * 80, "b"]),
        (
            "\u597d\u770b\uff01great\U0001f44d\U0001f3fd",
            ["\u597d", "\u770b", "\uff01", "great", "\U0001f44d\U0001f3fd"],
        ),
        ("\u0130stanbul \u03a3\u0391\u03a3", ["\u0130stanbul", "\u03a3\u0391\u03a3"]),
        ("\u1112\u1161\u11ab\u1100\u1173\u11af", ["\u1112\u1161\u11ab\u1100\u1173\u11af"]),
        ("\uff21\uff22\uff23 \uff76\uff9e", ["\uff21\uff22\uff23", "\uff76\uff9e"]),
        ("I <3 this", ["I", "<", "3", "this"]),
        ("good\u200b\u200bbad", ["good\u200b\u200bbad"]),
        ("", []),
        (" \u3000\n", []),
    ],
)
def test_spans_hold_the_words_of_the_user(text, words):
    ((tokens, spans),) = locate_tokens([text])
    assert len(tokens) == len(spans)
    assert [text[start:end] for start, end in spans] == words


def test_texts_do_not_depend_on_each_other():
    texts = ["One two", "two, ONE", ""]
    together = locate_tokens(texts)
    assert together == [locate_tokens([text])[0] for text in texts]
    assert locate_tokens([]) == []
