"""`tasks.next_word.wrapped_lines`: hard-wrapped paragraphs become one line; verses, headings and lists stay as they are."""

import textwrap

import pytest

from tasks.next_word.wrapped_lines import is_wrapped, join_wrapped

SENTENCES = (
    "It was the best of times, it was the worst of times; it was the age of wisdom and of foolishness in the land. "
)
PARAGRAPHS = [SENTENCES * count for count in (2, 5, 3, 9, 4)]


def wrap(paragraphs, width=72, indent=""):
    return "\n\n".join(textwrap.fill(text, width, initial_indent=indent) for text in paragraphs).split("\n")


@pytest.mark.parametrize("width", [60, 72, 79])
@pytest.mark.parametrize("indent", ["", "    "])
def test_a_wrapped_text_is_recognized_and_its_paragraphs_are_joined(width, indent):
    lines = wrap(PARAGRAPHS, width, indent)
    assert is_wrapped(lines)
    assert join_wrapped(lines) == [text.strip() for text in PARAGRAPHS]


def test_headings_verses_and_the_ends_of_paragraphs_without_an_empty_line_stay():
    lines = [
        *wrap(PARAGRAPHS),
        "",
        "CHAPTER II",
        "The Mail",
        "",
        "Tyger Tyger, burning bright,",
        "In the forests of the night;",
    ]
    end = ["CHAPTER II", "The Mail", "Tyger Tyger, burning bright,", "In the forests of the night;"]
    assert join_wrapped(lines) == [*(text.strip() for text in PARAGRAPHS), *end]
    assert join_wrapped([line for line in lines if line])[-4:] == end


def test_a_script_without_spaces_and_hyphens_are_joined_without_a_space():
    text = "".join(chr(0x4E00 + k * 37 % 3000) for k in range(400))
    assert join_wrapped([text[k : k + 40] for k in range(0, 400, 40)]) == [text]
    assert join_wrapped(["the father of the well-", "known general and his wife"]) == [
        "the father of the well-known general and his wife"
    ]
    korean = ["방이 깨끗해요 최고 친절 만족했어요", "저렴해요 그리고 조용해요 정말로요"]
    assert join_wrapped(korean) == [" ".join(korean)]


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["short line"] * 50,
        [f"One sentence in each line of this corpus, which is number {k}." for k in range(60)],
        ["".join("word " * (k % 17 + 1)) for k in range(200)],
        [SENTENCES * 3] * 40,
        wrap(PARAGRAPHS)[:10],
    ],
)
def test_other_texts_do_not_look_wrapped(lines):
    assert not is_wrapped(lines)
