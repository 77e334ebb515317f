"""`shared.data.word_contributions`: columns, and texts with marked words."""

from __future__ import annotations

from shared.data import word_contributions as wc

WORDS = [
    {"word": "So", "start": 0, "contribution": 0.01},
    {"word": "<dull>", "start": 3, "contribution": -2.0},
    {"word": "!", "start": 9, "contribution": 0.5},
]


def test_the_largest_contributions_have_columns():
    table = wc.contribution_table([WORDS, []])
    assert table.loc[0, ["word_1", "word_2", "word_3"]].tolist() == ["<dull>", "!", "So"]
    assert table.loc[0, "word_1_contribution"] == -2.0
    assert table["word_4"].isna().all()
    assert table.loc[1].drop("contributions").isna().all()
    assert all(map(wc.is_column, table.columns))
    assert not wc.is_column("word_count")


def test_small_contributions_are_not_marked():
    assert wc.as_brackets(WORDS) == "So [<dull> -2.00][! +0.50]"


def test_html_is_escaped_and_has_the_contribution():
    page = wc.as_html(WORDS)
    assert page.startswith('So <mark title="-2.0000"')
    assert "&lt;dull&gt;</mark>" in page


def test_colors_say_whether_a_word_supports_the_prediction():
    text = wc.as_rich_text(WORDS)
    assert text.plain == "So <dull>!"
    colors = {text.plain[span.start : span.end]: str(span.style) for span in text.spans}
    assert colors["<dull>"] == "black on rgb(230,159,0)"
    assert colors["!"] != colors["<dull>"]
    assert "So" not in colors


def test_texts_without_contributions_are_not_marked():
    assert wc.as_brackets([{"word": "a", "start": 0, "contribution": 0.0}]) == "a"
    assert wc.as_brackets([]) == ""
