"""Unicode normalization form C in the TensorFlow graph (Unicode Standard Annex 15), made of operations of plain TensorFlow."""

from __future__ import annotations

import tensorflow as tf

from shared.text.characters import COMBINES, DOTTED_I, MAPPING_SHIFT, Composition, Table, composition

HANGUL_FIRST, HANGUL_SECOND, HANGUL_THIRD, HANGUL_SYLLABLE = 0x1100, 0x1161, 0x11A7, 0xAC00
"""Start of the first, second and third parts of Hangul syllables, and of the syllables."""
SECONDS, THIRDS, FIRSTS = 21, 28, 19


def compose(codes: tf.Tensor, mapping: Table) -> tf.Tensor:
    """Maps code points and normalizes them to form C.

    Args:
        codes: code points, int32 `(characters,)`, of one or more texts that each start with `ROW_START`.
        mapping: from `character_table`; it applies between decomposition and composition.

    Returns:
        int32 `(composed characters,)`.
    """
    tables = composition()

    def apply_mapping(codes: tf.Tensor) -> tf.Tensor:
        return codes + tf.bitwise.right_shift(mapping.lookup(codes), MAPPING_SHIFT)

    def normalize() -> tf.Tensor:
        mapped = apply_mapping(_decompose(tables, codes))
        return _compose(tables, *_sort_marks(mapped, tables.combining_class.lookup(mapped)))

    mapped = apply_mapping(codes)
    combining_class = tables.combining_class.lookup(mapped)
    is_changed = (combining_class >= COMBINES) | _is_unsorted(combining_class) | (codes == DOTTED_I)
    return tf.cond(tf.reduce_any(is_changed), normalize, lambda: mapped)


def _decompose(tables: Composition, codes: tf.Tensor) -> tf.Tensor:
    parts = tf.gather(tf.constant(tables.parts), tables.decomposition.lookup(codes))  # (characters, 4)
    parts = tf.concat([tf.where(parts[:, :1] == 0, codes[:, None], parts[:, :1]), parts[:, 1:]], axis=1)
    is_part = tf.concat([tf.ones_like(parts[:, :1], tf.bool), parts[:, 1:] > 0], axis=1)
    return tf.boolean_mask(parts, is_part)


def _is_unsorted(combining_class: tf.Tensor) -> tf.Tensor:
    """Returns which marks have a lower combining class than the mark before them, bool `(characters,)`."""
    classes = tf.bitwise.bitwise_and(combining_class, COMBINES - 1)
    return tf.concat([[False], (classes[1:] > 0) & (classes[1:] < classes[:-1])], axis=0)


def _sort_marks(codes: tf.Tensor, combining_class: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Sorts the marks of each character by combining class; marks of equal class keep their order."""

    def sort() -> tuple[tf.Tensor, tf.Tensor]:
        classes = tf.bitwise.bitwise_and(combining_class, COMBINES - 1)
        order = tf.argsort(tf.cumsum(tf.cast(classes == 0, tf.int32)) * COMBINES + classes, stable=True)
        return tf.gather(codes, order), tf.gather(combining_class, order)

    return tf.cond(tf.reduce_any(_is_unsorted(combining_class)), sort, lambda: (codes, combining_class))


def _compose(tables: Composition, codes: tf.Tensor, combining_class: tf.Tensor) -> tf.Tensor:
    shape = tf.TensorShape([None])
    codes, _, _ = tf.while_loop(
        lambda codes, combining_class, changed: changed,
        lambda codes, combining_class, changed: _compose_once(tables, codes, combining_class),
        (codes, combining_class, True),
        shape_invariants=(shape, shape, tf.TensorShape([])),
    )
    return codes


def _compose_once(
    tables: Composition, codes: tf.Tensor, combining_class: tf.Tensor
) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
    """Composes each starter with the first character after it that combines with it; returns whether there was one.

    A starter is a character of class 0. A character is blocked from its starter by one of its own class between them.
    """
    classes = tf.bitwise.bitwise_and(combining_class, COMBINES - 1)
    starters = tf.where(classes == 0)[:, 0]
    rank = tf.cumsum(tf.cast(classes == 0, tf.int32), exclusive=True) - 1  # of the starter before each character
    positions = tf.where((combining_class >= COMBINES) & (rank >= 0))[:, 0]  # of characters that may combine
    rank = tf.gather(rank, positions)
    before = tf.gather(starters, rank)
    previous_class = tf.gather(classes, positions - 1)
    is_free = (before == positions - 1) | ((previous_class > 0) & (previous_class < tf.gather(classes, positions)))
    composed = _composed_pairs(tables, tf.gather(codes, before), tf.gather(codes, positions))
    candidates = tf.where(is_free & (composed > 0))[:, 0]  # indices of `positions`
    first = tf.math.unsorted_segment_min(candidates, tf.gather(rank, candidates), tf.size(starters))
    chosen = tf.boolean_mask(candidates, tf.gather(first, tf.gather(rank, candidates)) == candidates)
    targets = tf.gather(before, chosen)
    codes = tf.tensor_scatter_nd_update(codes, targets[:, None], tf.gather(composed, chosen))
    is_absorbed = tf.scatter_nd(tf.gather(positions, chosen)[:, None], tf.ones_like(chosen), tf.shape(codes, tf.int64))
    remaining = tf.where(is_absorbed == 0)[:, 0]
    return tf.gather(codes, remaining), tf.gather(combining_class, remaining), tf.size(chosen) > 0


def _composed_pairs(tables: Composition, first: tf.Tensor, second: tf.Tensor) -> tf.Tensor:
    """Returns the composition of two code points each, int32 `(characters,)`, 0 for none."""
    key = tf.cast(first, tf.int64) * 2**21 + tf.cast(second, tf.int64)
    index = tf.minimum(tf.searchsorted(tf.constant(tables.pairs), key), len(tables.pairs) - 1)
    result = tf.where(
        tf.gather(tf.constant(tables.pairs), index) == key, tf.gather(tf.constant(tables.composed), index), 0
    )
    lead, vowel, syllable, tail = (
        first - HANGUL_FIRST,
        second - HANGUL_SECOND,
        first - HANGUL_SYLLABLE,
        second - HANGUL_THIRD,
    )
    is_open = (lead >= 0) & (lead < FIRSTS) & (vowel >= 0) & (vowel < SECONDS)
    result = tf.where(is_open, HANGUL_SYLLABLE + (lead * SECONDS + vowel) * THIRDS, result)
    is_closed = (syllable >= 0) & (syllable < FIRSTS * SECONDS * THIRDS) & (syllable % THIRDS == 0)
    return tf.where(is_closed & (tail > 0) & (tail < THIRDS), first + tail, result)
