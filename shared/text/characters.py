"""What the tokenization knows about each character: tables made of Python's Unicode database, for lookup in the graph.

The tables are constants of an exported graph, so a served model reads a text exactly as the training did, whatever Unicode version
the server's libraries have.
"""

from __future__ import annotations

import sys
import unicodedata
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import tensorflow as tf

CODE_POINTS = sys.maxunicode + 1
PAGE = 256
"""Code points per page of a table; equal pages are stored once."""

(
    MARK,
    JOINER,
    INVISIBLE,
    APOSTROPHE,
    SPACE,
    WORD,
    LINE_END,
    PUNCTUATION,
    SYMBOL,
    UNSPACED,
    MODIFIER,
    REGIONAL,
    HYPHEN,
) = range(13)
"""Kinds of characters. A word consists of `WORD` and `MARK` characters; the kinds from `LINE_END` on are tokens of their own. The kinds
before `SPACE` and after `UNSPACED` depend on the neighbors: a mark belongs to the character before it, `JOINER` joins emoji,
`INVISIBLE` characters are dropped, `MODIFIER` is the skin tone of an emoji, `REGIONAL` a letter of a flag; `APOSTROPHE` and `HYPHEN`
belong to the word in which they stand. `UNSPACED` is a character of a script that is written without spaces between words."""
KIND, UNCOMPOSED, SPECIAL, MAPPING_SHIFT = 15, 16, 32, 6
"""Bits of an entry of `character_table`: the kind; whether `normalization.compose` may change the text; whether the kind depends on the
neighbors. The bits above are the mapped code point minus the code point."""
ROW_START = CODE_POINTS
"""Number that marks the start of a text among code points, a kind of `SPACE`."""
COMBINES = 256
"""Bit of `Composition.combining_class`: the character is not in normalization form C, or may combine with the one before it."""

MAPPED_KINDS = {"Zs": SPACE, "Zl": LINE_END, "Zp": LINE_END, "Cc": SPACE, "Cf": INVISIBLE}
VISIBLE_FORMATS = (range(0x600, 0x606), (0x6DD, 0x70F, 0x890, 0x891, 0x8E2, 0x110BD, 0x110CD), range(0x13430, 0x13460))
"""Characters of category Cf that are visible, such as signs before Arabic numbers."""
INVISIBLE_CHARACTERS = (0x34F, *range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0000, 0xE1000))
"""Other invisible characters: the grapheme joiner, variation selectors, and tags."""
INVISIBLE_LETTERS = (0x3164, 0xFFA0)
"""Letters without a glyph."""
LINE_ENDS = (0x0A, 0x0B, 0x0C, 0x0D, 0x85)
EMOJI_BLOCKS = range(0x1F000, 0x1FB00)
IDEOGRAPHIC_PLANES = range(0x20000, 0x40000)
"""Blocks whose unassigned code points get the kind of their neighbors, for characters of later Unicode versions."""
UNSPACED_NAMES = (
    "CJK UNIFIED",
    "CJK COMPATIBILITY IDEOGRAPH",
    "IDEOGRAPHIC",
    "VERTICAL IDEOGRAPHIC",
    "HANGZHOU",
    "HIRAGANA",
    "HENTAIGANA",
    "KATAKANA",
    "HALFWIDTH KATAKANA",
    "BOPOMOFO",
    "THAI ",
    "LAO ",
    "KHMER ",
    "MYANMAR ",
    "TAI ",
    "NEW TAI LUE",
    "YI ",
    "NUSHU",
    "TANGUT",
)
"""Beginnings of the names of letters in scripts without spaces between words; Python knows no names of Tangut letters."""

APOSTROPHES = "'\u2018\u2019\u02bc\u00b4`"
QUOTES = "\u201c\u201d\u201e\u201f\u00ab\u00bb"
DASHES = "\u2012\u2013\u2014\u2015"
HYPHENS = "-\u2010\u2011"
DOTTED_I = 0x130
"""The only character whose lower case is two characters."""
FULL_WIDTH_OFFSET = 0xFEE0
"""Distance from the code point of an ASCII character to that of its full-width form."""


