"""`tasks.sentiment.model`: from raw text to token ids, and the truncation of long texts."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.text.separation import separate_words
from shared.text.vocabulary import UNKNOWN_ID, tokenize
from tasks.sentiment import model
from tasks.sentiment.config import PRESETS, TextConfig

CONFIG = PRESETS["sample"]


@pytest.fixture(scope="module")
def tokenizer():
    return model.build_tokenizer(["the film was good good good", "the film was not bad", "don't"], CONFIG)


def test_token_ids_are_ordered_by_frequency_and_other_words_are_unknown(tokenizer):
    (token_ids,) = tokenize(tokenizer, ["good unheard film"], separate_words)
    assert token_ids[0] == 2
    assert token_ids[1] == UNKNOWN_ID
    assert token_ids[2] > 2


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "'", b"\xff\xfe", "<br />"])
def test_a_text_without_words_is_one_unknown_word(tokenizer, text):
    token_ids = tokenizer(separate_words(tf.constant([text]))).numpy()
    assert token_ids[0, 0] == UNKNOWN_ID
    assert (token_ids[0] != 0).sum() == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good.<br /><br />Film", "good ． film"),
        ("good/bad", "good ／ bad"),
        ("good...but", "good ． ． ． but"),
        ("It\u2019s", "it's"),
        ("good\u2014bad \u201cfilm\u201d!", "good － bad ＂ film ＂ ！"),
        ("good--bad (so-so)", "good － bad （ so － so ）"),
        ("R&B [1]", "r ＆ b ［ 1 ］"),
        ("ÉTÉ ΑΘΗΝΑ", "été αθηνα"),
        ("a\x00b", "a b"),
    ],
)
def test_words_separated_by_punctuation_or_markup_are_separate_words(text, expected):
    assert separate_words(tf.constant(text)).numpy().decode().split() == expected.split()


def test_emoji_and_characters_of_unspaced_scripts_are_words():
    tokenizer = model.build_tokenizer(["😀 😀 日本語 очень"], CONFIG)
    assert [len(token_ids) for token_ids in tokenize(tokenizer, ["😀日本語очень"], separate_words)] == [5]
    assert tokenize(tokenizer, ["😀"], separate_words)[0][0] == 2


def test_bytes_that_are_not_utf8_are_replaced():
    assert separate_words(tf.constant(b"\xe9t\xe9")).numpy().decode() == "\ufffdt\ufffd"


@pytest.mark.parametrize("max_length", [4, 5])
def test_truncation_keeps_beginning_and_end_whatever_else_is_in_the_batch(max_length):
    token_ids = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 0, 0]], np.int32)
    truncated = model.truncate_middle(token_ids, max_length).numpy()
    for row, original in zip(truncated, token_ids, strict=True):
        (expected,) = model.truncate_sequences([original[original > 0]], max_length)
        np.testing.assert_array_equal(row[row > 0], expected)
        assert (row[: len(expected)] > 0).all()
    assert truncated[0].tolist() == [1, 2, *range(9 - (max_length - 2), 9)]


def test_a_saved_tokenizer_keeps_words_with_line_separators(tmp_path):
    tokenizer = model.build_tokenizer(["odd\u0085word odd\u2028word good film"], CONFIG)
    tokenizer.save(tmp_path / "tokenizer.keras")
    loaded = keras.models.load_model(tmp_path / "tokenizer.keras")
    text = tf.constant(["film odd\u0085word good odd\u2028word unheard"])
    np.testing.assert_array_equal(loaded(text), tokenizer(text))


def test_a_training_text_of_one_megabyte_is_truncated_and_does_not_pad_others(tokenizer):
    texts = ["good film " * 100_000, "bad", "the film was good"]
    sequences = tokenize(tokenizer, texts, separate_words)
    assert [len(s) for s in sequences] == [CONFIG.text.ngram_sequence_length, 1, 4]
    model.build_tokenizer(texts, CONFIG)


def test_the_number_of_token_ids_is_limited():
    short = dataclasses.replace(CONFIG, text=TextConfig(ngram_sequence_length=10))
    tokenizer = model.build_tokenizer(["good film"], short)
    assert tokenizer(tf.constant(["good film " * 50_000])).shape == (1, 10)


def test_punctuation_marks_are_words_that_model_keras_alone_does_not_find(tokenizer):
    """Without `separate_words`, the stock layer lower-cases the text and drops ASCII punctuation, but still finds the words."""
    with_punctuation = model.build_tokenizer(["good! good! bad?"], CONFIG)
    assert [len(token_ids) for token_ids in tokenize(with_punctuation, ["Good! Bad?"], separate_words)] == [4]
    plain = tf.constant(["The film was good not bad"])
    np.testing.assert_array_equal(tokenizer(plain), tokenizer(separate_words(plain)))
    assert (with_punctuation(tf.constant(["Good! Bad?"])).numpy() > 0).sum() == 2
