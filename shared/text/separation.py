"""One tokenization for all tasks with text, in the TensorFlow graph: raw text in, tokens with one space between them out.

A token is a word, a punctuation mark, a symbol, an emoji, or a character of a script that is written without spaces. All
operations are part of plain TensorFlow, so TensorFlow Serving needs no further library. The steps: bytes to code points, Unicode
normalization form C, removal of invisible characters, spaces between tokens.
"""

from __future__ import annotations

import tensorflow as tf

from shared.text import characters as ch
from shared.text.markup import remove_tags
from shared.text.normalization import compose

SPACE, LINE_FEED, ELLIPSIS = 0x20, 0x0A, "\u2026"


def separate_words(text: tf.Tensor, fold: bool = True, keep_line_ends: bool = False) -> tf.Tensor:
    """Puts exactly one space between tokens, and drops HTML tags and invisible characters.

    Marks such as accents stay with their base character. Joined emoji, flags, and emoji with a skin tone are one token, and
    so is a dash of several hyphens. Apostrophes within a word belong to the word.

    Args:
        text: string tensor of any shape; bytes that are not valid UTF-8 become U+FFFD.
        fold: whether variants of a character become one, for models that do not print text: lower case, ordinary width of
            letters and digits, one apostrophe, one double quotation mark, one dash. ASCII punctuation becomes full-width, because
            Keras's `TextVectorization` drops it otherwise. Hyphens within words are tokens; without `fold`, they belong to the word.
        keep_line_ends: whether a line end is a token, a line feed; otherwise it is a space.

    Returns:
        String tensor of the same shape. "Good.<br />Don't!" becomes "good \uff0e don't \uff01", or "Good . Don't !" without `fold`.
    """
    flat = tf.strings.regex_replace(remove_tags(tf.reshape(text, [-1])), ELLIPSIS, "...")
    if keep_line_ends:
        flat = tf.strings.regex_replace(flat, "\r\n", "\n")
    codes, entries = _read(flat, ch.character_table(fold))
    kinds = tf.bitwise.bitwise_and(entries, ch.KIND)
    is_own = kinds >= ch.LINE_END
    is_break = is_own | _previous(is_own)
    is_special = tf.reduce_any(tf.bitwise.bitwise_and(entries, ch.SPECIAL) > 0)
    codes, kinds, is_break = tf.cond(is_special, lambda: _join(codes, kinds, fold), lambda: (codes, kinds, is_break))
    is_space = kinds == ch.SPACE
    is_line_end = kinds == ch.LINE_END
    if keep_line_ends:
        codes = tf.where(is_line_end, LINE_FEED, codes)
    else:
        is_space |= is_line_end
    is_inserted = is_break & ~is_space & ~_previous(is_space)
    is_kept = ~(is_space & _next(is_space)) | (codes == ch.ROW_START)
    codes = tf.where(is_space & (codes != ch.ROW_START), SPACE, codes)
    codes = tf.boolean_mask(tf.stack([tf.fill(tf.shape(codes), SPACE), codes], 1), tf.stack([is_inserted, is_kept], 1))
    return tf.reshape(tf.strings.regex_replace(_write(codes), "^ +", "", replace_global=False), tf.shape(text))


def normalize(text: tf.Tensor) -> tf.Tensor:
    """Normalizes text that is already separated, or whose characters are the tokens.

    Args:
        text: string tensor of any shape; bytes that are not valid UTF-8 become U+FFFD.

    Returns:
        String tensor of the same shape in Unicode normalization form C, without invisible characters. Each line end is a line feed,
        each other whitespace or control character a space.
    """
    codes, entries = _read(tf.strings.regex_replace(tf.reshape(text, [-1]), "\r\n", "\n"), ch.normalization_table())
    kinds = tf.bitwise.bitwise_and(entries, ch.KIND)
    codes, kinds = _drop_invisible(codes, kinds)
    codes = tf.where((kinds == ch.SPACE) & (codes != ch.ROW_START), SPACE, codes)
    codes = tf.where(kinds == ch.LINE_END, LINE_FEED, codes)
    return tf.reshape(tf.strings.regex_replace(_write(codes), "^ ", "", replace_global=False), tf.shape(text))


def _read(text: tf.Tensor, table: ch.Table) -> tuple[tf.Tensor, tf.Tensor]:
    """Returns the code points of all texts after mapping and composition, and their entries in the table.

    Each text starts with `ROW_START`. Both results are int32 `(characters,)`.
    """
    ragged = tf.strings.unicode_decode(tf.strings.join([" ", text]), "UTF-8", errors="replace")
    starts = ragged.row_splits[:-1]
    codes = tf.tensor_scatter_nd_update(ragged.values, starts[:, None], tf.fill(tf.shape(starts), ch.ROW_START))
    entries = table.lookup(codes)

    def compose_all() -> tuple[tf.Tensor, tf.Tensor]:
        visible, _ = _drop_invisible(codes, tf.bitwise.bitwise_and(entries, ch.KIND))
        composed = compose(visible, table)
        return composed, table.lookup(composed)

    def map_all() -> tuple[tf.Tensor, tf.Tensor]:
        return codes + tf.bitwise.right_shift(entries, ch.MAPPING_SHIFT), entries

    return tf.cond(tf.reduce_any(tf.bitwise.bitwise_and(entries, ch.UNCOMPOSED) > 0), compose_all, map_all)