class Table:
    """A value for each code point, in pages, so that equal parts of the code space need memory once.

    Args:
        values: integers `(0x110000,)`.
        row_start: value of `ROW_START`.
    """

    def __init__(self, values: np.ndarray, row_start: int = 0) -> None:
        values = np.append(values, np.full(PAGE, row_start))
        pages, index = np.unique(values.reshape(-1, PAGE), axis=0, return_inverse=True)
        self.index, self.values = index.reshape(-1).astype(np.int32) * PAGE, pages.reshape(-1).astype(np.int32)

    def lookup(self, codes: tf.Tensor) -> tf.Tensor:
        """Returns the values of code points, int32, in the shape of `codes`."""
        start = tf.gather(tf.constant(self.index), tf.bitwise.right_shift(codes, 8))
        return tf.gather(tf.constant(self.values), start + tf.bitwise.bitwise_and(codes, PAGE - 1))


@dataclass(frozen=True)
class Composition:
    """Tables of canonical composition (Unicode Standard Annex 15)."""

    needed: np.ndarray
    """Whether a text with the code point may not be in normalization form C, bool `(0x110000,)`."""
    combining_class: Table
    """Canonical combining class, plus `COMBINES`."""
    decomposition: Table
    """Row of a code point in `parts`; 0 for none."""
    parts: np.ndarray
    """Code points of each full decomposition, int32 `(decompositions, 4)`, 0 for none."""
    pairs: np.ndarray
    """First code point x 2^21 + second code point of each composition, int64 `(pairs,)`, sorted."""
    composed: np.ndarray
    """Code point of each composition, int32 `(pairs,)`."""


@lru_cache(maxsize=1)
def categories() -> tuple[str, ...]:
    """Returns the Unicode category of each code point."""
    return tuple(unicodedata.category(chr(code)) for code in range(CODE_POINTS))


@lru_cache(maxsize=1)
def kinds() -> np.ndarray:
    """Returns the kind of each code point, int32 `(0x110000,)`."""
    result = np.full(CODE_POINTS, WORD, np.int32)
    for code, category in enumerate(categories()):
        if category in MAPPED_KINDS:
            result[code] = MAPPED_KINDS[category]
        elif category[0] == "M":
            result[code] = MARK
        elif category[0] == "P":
            result[code] = PUNCTUATION
        elif category[0] == "S" or (category == "Cn" and code in EMOJI_BLOCKS):
            result[code] = SYMBOL
        elif _is_unspaced(code, category):
            result[code] = UNSPACED
    for codes in VISIBLE_FORMATS:
        result[list(codes)] = WORD
    result[list(INVISIBLE_CHARACTERS)], result[list(INVISIBLE_LETTERS)], result[list(LINE_ENDS)] = (
        INVISIBLE,
        SPACE,
        LINE_END,
    )
    result[0x200D], result[0xFFFD] = JOINER, WORD  # U+FFFD stands for an unreadable character, mostly a letter
    result[0x1F3FB:0x1F400], result[0x1F1E6:0x1F200] = MODIFIER, REGIONAL
    return result


def _is_unspaced(code: int, category: str) -> bool:
    if category == "Cn":
        return code in IDEOGRAPHIC_PLANES
    return category in ("Lo", "Lm", "Nl") and unicodedata.name(chr(code), "TANGUT").startswith(UNSPACED_NAMES)


@lru_cache(maxsize=1)
def unspaced_ranges() -> str:
    """Returns the characters of scripts without spaces between words as ranges for a character class of a regular expression."""
    codes = np.flatnonzero(kinds() == UNSPACED)
    first, last = codes[np.diff(codes, prepend=-2) > 1], codes[np.diff(codes, append=CODE_POINTS + 1) > 1]
    return "".join(f"{chr(start)}-{chr(end)}" for start, end in zip(first.tolist(), last.tolist(), strict=True))


