"""The sentiment model: words, an LSTM that reads them, n-grams beside it, and one calibrated answer of the two.

text ─ words ─┬─ head_and_tail ─ embedding ─ LSTM stack ─ mean and maximum ─ logits ─┐
              └─ n-grams of all words ─────────────────── one table of weights ── logits ─┴─ softmax
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from shared.lstm import LSTMStack, masked_max, masked_mean
from shared.text import separate_words
from tasks.sentiment.config import SentimentConfig

PADDING, UNKNOWN, FIRST_WORD = 0, 1, 2
BATCH = 256


def words_model(texts: Sequence[str], config: SentimentConfig) -> keras.Model:
    """Learns the vocabulary and returns a model from text to word numbers.

    Args:
        texts: of the training split.
        config: decides the size of the vocabulary and the longest text.

    Returns:
        A model from strings `(batch,)` to int32 `(batch, time)`: the most frequent word is 2, unknown words are 1,
        padding on the right is 0. Every row has at least one word, an empty text the unknown one, so that nothing
        downstream divides by a length of zero.
    """
    size = max(config.wide.vocabulary_size, config.text.vocabulary_size)
    vectorization = keras.layers.TextVectorization(max_tokens=size, name="words")
    vectorization.adapt(tf.data.Dataset.from_tensor_slices(list(texts)).batch(BATCH).map(separate_words))
    text = keras.Input((), dtype="string", name="text")
    ids = ops.pad(ops.cast(vectorization(text), "int32"), [[0, 0], [0, 1]])
    ids = ops.concatenate([ops.maximum(ids[:, :1], UNKNOWN), ids[:, 1:]], axis=1)
    return keras.Model(text, head_and_tail(ids, config.wide.words), name="words_of_text")


def head_and_tail(ids: Any, limit: int) -> Any:
    """Cuts the middle out of rows with more than `limit` words.

    Args:
        ids: int32 tensor `(batch, time)`, 0 for padding on the right.
        limit: most words kept, half of them from the beginning and half from the end.

    Returns:
        int32 tensor `(batch, min(time, limit))`, 0 for padding on the right.
    """
    real = ops.cast(ops.not_equal(ids, PADDING), "int32")
    position = ops.cumsum(ops.ones_like(ids), axis=1) - 1
    length = ops.sum(real, axis=1, keepdims=True)
    middle = ops.logical_and(position >= limit // 2, position < length - (limit - limit // 2))
    dropped = ops.logical_or(ops.equal(real, 0), middle)
    last = ops.where(dropped, position + 2**30, position)  # what is dropped moves behind what is kept
    return ops.take_along_axis(ids, ops.argsort(last, axis=1), axis=1)[:, :limit]


def lstm_model(config: SentimentConfig, classes: int, vectors: np.ndarray | None = None) -> keras.Model:
    """Returns the LSTM by itself: from word numbers `(batch, time)` int32 to logits `(batch, classes)`.

    Args:
        config: sizes and regularisation.
        classes: number of labels.
        vectors: float32 `(vocabulary_size, embedding_size)` to start the embedding from; random ones when left out.
    """
    vocabulary_size, head = config.text.vocabulary_size, config.head
    embedding = keras.layers.Embedding(vocabulary_size, head.embedding_size, name="embedding")
    stack = LSTMStack(config.lstm)

    words = keras.Input((None,), dtype="int32", name="words")
    mask = ops.not_equal(words, PADDING)
    known = ops.where(words < vocabulary_size, words, UNKNOWN)
    hidden = embedding(known)  # (batch, time, embedding_size)
    hidden = keras.layers.SpatialDropout1D(head.embedding_dropout, name="embedding_dropout")(hidden)
    hidden = stack.sequence(hidden, mask=mask)  # (batch, time, output_size)
    pooled = ops.concatenate([masked_mean(hidden, mask), masked_max(hidden, mask)], axis=-1)
    pooled = keras.layers.Dropout(head.dropout, name="pooled_dropout")(pooled)
    logits = keras.layers.Dense(classes, dtype="float32", name="logits")(pooled)

    if vectors is not None:
        embedding.set_weights([vectors])
    return keras.Model(words, logits, name="lstm")


def classifier(
    words: keras.Model, lstm: keras.Model, wide: keras.Model | None, shares: tuple[float, float], limit: int
) -> keras.Model:
    """Joins the parts: from strings `(batch,)` to probabilities `(batch, classes)`, on stock layers alone.

    Args:
        words: from `words_model`.
        lstm: from `lstm_model`.
        wide: from `ngrams.wide_model`, or None.
        shares: factors of the LSTM's and of the wide part's logits, calibration included.
        limit: words the LSTM reads.
    """
    text = keras.Input((), dtype="string", name="text")
    ids = words(text)
    logits = lstm(head_and_tail(ids, limit)) * shares[0]
    if wide is not None:
        logits = logits + wide(ids) * shares[1]
    return keras.Model(text, keras.layers.Softmax(name="probabilities")(logits), name="sentiment")


def word_numbers(words: keras.Model, texts: Sequence[str]) -> list[np.ndarray]:
    """Returns the word numbers of each text, one int32 array `(length,)` each, without padding."""
    sequences: list[np.ndarray] = []
    dataset = tf.data.Dataset.from_tensor_slices(list(texts)).batch(BATCH).map(separate_words)
    for batch in dataset:
        ids = ops.convert_to_numpy(words(batch))
        sequences += [row[: np.count_nonzero(row)] for row in ids]
    return sequences


def cut(sequences: Sequence[np.ndarray], limit: int) -> list[np.ndarray]:
    """Does to arrays without padding what `head_and_tail` does to a batch."""
    head, tail = limit // 2, limit - limit // 2
    return [s if len(s) <= limit else np.concatenate([s[:head], s[-tail:]]) for s in sequences]
