"""Raw text to words, in the graph: what has to happen before a stock `TextVectorization` can split at blanks.

`TextVectorization` lower-cases, drops ASCII punctuation and splits at blanks. So words that only punctuation parts
("good.<br />Then", "bad/boring", "plot...but") would be glued, and the marks, which carry meaning, would be lost. Here
a blank goes between, and each mark becomes its full-width form, a word of its own which the layer leaves alone.
"""

from __future__ import annotations

import tensorflow as tf

CONTROL = (
    r"[\x00-\x1f\x7f-\x{009f}\x{2028}\x{2029}]"  # and the separators of lines, which a list of words must not hold
)
APOSTROPHES = "[\u2018\u2019\u02bc\u00b4`]"
QUOTES = "[\u201c-\u201f\u00ab\u00bb]"
DASHES = "--+|[\u2012-\u2015]"
BLANKS = r"<[^<>]*>|[\[\]{}&=|~#$%+<>@\\^_\x{00A0}]"
MARKS = '.,!?;:()"-/*'
FULL_WIDTH = 0xFEE0  # from an ASCII mark to its full-width form in Unicode


def separate_words(text: tf.Tensor) -> tf.Tensor:
    """Makes any bytes valid UTF-8, drops markup, and puts blanks between words and marks.

    Args:
        text: string tensor of any shape, any bytes; what is not UTF-8 becomes U+FFFD.

    Returns:
        A string tensor of the same shape, lower-cased over the whole of Unicode: "Good.<br />Then" becomes
        "good \uff0e  then", with the full-width stop.
    """
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf.strings.regex_replace(text, CONTROL, " ")  # first, since `lower` ends a text at a NUL
    text = tf.strings.lower(text, encoding="utf-8")
    text = tf.strings.regex_replace(text, APOSTROPHES, "'")
    text = tf.strings.regex_replace(text, QUOTES, '"')
    text = tf.strings.regex_replace(text, DASHES, " - ")
    text = tf.strings.regex_replace(text, BLANKS, " ")
    for mark in MARKS:
        text = tf.strings.regex_replace(text, "\\" + mark, f" {chr(ord(mark) + FULL_WIDTH)} ")
    return text
