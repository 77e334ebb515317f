"""Preparation of raw text in the TensorFlow graph, so that Keras's `TextVectorization` can split it at whitespace.

`TextVectorization` lower-cases a text, drops ASCII punctuation and splits at whitespace. On raw text it would join words that
only punctuation separates ("good.<br />Then", "bad/boring", "plot...but") and drop the punctuation, which carries meaning. This
module therefore inserts spaces and replaces each punctuation character with its full-width form, which `TextVectorization` keeps:
the character becomes a token of its own.
"""

from __future__ import annotations

import tensorflow as tf

CONTROL = r"[\x00-\x1f\x7f-\x{009f}\x{2028}\x{2029}]"
"""Control characters, and the Unicode line separators: a vocabulary file has one word per line."""
APOSTROPHES = "[\u2018\u2019\u02bc\u00b4`]"
QUOTES = "[\u201c-\u201f\u00ab\u00bb]"
DASHES = "--+|[\u2012-\u2015]"
SEPARATORS = r"<[^<>]*>|[\[\]{}&=|~#$%+<>@\\^_\x{00A0}]"
"""HTML tags and symbols that become a space."""
PUNCTUATION = '.,!?;:()"-/*'
"""Characters that become tokens."""
FULL_WIDTH_OFFSET = 0xFEE0
"""Distance from the code point of an ASCII character to that of its full-width form."""


def separate_words(text: tf.Tensor) -> tf.Tensor:
    """Converts any bytes to valid UTF-8, drops HTML tags, lower-cases, and puts spaces around punctuation.

    Args:
        text: string tensor of any shape; bytes that are not valid UTF-8 become U+FFFD.

    Returns:
        String tensor of the same shape. "Good.<br />Then" becomes "good \uff0e  then", with the full-width period. Letters of
        all scripts are lower-cased.
    """
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf.strings.regex_replace(text, CONTROL, " ")  # before `lower`, which ends a text at a NUL character
    text = tf.strings.lower(text, encoding="utf-8")
    text = tf.strings.regex_replace(text, APOSTROPHES, "'")
    text = tf.strings.regex_replace(text, QUOTES, '"')
    text = tf.strings.regex_replace(text, DASHES, " - ")
    text = tf.strings.regex_replace(text, SEPARATORS, " ")
    for character in PUNCTUATION:
        text = tf.strings.regex_replace(text, "\\" + character, f" {chr(ord(character) + FULL_WIDTH_OFFSET)} ")
    return text
