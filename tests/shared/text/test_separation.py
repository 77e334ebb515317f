"""`shared.text.separation`: one tokenization for all tasks with text."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pytest
import tensorflow as tf

from shared.text.separation import normalize, separate_words

CASES = Path(__file__).parents[4] / "shared" / "cases" / "text"
ASSIGNED = [chr(code) for code in range(0x110000) if unicodedata.category(chr(code)) not in ("Cn", "Co", "Cs")]


def tokens(text: str | bytes, fold: bool = True, keep_line_ends: bool = False) -> list[str]:
    return str(separate_words(tf.constant([text]), fold, keep_line_ends).numpy()[0].decode()).split(" ")


def separate_all(texts: Sequence[str], fold: bool = True) -> list[str]:
    return [text.decode() for text in separate_words(tf.constant(texts), fold).numpy()]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("¡excelente!", "¡ excelente ！"),
        ("¿Qué?", "¿ qué ？"),
        ("great👍", "great 👍"),
        ("great…", "great ． ． ．"),
        ("great...", "great ． ． ．"),
        ("R&B [1] $5 a_b", "r ＆ b ［ 1 ］ ＄ 5 a ＿ b"),
        ("مرحبا، كيف؟", "مرحبا ، كيف ؟"),
        ("ठीक है।", "ठीक है ।"),
        ("很好。真的，不错！", "很 好 。 真 的 ， 不 错 ！"),
        ("コーヒー", "コ ー ヒ ー"),
        ("ｶﾞ", "ガ"),
        ("ก่ข", "ก่ ข"),
        ("한국어 좋아요", "한국어 좋아요"),
        ("ＡＢＣ！ １２", "abc ！ 12"),
        ("ΑΘΗΝΑΣ αθηνας", "αθηνασ αθηνασ"),
        ("It’s can＇t", "it's can't"),
        ("so-so — well--no", "so － so － well － no"),
        ("„gut“ «bon»", "＂ gut ＂ ＂ bon ＂"),
        ("", ""),
        (" \t\u00a0\u3000\u2028", ""),
        ("a\u3000b\u00a0c\x00d", "a b c d"),
    ],
)
def test_punctuation_symbols_and_unspaced_characters_are_tokens_of_their_own(text, expected):
    assert " ".join(tokens(text)) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don’t “stop”, O'Neil!", "Don't “ stop ” , O'Neil !"),
        ("well-known -- pack- 'tis", "well-known -- pack - 'tis"),
        ("‘so’", "‘ so ’"),
        ("１２！", "１２ ！"),
        ("one\r\ntwo\rthree\n\n", "one \n two \n three \n \n"),
    ],
)
def test_without_folding_tokens_keep_their_look(text, expected):
    assert " ".join(tokens(text, fold=False, keep_line_ends=True)) == expected


@pytest.mark.parametrize("fold", [True, False])
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("👍🏽👎", "👍🏽 👎"),
        ("👨\u200d👩\u200d👧x", "👨\u200d👩\u200d👧 x"),
        ("❤\ufe0f\u200d🔥❤\ufe0f", "❤\u200d🔥 ❤"),
        ("🇩🇪🇫🇷🇮", "🇩🇪 🇫🇷 🇮"),
        ("a🏽", "a 🏽"),
    ],
)
def test_an_emoji_of_several_characters_is_one_token(text, expected, fold):
    assert " ".join(tokens(text, fold)) == expected


@pytest.mark.parametrize("invisible", "\u200b \u200c \u200d \u2060 \ufeff \u00ad \u200e \u202a \ufe0f".split(" "))
def test_invisible_characters_are_dropped(invisible):
    assert tokens(f"{invisible}zero{invisible}width{invisible} {invisible}text") == ["zerowidth", "text"]


@pytest.mark.parametrize("fold", [True, False])
def test_every_punctuation_mark_and_symbol_is_separated(fold):
    within_words = set("'’＇`´｀‘\u1fef\u1ffd\ufffd") if fold else set("'’-\u2010\u2011\ufffd")
    characters = [c for c in ASSIGNED if unicodedata.category(c)[0] in "PS" and c not in within_words]
    separated = separate_all([f"a{c}b" for c in characters], fold)
    assert [c for c, text in zip(characters, separated, strict=True) if len(text.split(" ")) < 3] == []
    assert len(characters) > 8_000


@pytest.mark.parametrize("fold", [True, False])
def test_composed_and_decomposed_characters_give_equal_tokens(fold):
    texts = [f"a{c}b" for c in ASSIGNED if unicodedata.normalize("NFD", c) != c]
    assert separate_all([unicodedata.normalize("NFD", text) for text in texts], fold) == separate_all(texts, fold)
    assert len(texts) > 13_000  # with the syllables of Hangul


def test_tokens_joined_with_spaces_give_the_same_tokens():
    rng = random.Random(0)
    pool = [c for c in ASSIGNED if unicodedata.category(c)[0] in "MPSZC"] + list("aéI- -'’\u200d\u034f👍🏽🇩我ก 1") * 200
    texts = ["".join(rng.choices(pool, k=12)) for _ in range(3_000)]
    for fold in (True, False):
        separated = separate_all(texts, fold)
        assert separate_all(separated, fold) == separated
        assert all(text == " ".join(text.split(" ")).strip(" ") and "  " not in text for text in separated)


def test_texts_of_a_batch_do_not_influence_each_other():
    texts = ["e", "\u0301x", "", "🇩", "🇪", "a-", "-b", "👨\u200d", "\u200d👩", "\u1112", "\u1161"]
    assert separate_all(texts) == [separate_all([text])[0] for text in texts]


def test_any_bytes_and_any_shape_are_valid():
    rng = random.Random(1)
    texts = [rng.randbytes(20) for _ in range(500)]
    result = separate_words(tf.reshape(tf.constant(texts), [5, 100]))
    assert result.shape == (5, 100)
    assert all(text.decode() is not None for text in result.numpy().ravel())
    assert separate_words(tf.constant(b"\xe9t\xe9")).numpy().decode() == "\ufffdt\ufffd"
    assert separate_words(tf.constant([], tf.string)).shape == (0,)


@pytest.mark.parametrize(
    "text",
    ["I <3 flying but this airline was terrible, never again >:(", "price < 5 but quality > 3 good"],
)
def test_comparisons_and_hearts_are_not_markup(text):
    words = [word.strip("<>:(,").lower() for word in text.split()]
    assert set(filter(None, words)) <= set(tokens(text))


def test_the_graph_has_operations_of_plain_tensorflow_only():
    function = tf.function(separate_words, input_signature=[tf.TensorSpec([None], tf.string)])
    graph = function.get_concrete_function().graph.as_graph_def()
    operations = {node.op for nodes in (graph.node, *(f.node_def for f in graph.library.function)) for node in nodes}
    registered = {name for name in operations if hasattr(tf.raw_ops, name)}
    assert operations == registered
    assert not operations & {"PyFunc", "EagerPyFunc", "HashTableV2"}


@pytest.mark.skipif(not CASES.is_dir(), reason="the folder with cases is not beside the repository")
def test_spanish_words_are_the_same_with_any_punctuation_and_normalization():
    texts = pd.read_csv(CASES / "es.csv")["text"].tolist()
    separated = separate_all(texts)
    assert separate_all([unicodedata.normalize("NFD", text) for text in texts]) == separated
    decorated = separate_all([f"¡{text}!\u200b" for text in texts])
    assert decorated == [f"¡ {text} ！" for text in separated]


def test_normalization_changes_no_words():
    text = tf.constant([b"Caf\x65\xcc\x81 <b> don\xe2\x80\x99t,  <unk>\r\n \xef\xbb\xbfx\xc2\xa0y\x07 \xff"])
    assert normalize(text).numpy()[0].decode() == "Café <b> don’t,  <unk>\n x y  \ufffd"
    assert normalize(tf.constant("  a ")).numpy().decode() == "  a "
