"""Transcripts are normalized by choice, and oddities become notices."""

from __future__ import annotations

import unicodedata

import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.speech.input_config import TextConfig
from tasks.speech.transcripts import add_notice_of_unknown_characters, add_notices, normalize_text

ALL = ("lower", "digits", "punctuation", "brackets")


@pytest.mark.parametrize(
    ("options", "text", "expected"),
    [
        ((), unicodedata.normalize("NFD", " Café\u00a0\t two\n"), "Café two"),
        (("brackets",), "[noise] yes (laughs) <unk> {um} a [b", "yes a [b"),
        (("punctuation",), "“Don’t, well-known 'U.S.A.' 50% – ok?”", "Don't well known U S A 50% ok"),
        (("lower",), "ÀB ẞ", "àb ß"),
        (("digits",), "25 1,250 007 3.5 1234567890", "twenty five one thousand two hundred fifty zero zero seven three point five "
         "one two three four five six seven eight nine zero"),
        (("digits",), "the 3rd, 21st 10:30 4x4", "the third , twenty first ten : thirty four x four"),
        (("digits",), "٣ १२", "three twelve"),
        (ALL, "[Noise] Gate 12, please!", "gate twelve please"),
        (ALL, "(laughs)", ""),
    ],
)  # fmt: skip
def test_each_change_is_made_by_choice(options, text, expected):
    assert (
        " ".join(normalize_text(text, TextConfig(normalize=options)).replace(",", " ,").replace(":", " : ").split())
        == expected
    )


@pytest.mark.parametrize(
    ("language", "text", "expected"),
    [
        ("de", "25 1.250 3,5", "fünfundzwanzig eintausendzweihundertfünfzig drei komma fünf"),
        ("pt-BR", "16", "dezesseis"),
        ("fr", "21", "vingt et un"),
        ("tr", "IĞDIR İki", "ığdır iki"),
    ],
)
def test_numbers_and_letters_follow_the_language(language, text, expected):
    assert normalize_text(text, TextConfig(normalize=ALL, language=language)) == expected


def test_a_language_without_rules_is_rejected():
    with pytest.raises(DataError, match=r"--text\.language xx: there are no rules"):
        normalize_text("25", TextConfig(normalize=("digits",), language="xx"))
    with pytest.raises(ValueError, match=r"--text\.language must be the code of a language"):
        TextConfig(language="english please")


def notices_of(texts, has_rows=True, **options):
    with collect_notices() as notices:
        add_notices(texts, [f"{k}.wav" for k in range(len(texts))], "list.csv", TextConfig(**options), has_rows)
    return [str(notice) for notice in notices]


def test_mixed_texts_propose_the_options_that_unify_them():
    texts = ["yes", "No", "gate 7", "yes!", "[noise] no"]
    (notice,) = notices_of(texts)
    assert "capital and small letters in 1, digits in 1, punctuation in 2, marks in brackets in 1" in notice
    assert "First rows: 2, 3, 4." in notice
    assert "add --text.normalize lower digits punctuation brackets." in notice
    (notice,) = notices_of(["yes", "gate 7", "No"], normalize=("lower",))
    assert "add --text.normalize lower digits." in notice


@pytest.mark.parametrize("texts", [["YES", "NO"], ["yes", "don't"], ["1", "2"], ["はい", "いいえ"]])
def test_uniform_texts_have_no_notice(texts):
    assert notices_of(texts) == []


def test_rare_characters_are_listed_with_their_rows():
    (notice,) = notices_of(["go on"] * 30 + ["gö on", "go\u200b on"])
    assert "2 characters are in at most 2 texts" in notice
    assert "ö (row 31)" in notice
    assert "U+200B ZERO WIDTH SPACE (row 32)" in notice
    assert "31.wav" in notices_of(["go on"] * 31 + ["gö on"], has_rows=False)[0]


def test_some_empty_texts_are_a_notice_and_many_an_error():
    (notice,) = notices_of(["yes"] * 19 + [""])
    assert "1 of 20 recordings have an empty text, the first is 19.wav. The model learns to write nothing" in notice
    assert "Row: 20." in notice
    with pytest.raises(
        DataError, match=r"2 of 10 recordings have an empty text, the first is row 9.*--text\.max-empty 1"
    ):
        notices_of(["yes"] * 8 + [""] * 2)
    assert "5 of 10" in notices_of(["yes"] * 5 + [""] * 5, max_empty=1.0)[0]
    with pytest.raises(DataError, match=r"1 of 20 .* the first is 19\.wav"):
        notices_of(["yes"] * 19 + [""], has_rows=False, max_empty=0.0)


def test_characters_that_a_model_cannot_write_are_a_notice():
    with collect_notices() as notices:
        add_notice_of_unknown_characters(["abc", "ab?", "", "\u00adA"], "abc", "test.csv", has_rows=True)
    assert "2 of 4 texts have characters that the model cannot write: ?, A, U+00AD SOFT HYPHEN." in str(notices[0])
    assert "First rows: 2, 4." in str(notices[0])
