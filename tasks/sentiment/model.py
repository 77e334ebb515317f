"""The sentiment model: tokenizer, LSTM classifier, n-gram model, and their calibrated mixture. Only stock Keras layers.

text ─ token ids ─┬─ beginning and end ─ embedding ─ LSTM stack ─ mean and maximum ─ logits ─┐
                  └─ n-grams of all words ─────────── one table of weights ───────── logits ─┴─ softmax, or sigmoid if a text has several labels
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from shared.layers.lstm import LSTMStack, masked_max, masked_mean
from shared.text.separation import separate_words
from shared.text.vocabulary import (
    PADDING_ID,
    UNKNOWN_ID,
    build_vectorization,
    fit_vocabulary,
    require_token,
    truncate,
)
from tasks.sentiment.config import SentimentConfig

BATCH_SIZE = 256


def build_tokenizer(texts: Sequence[str], config: SentimentConfig) -> keras.Model:
    """Fits the vocabulary to texts and returns a model from text to token ids.

    Args:
        texts: texts of the training split.
        config: sets the size of the vocabulary and the maximum length.

    Returns:
        A model from strings `(batch,)` to int32 `(batch, time)`: the most frequent word is 2, unknown words are 1, padding on the
        right is 0. Every row has at least one word, and an empty text has the unknown word, so that no length is 0.
    """
    size = max(config.text.ngram_vocabulary_size, config.text.vocabulary_size)
    vectorization = build_vectorization(fit_vocabulary(texts, size, separate_words))
    text = keras.Input((), dtype="string", name="text")
    token_ids = require_token(vectorization(text))
    return keras.Model(text, truncate_middle(token_ids, config.text.ngram_sequence_length), name="tokenizer")


def truncate_middle(token_ids: Any, max_length: int) -> Any:
    """Removes words from the middle of rows that have more than `max_length` words.

    Args:
        token_ids: int32 tensor `(batch, time)`, 0 for padding on the right.
        max_length: maximum number of words, half of them from the beginning and half from the end.

    Returns:
        int32 tensor `(batch, min(time, max_length))`, 0 for padding on the right.
    """
    return truncate(token_ids, max_length, head=max_length // 2)


class LSTMSubmodels:
    """The LSTM classifier as nested models that share their weights; training uses them separately.

    Args:
        config: sizes and regularization.
        classes: number of labels.
        vectors: float32 `(vocabulary_size, embedding_size)`, initial weights of the embedding; None means random weights.

    Attributes:
        embedding: the embedding layer.
        ids_to_vectors: model from token ids `(batch, time)` int32 to embedding vectors `(batch, time, embedding_size)`.
        vectors_to_states: model from `[vectors, mask]` to the hidden states of the stack `(batch, time, output_size)`.
        vectors_to_logits: model from `[vectors, mask]` to logits `(batch, classes)`.
        full_model: model from token ids `(batch, time)` int32, 0 for padding, to logits `(batch, classes)`.
    """

    def __init__(self, config: SentimentConfig, classes: int, vectors: np.ndarray | None = None) -> None:
        size, vocabulary_size = config.model.embedding_size, config.text.vocabulary_size
        token_ids = keras.Input((None,), dtype="int32", name="token_ids")
        known_ids = ops.where(token_ids < vocabulary_size, token_ids, UNKNOWN_ID)
        self.embedding = keras.layers.Embedding(vocabulary_size, size, name="embedding")
        self.ids_to_vectors = keras.Model(token_ids, self.embedding(known_ids), name="ids_to_vectors")
        if vectors is not None:
            self.embedding.set_weights([vectors])

        inputs = [keras.Input((None, size), name="vectors"), keras.Input((None,), dtype="bool", name="mask")]
        embedded, mask = inputs
        states = LSTMStack(config.lstm).sequence(embedded, mask=mask)
        self.vectors_to_states = keras.Model(inputs, states, name="vectors_to_states")
        hidden = keras.layers.SpatialDropout1D(config.model.input_dropout, name="input_dropout")(embedded)
        hidden = self.vectors_to_states([hidden, mask])  # (batch, time, output_size)
        pooled = ops.concatenate([masked_mean(hidden, mask), masked_max(hidden, mask)], axis=-1)
        pooled = keras.layers.Dropout(config.model.output_dropout, name="output_dropout")(pooled)
        logits = keras.layers.Dense(classes, dtype="float32", name="logits")(pooled)
        self.vectors_to_logits = keras.Model(inputs, logits, name="vectors_to_logits")

        logits = self.vectors_to_logits([self.ids_to_vectors(token_ids), ops.not_equal(token_ids, PADDING_ID)])
        self.full_model = keras.Model(token_ids, logits, name="lstm")


def build_classifier(
    tokenizer: keras.Model,
    lstm: keras.Model,
    ngram_model: keras.Model | None,
    mixture_weights: tuple[float, float],
    sequence_length: int,
    is_multilabel: bool = False,
) -> keras.Model:
    """Builds the full model, from strings `(batch,)` to probabilities `(batch, classes)`.

    Args:
        tokenizer: from `build_tokenizer`.
        lstm: `LSTMSubmodels.full_model`.
        ngram_model: from `ngrams.build_ngram_model`, or None.
        mixture_weights: factors of the logits of the LSTM and of the n-gram model; they include the calibration.
        sequence_length: maximum number of words that the LSTM reads.
        is_multilabel: True for a probability of each class by itself, a sigmoid instead of the softmax.
    """
    text = keras.Input((), dtype="string", name="text")
    token_ids = tokenizer(text)
    logits = lstm(truncate_middle(token_ids, sequence_length)) * mixture_weights[0]
    if ngram_model is not None:
        logits = logits + ngram_model(token_ids) * mixture_weights[1]
    activation = (
        keras.layers.Activation("sigmoid", name="probabilities")
        if is_multilabel
        else keras.layers.Softmax(name="probabilities")
    )
    return keras.Model(text, activation(logits), name="sentiment")


def truncate_sequences(sequences: Sequence[np.ndarray], max_length: int) -> list[np.ndarray]:
    """Does the same as `truncate_middle`, for arrays without padding."""
    head, tail = max_length // 2, max_length - max_length // 2
    return [s if len(s) <= max_length else np.concatenate([s[:head], s[-tail:]]) for s in sequences]
