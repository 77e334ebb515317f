"""From text to token ids: the vocabulary of the training texts, and stock Keras layers and operations that apply it.

Token ids are 0 for padding, 1 for an unknown word, then the words of the vocabulary in their order. A token is a word or a character;
docstrings say word for both. An alphabet of a CTC model has other ids (0 for no character, none for unknown ones) and is not made
here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops

PADDING_ID, UNKNOWN_ID = 0, 1
MAX_BATCH_TEXTS, MAX_BATCH_CHARACTERS = 256, 1 << 20
"""Maximum size of a batch of texts: the number of texts, and that times the length of the longest one."""

Prepare = Callable[[tf.Tensor], tf.Tensor]
"""Function from string tensors to string tensors of the same shape, which runs before the layer, such as `separate_words`."""
Standardize = Literal["lower_and_strip_punctuation"] | None
"""What the layer does to a text before it splits it; None for nothing."""


def fit_vocabulary(
    texts: Sequence[str],
    max_tokens: int,
    prepare: Prepare = tf.identity,
    standardize: Standardize = "lower_and_strip_punctuation",
) -> list[str]:
    """Returns the most frequent words of texts, by falling frequency; whitespace separates words.

    Args:
        texts: texts of the training split.
        max_tokens: maximum number of token ids, including those of padding and of the unknown word, at least 3.
        prepare: preparation of the texts.
        standardize: as in `build_vectorization`.
    """
    layer = keras.layers.TextVectorization(max_tokens, standardize=standardize)
    by_length = sorted(texts, key=len)  # so that a very long text does not pad short ones
    layer.adapt(tf.data.Dataset.from_tensor_slices(by_length).batch(MAX_BATCH_TEXTS // 4).map(prepare))
    return [str(word) for word in layer.get_vocabulary(include_special_tokens=False)]


def build_vectorization(
    vocabulary: Sequence[str],
    standardize: Standardize = "lower_and_strip_punctuation",
    split: Literal["whitespace", "character"] = "whitespace",
    name: str = "vocabulary",
) -> keras.layers.TextVectorization:
    """Returns the layer from strings `(batch,)` to token ids int64 `(batch, time)`, padded on the right.

    The vocabulary is saved in the configuration of the layer, not in a file with one word per line, because words can contain
    characters that end a line, such as U+0085.

    Args:
        vocabulary: words in the order of their token ids, from 2 on.
        standardize: what the layer does to a text before it splits it.
        split: what separates the tokens.
        name: name of the layer.
    """
    return keras.layers.TextVectorization(
        standardize=standardize, split=split, vocabulary=[str(word) for word in vocabulary], name=name
    )


def require_token(token_ids: Any) -> Any:
    """Replaces padding at the start of a row with the unknown word, so that each row has at least one word.

    Args:
        token_ids: int `(batch, time)`, padded on the right.

    Returns:
        int32 `(batch, time + 1)`, padded on the right.
    """
    token_ids = ops.pad(ops.cast(token_ids, "int32"), [[0, 0], [0, 1]])
    return ops.concatenate([ops.maximum(token_ids[:, :1], UNKNOWN_ID), token_ids[:, 1:]], axis=1)


def truncate(token_ids: Any, max_length: int, head: int = 0) -> Any:
    """Keeps the first `head` words and the last ones of rows that have more than `max_length` words.

    Args:
        token_ids: int32 `(batch, time)`, padded on the right.
        max_length: maximum number of words, at least 1.
        head: number of words from the beginning, in [0, max_length]; the others come from the end.

    Returns:
        int32 `(batch, min(time, max_length))`, padded on the right.
    """
    length = ops.sum(ops.cast(ops.not_equal(token_ids, PADDING_ID), "int32"), axis=1, keepdims=True)
    position = ops.cumsum(ops.ones_like(token_ids[:, :max_length]), axis=1) - 1
    skipped = ops.maximum(length - max_length, 0)
    if head:
        skipped = ops.where(position < head, 0, skipped)
    return ops.take_along_axis(token_ids, position + skipped, axis=1)


def tokenize(tokenizer: Callable[[Any], Any], texts: Sequence[str], prepare: Prepare = tf.identity) -> list[np.ndarray]:
    """Returns the token ids of each text, int32 `(length,)`, without padding, in the order of the texts.

    Args:
        tokenizer: layer or model from strings `(batch,)` to token ids `(batch, time)`, padded on the right.
        texts: the texts.
        prepare: preparation of the texts.
    """
    sequences: list[np.ndarray] = [np.empty(0, np.int32)] * len(texts)
    for indices in batch_by_length(texts):
        token_ids = ops.convert_to_numpy(tokenizer(prepare(tf.constant([texts[k] for k in indices]))))
        for k, row in zip(indices, token_ids, strict=True):
            sequences[k] = row[: np.count_nonzero(row)].astype(np.int32)
    return sequences


def batch_by_length(texts: Sequence[str]) -> Iterator[np.ndarray]:
    """Yields the indices of texts of similar length, shortest first, in batches that need little memory when padded.

    Returns:
        int64 `(batch,)`: at most `MAX_BATCH_TEXTS` texts; one text alone may have more than `MAX_BATCH_CHARACTERS`.
    """
    lengths = np.array([len(text) for text in texts], np.int64)
    order = np.argsort(lengths, kind="stable")
    start = 0
    while start < len(order):
        end = start + 1
        while (
            end < len(order)
            and end - start < MAX_BATCH_TEXTS
            and (end + 1 - start) * lengths[order[end]] <= MAX_BATCH_CHARACTERS
        ):
            end += 1
        yield order[start:end]
        start = end
