"""`shared.text.vocabulary`: token ids follow the frequency of the words, and do not depend on the other texts of a batch."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared.text import vocabulary
from shared.text.separation import separate_words
from shared.text.vocabulary import (
    UNKNOWN_ID,
    batch_by_length,
    build_vectorization,
    fit_vocabulary,
    require_token,
    tokenize,
    truncate,
)


def test_the_vocabulary_has_the_most_frequent_words_of_prepared_texts():
    texts = ["b a a", "a c b", "c", "a/d"]
    assert fit_vocabulary(texts, 5, separate_words)[:1] == ["a"]
    assert set(fit_vocabulary(texts, 5, separate_words)) == {"a", "b", "c"}
    assert fit_vocabulary(["Yes yes Yes.", "Yes"], 9, standardize=None) == ["Yes", "yes", "Yes."]
    assert fit_vocabulary(["Yes yes Yes."], 9) == ["yes"]


@pytest.mark.parametrize(("split", "text"), [("whitespace", "b x a"), ("character", "bxa")])
def test_token_ids_are_those_of_the_list_and_the_layer_can_be_saved(tmp_path, split, text):
    layer = build_vectorization(["a", "odd\u0085word", "b"], standardize=None, split=split)
    inputs = keras.Input((), dtype="string")
    keras.Model(inputs, layer(inputs)).save(tmp_path / "layer.keras")
    loaded = keras.models.load_model(tmp_path / "layer.keras")
    for model in (layer, loaded):
        assert np.asarray(model(tf.constant([text, ""]))).tolist() == [[4, UNKNOWN_ID, 2], [0, 0, 0]]
    if split == "whitespace":
        assert np.asarray(loaded(tf.constant(["odd\u0085word"]))).tolist() == [[3]]


def test_each_row_has_at_least_one_token():
    token_ids = require_token(np.array([[3, 1], [0, 0]], np.int64))
    assert np.asarray(token_ids).tolist() == [[3, 1, 0], [UNKNOWN_ID, 0, 0]]
    assert np.asarray(token_ids).dtype == np.int32
    assert np.asarray(require_token(np.zeros((1, 0), np.int64))).tolist() == [[UNKNOWN_ID]]


@pytest.mark.parametrize(
    ("max_length", "head", "expected"),
    [
        (3, 0, [[4, 5, 6], [2, 3, 0]]),
        (3, 1, [[2, 5, 6], [2, 3, 0]]),
        (3, 3, [[2, 3, 4], [2, 3, 0]]),
        (9, 4, [[2, 3, 4, 5, 6], [2, 3, 0, 0, 0]]),
    ],
)
def test_truncation_keeps_the_first_words_and_the_last_ones(max_length, head, expected):
    token_ids = np.array([[2, 3, 4, 5, 6], [2, 3, 0, 0, 0]], np.int32)
    assert np.asarray(truncate(token_ids, max_length, head)).tolist() == expected


def test_texts_keep_their_order_and_lose_their_padding():
    layer = build_vectorization(["a", "b"])
    texts = ["a b a", "", "b", "A? x"]
    sequences = tokenize(layer, texts, separate_words)
    assert [s.tolist() for s in sequences] == [[2, 3, 2], [], [3], [2, 1, 1]]
    assert all(s.dtype == np.int32 for s in sequences)
    assert [s.tolist() for s in tokenize(layer, texts)] == [[2, 3, 2], [], [3], [2, 1]]


def test_batches_are_limited_in_texts_and_in_characters(monkeypatch):
    monkeypatch.setattr(vocabulary, "MAX_BATCH_TEXTS", 3)
    monkeypatch.setattr(vocabulary, "MAX_BATCH_CHARACTERS", 12)
    texts = ["aaaa", "b", "cc", "d", "e", "x" * 99, "ffff", "gggg", "hhhh"]
    batches = [[texts[k] for k in indices] for indices in batch_by_length(texts)]
    assert batches == [["b", "d", "e"], ["cc", "aaaa", "ffff"], ["gggg", "hhhh"], ["x" * 99]]
    assert list(batch_by_length([])) == []
