"""Raw text to words, in the graph: what has to happen before a stock `TextVectorization` can split at blanks.

`TextVectorization` lower-cases, drops ASCII punctuation and splits at blanks. Dropping glues words that only
punctuation parts ("good.<br />Then", "bad/boring", "plot...but"), so a blank goes there first.
"""

from __future__ import annotations

import tensorflow as tf

APOSTROPHES = "[\u2018\u2019\u02bc\u00b4`]"
CONTROL = r"[\x00-\x1f\x7f]"
SEPARATORS = (
    r'<[^<>]*>|--+|[.,;:!?/()\[\]{}"*&=|~]|[\x{00A0}\x{2013}-\x{2014}\x{2026}\x{201C}-\x{201F}\x{00AB}\x{00BB}]'
)


def separate_words(text: tf.Tensor) -> tf.Tensor:
    """Makes any bytes valid UTF-8, and puts blanks where words are parted by markup or punctuation alone.

    Args:
        text: string tensor of any shape, any bytes; what is not UTF-8 becomes U+FFFD.

    Returns:
        A string tensor of the same shape, lower-cased over the whole of Unicode.
    """
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf.strings.regex_replace(text, CONTROL, " ")  # first, since `lower` ends a text at a NUL
    text = tf.strings.lower(text, encoding="utf-8")
    text = tf.strings.regex_replace(text, APOSTROPHES, "'")
    return tf.strings.regex_replace(text, SEPARATORS, " ")