@lru_cache(maxsize=2)
def character_table(fold: bool) -> Table:
    """Returns the table of what a character becomes, its kind, and whether it needs `normalization.compose`.

    Args:
        fold: whether variants of a character become one (see `separation.separate_words`).

    Returns:
        Table whose entries consist of the bits above.
    """
    kind, new, needed = kinds().copy(), np.arange(CODE_POINTS), composition().needed.copy()
    if fold:
        new, needed = _folded(), needed | _needed_after_folding()
        kind[ord("'")], kind[ord("-") + FULL_WIDTH_OFFSET] = WORD, HYPHEN
        kind = kind[new]
    else:
        new[[ord(character) for character in HYPHENS]] = ord("-")
        kind[[ord(character) for character in HYPHENS]] = HYPHEN
        kind[ord("'")], kind[0x2019] = WORD, APOSTROPHE
    is_special = (kind < SPACE) | (kind > UNSPACED)
    entries = kind + UNCOMPOSED * needed + SPECIAL * is_special
    return Table(((new - np.arange(CODE_POINTS)) << MAPPING_SHIFT) + entries, SPACE)


@lru_cache(maxsize=1)
def normalization_table() -> Table:
    """Returns the table that changes no character, with entries as in `character_table`."""
    return Table(kinds() + UNCOMPOSED * composition().needed, SPACE)


def _folded() -> np.ndarray:
    """Returns what each character becomes if variants of a character are one, int64 `(0x110000,)`.

    Letters and digits get their ordinary width; ASCII punctuation gets its full-width form.
    """
    new = np.arange(CODE_POINTS)
    for code in range(CODE_POINTS):
        kind, *parts = unicodedata.decomposition(chr(code)).split() or [""]
        if kind in ("<wide>", "<narrow>"):
            new[code] = int(parts[0], 16)
    for code in range(CODE_POINTS):
        lower = chr(new[code]).lower()
        if len(lower) == 1:
            new[code] = ord(lower)
    new[ord("\u03c2")] = ord("\u03c3")  # the final sigma, which has the same upper case as the other one
    variants = np.arange(CODE_POINTS)
    for characters, target in ((APOSTROPHES, "'"), (QUOTES, '"'), (DASHES + HYPHENS, "-")):
        variants[[ord(character) for character in characters]] = ord(target)
    new = variants[new]
    is_ascii = np.isin(new, [code for code in range(33, 127) if categories()[code][0] in "PS" and code != ord("'")])
    return np.where(is_ascii, new + FULL_WIDTH_OFFSET, new)


def _needed_after_folding() -> np.ndarray:
    """Returns which characters need composition because folding changes them: narrow marks of Katakana, and I with a dot."""
    return np.isin(np.arange(CODE_POINTS), [0xFF9E, 0xFF9F, DOTTED_I])


@lru_cache(maxsize=1)
def composition() -> Composition:
    """Returns the tables of canonical composition. Hangul syllables are not in them, because arithmetic composes them."""
    needed, combining_class, row = (np.zeros(CODE_POINTS, np.int32) for _ in range(3))
    parts, pairs = [np.zeros(4, np.int32)], {}
    for code in range(CODE_POINTS):
        character = chr(code)
        combining_class[code] = unicodedata.combining(character)
        direct = unicodedata.decomposition(character)
        if not direct or direct.startswith("<"):
            continue
        full = [ord(part) for part in unicodedata.normalize("NFD", character)]
        row[code] = len(parts)
        parts.append(np.array(full + [0] * (4 - len(full)), np.int32))
        if unicodedata.normalize("NFC", character) == character:
            first, second = (int(part, 16) for part in direct.split())
            pairs[(first << 21) + second] = code
            needed[second] = 1
        else:
            needed[code] = 1
    needed[0x1161:0x1176] = needed[0x11A8:0x11C3] = 1  # second and third part of a Hangul syllable
    keys = np.array(sorted(pairs), np.int64)
    composed = np.array([pairs[key] for key in keys.tolist()], np.int32)
    return Composition(
        (needed + combining_class) > 0,
        Table(combining_class + COMBINES * needed),
        Table(row),
        np.stack(parts),
        keys,
        composed,
    )
