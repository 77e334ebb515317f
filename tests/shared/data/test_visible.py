"""`shared.data.visible`: what cannot be seen is escaped."""

import pytest

from shared.data.visible import quote, visible


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("good", "good"),
        ("", '""'),
        (" good", '" good"'),
        ("good\u200b", r'"good\u200b"'),
        ("a\nb", r'"a\nb"'),
        ("caf\u00e9", "caf\u00e9"),
        ("cafe\u0301", r'"cafe\u0301"'),
        ("\U0001f469\u200d\U0001f467", "\U0001f469\u200d\U0001f467"),
        ("\u200dgood", r'"\u200dgood"'),
    ],
)
def test_values_that_cannot_be_seen_are_quoted_with_escapes(value, expected):
    assert visible(value) == expected
    assert quote(value).strip('"') == expected.strip('"')
