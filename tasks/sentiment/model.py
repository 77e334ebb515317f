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

PADDING, UNKNOWN = 0, 1
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
    ordered = sorted(texts, key=len)  # a very long text pads no other
    vectorization.adapt(tf.data.Dataset.from_tensor_slices(ordered).batch(BATCH // 4).map(separate_words))
    # In the configuration, not in a file of lines: reviews hold words with signs that end a line, such as U+0085.
    known = vectorization.get_vocabulary(include_special_tokens=False)
    vectorization = keras.layers.TextVectorization(vocabulary=[str(word) for word in known], name="words")
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
    length = ops.sum(ops.cast(ops.not_equal(ids, PADDING), "int32"), axis=1, keepdims=True)
    position = ops.cumsum(ops.ones_like(ids[:, :limit]), axis=1) - 1
    skipped = ops.where(position < limit // 2, 0, ops.maximum(length - limit, 0))
    return ops.take_along_axis(ids, position + skipped, axis=1)


class LSTMReader:
    """The LSTM by itself, as nested models that share their weights: training takes hold of the parts.

    Args:
        config: sizes and regularisation.
        classes: number of labels.
        vectors: float32 `(vocabulary_size, embedding_size)` to start the embedding from; random ones when left out.

    Attributes:
        embedding: the layer of word vectors.
        embed: from word numbers `(batch, time)` int32 to vectors `(batch, time, embedding_size)`.
        sequence: from `[vectors, mask]` to the stack's hidden states `(batch, time, output_size)`.
        read: from `[vectors, mask]` to logits `(batch, classes)`.
        whole: from word numbers `(batch, time)` int32, 0 for padding, to logits `(batch, classes)`.
    """

    def __init__(self, config: SentimentConfig, classes: int, vectors: np.ndarray | None = None) -> None:
        size, head = config.head.embedding_size, config.head
        words = keras.Input((None,), dtype="int32", name="words")
        known = ops.where(words < config.text.vocabulary_size, words, UNKNOWN)
        self.embedding = keras.layers.Embedding(config.text.vocabulary_size, size, name="embedding")
        self.embed = keras.Model(words, self.embedding(known), name="embed")
        if vectors is not None:
            self.embedding.set_weights([vectors])

        given, mask = keras.Input((None, size), name="vectors"), keras.Input((None,), dtype="bool", name="mask")
        self.sequence = keras.Model([given, mask], LSTMStack(config.lstm).sequence(given, mask=mask), name="sequence")
        hidden = keras.layers.SpatialDropout1D(head.embedding_dropout, name="embedding_dropout")(given)
        hidden = self.sequence([hidden, mask])  # (batch, time, output_size)
        pooled = ops.concatenate([masked_mean(hidden, mask), masked_max(hidden, mask)], axis=-1)
        pooled = keras.layers.Dropout(head.dropout, name="pooled_dropout")(pooled)
        logits = keras.layers.Dense(classes, dtype="float32", name="logits")(pooled)
        self.read = keras.Model([given, mask], logits, name="read")

        whole = self.read([self.embed(words), ops.not_equal(words, PADDING)])
        self.whole = keras.Model(words, whole, name="lstm")


def classifier(
    words: keras.Model, lstm: keras.Model, wide: keras.Model | None, shares: tuple[float, float], limit: int
) -> keras.Model:
    """Joins the parts: from strings `(batch,)` to probabilities `(batch, classes)`, on stock layers alone.

    Args:
        words: from `words_model`.
        lstm: `LSTMReader.whole`.
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
    sequences: list[np.ndarray] = [np.empty(0, np.int32)] * len(texts)
    order = np.argsort([len(text) for text in texts], kind="stable")  # a very long text pads no other
    for start in range(0, len(order), BATCH):
        chosen = order[start : start + BATCH]
        ids = ops.convert_to_numpy(words(separate_words(tf.constant([texts[k] for k in chosen]))))
        for k, row in zip(chosen, ids, strict=True):
            sequences[k] = row[: np.count_nonzero(row)]
    return sequences


def cut(sequences: Sequence[np.ndarray], limit: int) -> list[np.ndarray]:
    """Does to arrays without padding what `head_and_tail` does to a batch."""
    head, tail = limit // 2, limit - limit // 2
    return [s if len(s) <= limit else np.concatenate([s[:head], s[-tail:]]) for s in sequences]
