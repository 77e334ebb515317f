"""Text to words and back, in the graph: what is read in training is what is read behind a server.

A text is read from the beginning of a line, so before its first word stands `END`, the end of a line. Numbers: 0 padding,
1 the unknown word, 2 the end of a line, then words by falling frequency.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from tasks.next_word.config import TextConfig

PADDING, UNKNOWN, END = 0, 1, 2
FIRST_WORD = END + 1
"""Numbers below are never suggested."""
NAMES = {"word": ("<unk>", "<eos>"), "character": ("\ufffd", "\n")}
"""How the unknown word and the end of a line are written."""
LONGEST = 1000
"""Words that are read of a longer text when it is continued: the last ones."""
BATCH = 256
CONTROL = r"[\x00-\x09\x0b-\x1f\x7f-\x{009f}]"
LINES = r"\r\n|\r|[\x{2028}\x{2029}\x0b\x0c\x{0085}]"
APART = r"([^\p{L}\p{N}\p{M}_'\x{2019}\s-]|--+)"
CLOSING = r" ([.,;:!?%)\]}\x{201d}])"
OPENING = r"([(\[{$\x{201c}]) "
QUOTED = r'" ([^"\n]*[^"\n ]) "'


def separated(text: tf.Tensor, unit: str, pretokenized: bool) -> tf.Tensor:
    """Puts one blank between words, and `<eos>` for the end of a line; of characters, leaves all but line ends as it is.

    Args:
        text: string tensor of any shape, any bytes; what is not UTF-8 becomes U+FFFD.
        unit: "word" or "character".
        pretokenized: blanks part the words already.
    """
    text = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
    text = tf.strings.regex_replace(text, LINES, "\n")
    text = tf.strings.regex_replace(text, CONTROL, " ")
    if unit == "character":
        return text
    if not pretokenized:
        text = tf.strings.regex_replace(text, APART, r" \1 ")
    text = tf.strings.regex_replace(text, "\n", f" {NAMES[unit][1]} ")
    return tf.strings.strip(tf.strings.regex_replace(text, r"[\s\x{00a0}]+", " "))


def joined(words: tf.Tensor, unit: str, pretokenized: bool) -> tf.Tensor:
    """Returns text of words `(batch, words)`, "" for none, as a reader would have it: the opposite of `separated`."""
    if unit == "character":
        return tf.strings.reduce_join(words, axis=1)
    text = tf.strings.reduce_join(words, axis=1, separator=" ")
    text = tf.strings.regex_replace(text, f" *{NAMES[unit][1]} *", "\n")
    if not pretokenized:
        text = tf.strings.regex_replace(text, CLOSING, r"\1")
        text = tf.strings.regex_replace(text, OPENING, r"\1")
        text = tf.strings.regex_replace(text, QUOTED, r'"\1"')
    return tf.strings.regex_replace(text, " +$", "")


def vocabulary_of(texts: Iterable[str], config: TextConfig) -> list[str]:
    """Returns the known words of training texts by falling frequency, after the end of a line.

    Some training words are always unknown, those that come but once or are marked so: of the unknown word a model must
    learn how likely it is.
    """
    counts: Counter[str] = Counter()
    for part in _batches(list(texts)):
        for text in separated(tf.constant(part), config.unit, config.pretokenized).numpy():
            known = text.decode()
            counts.update(known.split(" ") if config.unit == "word" else known)
    marked = counts[NAMES[config.unit][0]] > 0  # a text that marks unknown words itself has counted them already
    fewest = 1 if marked else config.fewest
    kept = sorted((word for word, count in counts.items() if count >= fewest), key=lambda word: (-counts[word], word))
    kept = [word for word in kept if word not in ("", "[UNK]", NAMES["character"][0], *NAMES[config.unit])]
    return [NAMES[config.unit][1], *kept[: config.vocabulary_size]]


def vectorization_of(vocabulary: Sequence[str], unit: str) -> keras.layers.TextVectorization:
    """Returns the layer from separated text to word token_ids `(batch, words)`, padded on the right."""
    return keras.layers.TextVectorization(
        standardize=None,
        split="whitespace" if unit == "word" else "character",
        vocabulary=list(vocabulary),
        name="words",
    )


def from_line_start(token_ids: keras.KerasTensor) -> keras.KerasTensor:
    """Puts `END` before the token_ids `(batch, words)`, so that every row has a word."""
    token_ids = ops.cast(token_ids, "int32")
    begin = ops.zeros_like(ops.sum(token_ids, axis=1, keepdims=True)) + END
    return ops.concatenate([begin, token_ids], axis=1)


def tail(token_ids: keras.KerasTensor, limit: int = LONGEST) -> keras.KerasTensor:
    """Keeps the last `limit` token_ids of each row `(batch, words)`, 0 being padding on the right."""
    length = ops.sum(ops.cast(ops.not_equal(token_ids, PADDING), "int32"), axis=1, keepdims=True)
    position = ops.cumsum(ops.ones_like(token_ids[:, :limit]), axis=1) - 1
    return ops.take_along_axis(token_ids, position + ops.maximum(length - limit, 0), axis=1)


def stream_of(texts: Sequence[str], vocabulary: Sequence[str], config: TextConfig) -> np.ndarray:
    """Returns all texts as one stream of word token_ids, int32 `(words,)`, each text ended by `END`."""
    layer = vectorization_of(vocabulary, config.unit)
    parts = [np.array([END], np.int32)]
    for batch in _batches(texts):
        token_ids = layer(separated(tf.constant(batch), config.unit, config.pretokenized)).numpy()
        for row in token_ids:
            kept = row[row != PADDING]
            parts += [kept, np.array([END], np.int32)]
    return np.concatenate(parts).astype(np.int32)


def _batches(texts: Sequence[str]) -> Iterator[list[str]]:
    """Yields the texts in their order, so many at a time that padding them to the longest takes little memory."""
    batch: list[str] = []
    longest = 0
    for text in texts:
        longest = max(longest, len(text))
        if batch and ((len(batch) + 1) * longest > 1 << 20 or len(batch) == BATCH):
            yield batch
            batch, longest = [], len(text)
        batch.append(text)
    if batch:
        yield batch