def _write(codes: tf.Tensor) -> tf.Tensor:
    """Returns the texts of code points, string `(texts,)`; each starts with a space in the place of `ROW_START`."""
    is_start = codes == ch.ROW_START
    splits = tf.concat([tf.where(is_start)[:, 0], [tf.size(codes, tf.int64)]], axis=0)
    ragged = tf.RaggedTensor.from_row_splits(tf.where(is_start, SPACE, codes), splits, validate=False)
    return tf.strings.unicode_encode(ragged, "UTF-8", errors="replace")


def _join(codes: tf.Tensor, kinds: tf.Tensor, fold: bool) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Drops invisible characters, and decides about marks, emoji, apostrophes and hyphens by their neighbors.

    Returns:
        Code points, kinds, and where a token starts after another one, `(remaining characters,)` each.
    """
    codes, kinds = _drop_invisible(codes, kinds)
    previous, following = _previous(kinds, ch.SPACE), _next(kinds, ch.SPACE)
    is_hyphen = kinds == ch.HYPHEN
    is_repeated = is_hyphen & (previous == ch.HYPHEN)
    if fold:
        kinds = tf.where(is_repeated, ch.SPACE, kinds)
    else:
        is_inner = (_previous(_base(kinds), ch.SPACE) == ch.WORD) & (following == ch.WORD)
        is_apostrophe = kinds == ch.APOSTROPHE
        codes = tf.where(is_apostrophe & is_inner, ord("'"), codes)
        kinds = tf.where(is_apostrophe | is_hyphen, tf.where(is_inner, ch.WORD, ch.PUNCTUATION), kinds)
        kinds = tf.where(is_repeated, ch.MARK, kinds)
    is_break = (kinds >= ch.LINE_END) | _previous(_base(kinds) >= ch.LINE_END)
    after_space = (previous == ch.SPACE) | (previous == ch.LINE_END)
    is_attached = ((kinds == ch.MARK) & ~after_space) | (kinds == ch.JOINER) | (previous == ch.JOINER)
    is_attached |= ((kinds == ch.MODIFIER) & (previous == ch.SYMBOL)) | _is_second_of_flag(kinds)
    return codes, kinds, is_break & ~is_attached


def _drop_invisible(codes: tf.Tensor, kinds: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Drops invisible characters, and joiners that do not stand between two emoji."""

    def drop() -> tuple[tf.Tensor, tf.Tensor]:
        indices = tf.where(kinds != ch.INVISIBLE)[:, 0]
        remaining = tf.gather(kinds, indices)
        previous = _previous(remaining, ch.SPACE)
        joins = ((previous == ch.SYMBOL) | (previous == ch.MODIFIER)) & (_next(remaining, ch.SPACE) == ch.SYMBOL)
        indices = tf.boolean_mask(indices, (remaining != ch.JOINER) | joins)
        return tf.gather(codes, indices), tf.gather(kinds, indices)

    is_candidate = (kinds == ch.INVISIBLE) | (kinds == ch.JOINER)
    return tf.cond(tf.reduce_any(is_candidate), drop, lambda: (codes, kinds))


def _base(kinds: tf.Tensor) -> tf.Tensor:
    """Replaces the kind of each mark and joiner with that of the character that it stands on; after a space it is a word."""
    is_base = kinds > ch.JOINER

    def find() -> tf.Tensor:
        positions = tf.where(is_base)[:, 0]
        base = tf.gather(kinds, tf.gather(positions, tf.cumsum(tf.cast(is_base, tf.int32)) - 1))
        return tf.where(~is_base & ((base == ch.SPACE) | (base == ch.LINE_END)), ch.WORD, base)

    return tf.cond(tf.reduce_all(is_base), lambda: kinds, find)


def _is_second_of_flag(kinds: tf.Tensor) -> tf.Tensor:
    """Returns which characters are the second letter of a flag, bool `(characters,)`."""
    is_letter = kinds == ch.REGIONAL

    def find() -> tf.Tensor:
        positions = tf.where(~is_letter)[:, 0]
        before = tf.gather(positions, tf.cumsum(tf.cast(~is_letter, tf.int32)) - 1)
        return is_letter & ((tf.range(tf.size(kinds, tf.int64), dtype=tf.int64) - before) % 2 == 0)

    return tf.cond(tf.reduce_any(is_letter), find, lambda: is_letter)


def _previous(values: tf.Tensor, first: int | bool = False) -> tf.Tensor:
    """Returns the value of the previous character, `first` for the first one."""
    return tf.concat([[first], values[:-1]], axis=0)


def _next(values: tf.Tensor, last: int | bool = True) -> tf.Tensor:
    """Returns the value of the next character, `last` for the last one."""
    return tf.concat([values[1:], [last]], axis=0)
