"""Completion of a begun word: the signature `complete`, and the command `lstm-suite complete`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from shared.decoding.generation import IMPOSSIBLE

SPACE_AT_END = r"(?s)(?:.*\s)?"
LAST_WORD = r"(?s)^(?:.* )?([^ ]*)$"
BEFORE_LAST_WORD = r"(?s)(?:^| )[^ ]*$"


def complete(
    text: tf.Tensor,
    separate: Callable[[tf.Tensor], tf.Tensor],
    next_word: Callable[[tf.Tensor], tf.Tensor],
    vocabulary: tf.Tensor,
    k: tf.Tensor,
    limit: int,
) -> dict[str, tf.Tensor]:
    """Returns the most probable words that begin like the last word of each text, after the words before it.

    After whitespace, every word begins like the last one, which is empty.

    Args:
        text: strings of any bytes `(batch,)`.
        separate: function from texts to texts with one space between words.
        next_word: function from separated texts to log-probabilities of the next word `(batch, vocabulary_size)`, `IMPOSSIBLE` for
            special tokens.
        vocabulary: strings `(vocabulary_size,)`.
        k: number of words per text, int32 `(batch,)`.
        limit: maximum of `k`.

    Returns:
        `words` strings and `probabilities` float32 `(batch, max(k))`, among all words that begin so; "" and 0 where there are fewer.
    """
    separated = separate(text)
    has_ended = tf.strings.regex_full_match(text, SPACE_AT_END)
    begun = tf.where(has_ended, "", tf.strings.regex_replace(separated, LAST_WORD, r"\1"))
    before = tf.where(has_ended, separated, tf.strings.regex_replace(separated, BEFORE_LAST_WORD, ""))
    matches = _begins_with(vocabulary, begun)
    logits = tf.where(matches, next_word(before), IMPOSSIBLE)
    values, token_ids = tf.math.top_k(tf.nn.softmax(logits, axis=1), tf.minimum(tf.reduce_max(k), limit))
    mask = (tf.range(tf.shape(values)[1])[None] < k[:, None]) & (
        tf.gather(logits, token_ids, batch_dims=1) > IMPOSSIBLE
    )
    return {
        "words": tf.where(mask, tf.gather(vocabulary, token_ids), ""),
        "probabilities": tf.where(mask, values, 0.0),
    }


def _begins_with(words: tf.Tensor, begun: tf.Tensor) -> Any:
    """Returns whether each word begins with each of the strings, boolean `(strings, words)`."""
    sizes = tf.strings.length(begun)

    def compare(arguments: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
        start, size = arguments
        starts = tf.strings.substr(words, tf.zeros_like(words, tf.int32), tf.fill(tf.shape(words), size))
        return starts == start

    return tf.map_fn(compare, (begun, sizes), fn_output_signature=tf.TensorSpec(words.shape, tf.bool))
