"""Text becomes words, and words text, the same in training and behind a server."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tasks.next_word import words
from tasks.next_word.config import TextConfig


def separated(text: str | bytes, unit: str = "word", pretokenized: bool = False) -> str:
    return words.separated(tf.constant([text]), unit, pretokenized).numpy()[0].decode()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't stop, me.", "Don't stop , me ."),
        ("well-known -- so\ttold", "well-known -- so told"),
        ("one\r\ntwo\rthree\n", "one <eos> two <eos> three <eos>"),
        ("caf\u00e9 (1,5)", "caf\u00e9 ( 1 , 5 )"),
        ("", ""),
        (b"bad \xff byte\x00", "bad \ufffd byte"),
    ],
)
def test_marks_and_lines_are_words_of_their_own(text, expected):
    assert separated(text) == expected


def test_a_pretokenized_text_is_taken_as_it_is():
    assert separated("the N <unk> co. 's\n", pretokenized=True) == "the N <unk> co. 's <eos>"


def test_characters_stay_but_for_the_ends_of_lines():
    assert separated("a  b\r\nc", "character") == "a  b\nc"


@pytest.mark.parametrize("text", ["Stop, he said. (Twice!)", "one line\nand another", 'so "it is," he said "no"'])
def test_joined_words_read_as_they_were_written(text):
    apart = separated(text).split(" ")
    assert words.joined(tf.constant([[*apart, "", ""]]), "word", False).numpy()[0].decode() == text


def test_the_vocabulary_is_that_of_frequent_words_of_training():
    texts = ["b a a", "a c b.", "a b"]
    assert words.vocabulary_of(texts, TextConfig(fewest=2)) == ["<eos>", "a", "b"]
    assert words.vocabulary_of(texts, TextConfig(fewest=1, vocabulary_size=3)) == ["<eos>", "a", "b", "."]
    assert words.vocabulary_of(["ab\nb"], TextConfig(unit="character")) == ["\n", "b"]
    assert words.vocabulary_of(["ab\nb"], TextConfig(unit="character", fewest=1)) == ["\n", "b", "a"]


def test_a_text_that_marks_unknown_words_has_counted_them_already():
    told = TextConfig(pretokenized=True)
    assert words.vocabulary_of(["a <unk> b a"], told) == ["<eos>", "a", "b"]
    assert words.vocabulary_of(["a c b a"], told) == ["<eos>", "a"]  # else none would ever be unknown in training


def test_names_of_the_layer_and_broken_bytes_are_no_words():
    assert words.vocabulary_of(["a [UNK] \ufffd a [UNK] \ufffd"], TextConfig(pretokenized=True)) == ["<eos>", "a"]


def test_a_stream_holds_every_word_in_order_and_each_text_ends():
    stream = words.stream_of(["a b", "", "b x\na"], ["<eos>", "a", "b"], TextConfig())
    assert stream.tolist() == [2, 3, 4, 2, 2, 4, 1, 2, 3, 2]
    assert stream.dtype == np.int32


def test_texts_of_any_length_stay_in_order():
    texts = ["a " * 40, "b", "a b " * 30_000, "b b"]
    stream = words.stream_of(texts, ["<eos>", "a", "b"], TextConfig())
    lengths = np.diff(np.flatnonzero(stream == words.END)) - 1
    assert lengths.tolist() == [40, 1, 60_000, 2]


def test_of_a_long_row_the_last_words_are_kept():
    token_ids = tf.constant([[2, 3, 4, 5, 6], [2, 3, 0, 0, 0]])
    assert words.tail(token_ids, 3).numpy().tolist() == [[4, 5, 6], [2, 3, 0]]
