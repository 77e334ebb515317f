"""From raw text to words, and the head and tail of long texts."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.text import separate_words
from tasks.sentiment import model
from tasks.sentiment.config import PRESETS

CONFIG = PRESETS["sample"]


@pytest.fixture(scope="module")
def words():
    return model.words_model(["the film was good good good", "the film was not bad", "don't"], CONFIG)


def test_words_are_numbered_by_frequency_and_the_rest_is_unknown(words):
    (ids,) = model.word_numbers(words, ["good unheard film"])
    assert ids[0] == 2
    assert ids[1] == model.UNKNOWN
    assert ids[2] > 2


@pytest.mark.parametrize("text", ["", "   ", "\t\n", "$", b"\xff\xfe", "<br />"])
def test_a_text_without_words_is_one_unknown_word(words, text):
    ids = words(separate_words(tf.constant([text]))).numpy()
    assert ids[0, 0] == model.UNKNOWN
    assert (ids[0] != 0).sum() == 1


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Good.<br /><br />Film", "good ． film"),
        ("good/bad", "good ／ bad"),
        ("good...but", "good ． ． ． but"),
        ("It\u2019s", "it's"),
        ("good\u2014bad \u201cfilm\u201d!", "good － bad ＂ film ＂ ！"),
        ("good--bad (so-so)", "good － bad （ so － so ）"),
        ("R&B [1]", "r b 1"),
        ("ÉTÉ ΑΘΗΝΑ", "été αθηνα"),
        ("a\x00b", "a b"),
    ],
)
def test_words_parted_by_punctuation_or_markup_stay_apart(text, expected):
    assert separate_words(tf.constant(text)).numpy().decode().split() == expected.split()


def test_emoji_and_other_scripts_are_words():
    for text in ("😀", "日本語", "очень"):
        assert separate_words(tf.constant(text)).numpy().decode() == text
    words = model.words_model(["😀 😀 日本語 очень"], CONFIG)
    assert [len(ids) for ids in model.word_numbers(words, ["😀 日本語 очень"])] == [3]
    assert model.word_numbers(words, ["😀"])[0][0] == 2


def test_bytes_that_are_not_utf8_are_replaced():
    assert separate_words(tf.constant(b"\xe9t\xe9")).numpy().decode() == "\ufffdt\ufffd"


@pytest.mark.parametrize("limit", [4, 5])
def test_long_texts_keep_their_beginning_and_end_in_a_batch_with_any_neighbours(limit):
    ids = np.array([[1, 2, 3, 4, 5, 6, 7, 8], [1, 2, 3, 0, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 0, 0]], np.int32)
    kept = model.head_and_tail(ids, limit).numpy()
    for row, original in zip(kept, ids, strict=True):
        (expected,) = model.cut([original[original > 0]], limit)
        np.testing.assert_array_equal(row[row > 0], expected)
        assert (row[: len(expected)] > 0).all()
    assert kept[0].tolist() == [1, 2, *range(9 - (limit - 2), 9)]


def test_words_with_signs_that_end_a_line_survive_the_file(tmp_path):
    odd = model.words_model(["odd\u0085word odd\u2028word good film"], CONFIG)
    odd.save(tmp_path / "words.keras")
    loaded = keras.models.load_model(tmp_path / "words.keras")
    text = tf.constant(["film odd\u0085word good odd\u2028word unheard"])
    np.testing.assert_array_equal(loaded(text), odd(text))


def test_a_text_of_a_megabyte_in_training_is_cut_and_pads_no_other(words):
    texts = ["good film " * 100_000, "bad", "the film was good"]
    sequences = model.word_numbers(words, texts)
    assert [len(s) for s in sequences] == [CONFIG.wide.words, 1, 4]
    model.words_model(texts, CONFIG)


def test_the_texts_read_is_bounded(words):
    shorter = dataclasses.replace(CONFIG, wide=dataclasses.replace(CONFIG.wide, words=10))
    bounded = model.words_model(["good film"], shorter)
    assert bounded(tf.constant(["good film " * 50_000])).shape == (1, 10)


def test_marks_are_words_and_model_keras_alone_misses_only_them(words):
    """`model.keras` by itself lower-cases and drops ASCII punctuation; words it finds all the same."""
    marked = model.words_model(["good! good! bad?"], CONFIG)
    assert [len(ids) for ids in model.word_numbers(marked, ["Good! Bad?"])] == [4]
    plain = tf.constant(["The film was good not bad"])
    np.testing.assert_array_equal(words(plain), words(separate_words(plain)))
    assert (marked(tf.constant(["Good! Bad?"])).numpy() > 0).sum() == 2
