"""Conversion between text, tokens and token ids, in the TensorFlow graph: training and serving use the same operations.

A token is a word or a character (`--text.unit`); docstrings say word for both. Token ids: 0 padding, 1 the unknown word, 2 the
end of a line, then the words by falling frequency in the training split. A text starts at the beginning of a line, so `END_ID`
stands before its first word.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from functools import partial
from typing import Literal

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from shared.decoding import generation
from shared.text import vocabulary as text_vocabulary
from shared.text.characters import unspaced_ranges
from shared.text.separation import normalize, separate_words
from shared.text.vocabulary import batch_by_length, tokenize, truncate
from tasks.next_word.config import TextConfig

PADDING_ID, UNKNOWN_ID, END_ID = text_vocabulary.PADDING_ID, text_vocabulary.UNKNOWN_ID, 2
FIRST_WORD_ID = END_ID + 1
"""Smaller token ids are special tokens, which are never suggested."""
SPECIAL_TOKENS = {"word": ("<unk>", "<eos>"), "character": ("\ufffd", "\n")}
"""Strings for the unknown word and for the end of a line, by unit."""
MAX_PROMPT_TOKENS = 1000
"""Maximum number of tokens of a prompt that the model reads: the last ones."""
SPACE_BEFORE = r" ([.,;:!?%\p{Pe}\x{2019}\x{201d}\x{060c}\x{061b}\x{061f}\x{06d4}\x{0964}\x{0965}])"
"""Punctuation that follows a word without a space, also in Arabic and Hindi."""
SPACE_AFTER = r"([$\x{00a3}\x{00a1}\x{00bf}\p{Ps}\x{2018}\x{201c}]) "
"""Punctuation that is followed by a word without a space."""
WIDE_PUNCTUATION = r"\x{3001}-\x{3003}\x{3008}-\x{3011}\x{3014}-\x{301f}\x{30fb}\x{ff01}-\x{ff0f}\x{ff1a}-\x{ff20}\x{ff3b}-\x{ff40}\x{ff5b}-\x{ff65}"
"""Ranges of punctuation that is as wide as an ideograph; the other punctuation of such texts follows."""
OPENING, CLOSING = r"\x{2018}\x{201c}\x{2014}", r"\x{2019}\x{201d}\x{2014}"
SPACED_QUOTES = r'" ([^"\n]*[^"\n ]) "'


def separate_tokens(text: tf.Tensor, unit: str, pretokenized: bool) -> tf.Tensor:
    """Puts exactly one space between words (see `separate_words`), and replaces line ends with `<eos>`.

    If the unit is "character", it only normalizes the characters (see `normalize`), and line ends stay line feeds.

    Args:
        text: string tensor of any shape; bytes that are not valid UTF-8 become U+FFFD.
        unit: "word" or "character".
        pretokenized: True if whitespace already separates all words; then characters are only normalized.
    """
    line_end = SPECIAL_TOKENS[unit][1]
    if unit == "character":
        return normalize(text)
    if pretokenized:
        text = tf.strings.regex_replace(normalize(text), "\n", f" {line_end} ")
        return tf.strings.strip(tf.strings.regex_replace(text, " +", " "))
    return tf.strings.regex_replace(separate_words(text, fold=False, keep_line_ends=True), "\n", line_end)


def join_tokens(tokens: tf.Tensor, unit: str, pretokenized: bool) -> tf.Tensor:
    """Joins tokens to a readable text, the inverse of `separate_tokens`.

    Characters of scripts without spaces between words have no spaces between them.

    Args:
        tokens: string tensor `(batch, time)`, "" for padding.
        unit: "word" or "character".
        pretokenized: as for `separate_tokens`; then the spaces around punctuation remain.

    Returns:
        String tensor `(batch,)`.
    """
    if unit == "character":
        return tf.strings.reduce_join(tokens, axis=1)
    text = tf.strings.reduce_join(tokens, axis=1, separator=" ")
    text = tf.strings.regex_replace(text, f" *{SPECIAL_TOKENS[unit][1]} *", "\n")
    if not pretokenized:
        text = tf.strings.regex_replace(text, SPACE_BEFORE, r"\1")
        text = tf.strings.regex_replace(text, SPACE_AFTER, r"\1")
        text = tf.strings.regex_replace(text, SPACED_QUOTES, r'"\1"')
        text = _join_unspaced(text)
    return tf.strings.regex_replace(text, " +$", "")


def _join_unspaced(text: tf.Tensor) -> tf.Tensor:
    """Removes the spaces between characters of scripts that are written without spaces, and around their punctuation."""
    wide = unspaced_ranges() + WIDE_PUNCTUATION
    for _ in range(2):  # a match cannot begin with the last character of the match before
        text = tf.strings.regex_replace(text, rf"([{wide}]\p{{M}}*) ([{wide}{OPENING}])", r"\1\2")
    return tf.strings.regex_replace(text, rf"([{CLOSING}]) ([{wide}])", r"\1\2")


def build_vocabulary(texts: Iterable[str], config: TextConfig) -> list[str]:
    """Returns the end of a line, then the words of the training texts by falling frequency.

    Words that occur fewer than `min_count` times are not in the vocabulary, so that the training split has unknown words and the
    model learns their probability. A text that marks unknown words itself has them already; then `min_count` is 1.
    """
    counts: Counter[str] = Counter()
    texts = list(texts)
    for indices in batch_by_length(texts):
        batch = tf.constant([texts[k] for k in indices])
        for encoded in separate_tokens(batch, config.unit, config.pretokenized).numpy():
            text = encoded.decode()
            counts.update(text.split(" ") if config.unit == "word" else text)
    unknown, end = SPECIAL_TOKENS[config.unit]
    min_count = 1 if counts[unknown] > 0 else config.min_count
    words = sorted(
        (word for word, count in counts.items() if count >= min_count), key=lambda word: (-counts[word], word)
    )
    excluded = ("", "[UNK]", SPECIAL_TOKENS["character"][0], unknown, end)
    words = [word for word in words if word not in excluded]
    return [end, *words[: config.vocabulary_size]]


def build_vectorization(vocabulary: Sequence[str], unit: str) -> keras.layers.TextVectorization:
    """Returns the layer from separated text `(batch,)` to token ids `(batch, time)`, padded on the right."""
    split: Literal["whitespace", "character"] = "whitespace" if unit == "word" else "character"
    return text_vocabulary.build_vectorization(vocabulary, standardize=None, split=split, name="vectorization")


def prepend_line_end(token_ids: keras.KerasTensor) -> keras.KerasTensor:
    """Puts `END_ID` before the token ids `(batch, time)`, so that every row has at least one token."""
    token_ids = ops.cast(token_ids, "int32")
    end = ops.zeros_like(ops.sum(token_ids, axis=1, keepdims=True)) + END_ID
    return ops.concatenate([end, token_ids], axis=1)


def truncate_start(token_ids: keras.KerasTensor, max_length: int = MAX_PROMPT_TOKENS) -> keras.KerasTensor:
    """Keeps the last `max_length` token ids of each row `(batch, time)`; 0 is padding on the right."""
    return truncate(token_ids, max_length)


def mask_special_tokens(log_probabilities: tf.Tensor, allow_line_end: bool = False) -> tf.Tensor:
    """Makes padding, the unknown word and the end of a line impossible.

    Args:
        log_probabilities: values for all token ids, `(batch, vocabulary_size)`.
        allow_line_end: keep the end of a line possible.
    """
    token_id = tf.range(tf.shape(log_probabilities)[-1])
    is_allowed = token_id >= FIRST_WORD_ID
    if allow_line_end:
        is_allowed |= token_id == END_ID
    return tf.where(is_allowed, log_probabilities, generation.IMPOSSIBLE)


def encode_stream(texts: Sequence[str], vocabulary: Sequence[str], config: TextConfig) -> np.ndarray:
    """Returns the token ids of all texts as one stream, int32 `(tokens,)`: `END_ID` is at its start and after each text."""
    prepare = partial(separate_tokens, unit=config.unit, pretokenized=config.pretokenized)
    end = np.array([END_ID], np.int32)
    pieces = [end]
    for token_ids in tokenize(build_vectorization(vocabulary, config.unit), texts, prepare):
        pieces += [token_ids, end]
    return np.concatenate(pieces)
