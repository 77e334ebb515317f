"""Text becomes tokens, and tokens become text; training and serving use the same operations."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tasks.next_word import tokenization
from tasks.next_word.config import TextConfig
from tasks.next_word.tokenization import build_vocabulary


def separate(text: str | bytes, unit: str = "word", pretokenized: bool = False) -> str:
    return tokenization.separate_tokens(tf.constant([text]), unit, pretokenized).numpy()[0].decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, me.", "Don't stop , me ."),
        ("well-known -- so\ttold", "well-known -- so told"),
        ("one\r\ntwo\rthree\n", "one <eos> two <eos> three <eos>"),
        ("caf\u00e9 (1,5)", "caf\u00e9 ( 1 , 5 )"),
        ("", ""),
        (b"bad \xff byte\x00", "bad \ufffd byte"),
        ("很好。 don’t cafe\u0301👍", "很 好 。 don't caf\u00e9 👍"),
        ("a <br /> b <3", "a b < 3"),
    ],
)
def test_punctuation_and_line_ends_become_tokens(text, expected):
    assert separate(text) == expected


def test_a_pretokenized_text_is_split_only_at_whitespace():
    assert separate("the N <unk>\u3000co. 's\n", pretokenized=True) == "the N <unk> co. 's <eos>"


def test_characters_do_not_change_except_line_ends():
    assert separate("a  b\r\nc", "character") == "a  b\nc"
    assert separate("e\u0301\u200b,", "character") == "\u00e9,"


@pytest.mark.parametrize(
    "text",
    [
        "Stop, he said. (Twice!)",
        "one line\nand another",
        'so "it is," he said "no"',
        "¿Qué tal? ¡Muy bien!",
        "今天天气很好。“你去哪里？”他说：“去学校。”",
        "コーヒーを飲みました。",
        "นี่คือก่ข",
        "كيف حالك؟ نعم، جيد",
        "ठीक है। हाँ",
    ],
)
def test_joined_tokens_give_the_original_text(text):
    tokens = separate(text).split(" ")
    joined = tokenization.join_tokens(tf.constant([[*tokens, "", ""]]), "word", False)
    assert joined.numpy()[0].decode() == text


def test_the_vocabulary_has_the_frequent_words_of_the_training_texts():
    texts = ["b a a", "a c b.", "a b"]
    assert build_vocabulary(texts, TextConfig(min_count=2)) == ["<eos>", "a", "b"]
    assert build_vocabulary(texts, TextConfig(min_count=1, vocabulary_size=3)) == ["<eos>", "a", "b", "."]
    assert build_vocabulary(["ab\nb"], TextConfig(unit="character")) == ["\n", "b"]
    assert build_vocabulary(["ab\nb"], TextConfig(unit="character", min_count=1)) == ["\n", "b", "a"]


def test_min_count_is_one_for_a_text_that_marks_unknown_words():
    config = TextConfig(pretokenized=True)
    assert build_vocabulary(["a <unk> b a"], config) == ["<eos>", "a", "b"]
    assert build_vocabulary(["a c b a"], config) == ["<eos>", "a"]  # without marks, rare words must be unknown


def test_special_tokens_of_the_layer_and_invalid_bytes_are_not_in_the_vocabulary():
    assert build_vocabulary(["a [UNK] \ufffd a [UNK] \ufffd"], TextConfig(pretokenized=True)) == ["<eos>", "a"]


def test_a_stream_has_every_word_in_order_and_an_end_after_each_text():
    stream = tokenization.encode_stream(["a b", "", "b x\na"], ["<eos>", "a", "b"], TextConfig())
    assert stream.tolist() == [2, 3, 4, 2, 2, 4, 1, 2, 3, 2]
    assert stream.dtype == np.int32


def test_texts_of_any_length_stay_in_order():
    texts = ["a " * 40, "b", "a b " * 30_000, "b b"]
    stream = tokenization.encode_stream(texts, ["<eos>", "a", "b"], TextConfig())
    lengths = np.diff(np.flatnonzero(stream == tokenization.END_ID)) - 1
    assert lengths.tolist() == [40, 1, 60_000, 2]


def test_truncation_keeps_the_last_words_of_a_row():
    token_ids = tf.constant([[2, 3, 4, 5, 6], [2, 3, 0, 0, 0]])
    assert tokenization.truncate_start(token_ids, 3).numpy().tolist() == [[4, 5, 6], [2, 3, 0]]


def test_special_tokens_are_never_sampled():
    logs = tf.zeros((1, 6))
    assert (tokenization.mask_special_tokens(logs).numpy() < -1e8).tolist() == [[True] * 3 + [False] * 3]
    with_line_end = tokenization.mask_special_tokens(logs, allow_line_end=True).numpy()
    assert (with_line_end < -1e8).tolist() == [[True] * 2 + [False] * 4]
