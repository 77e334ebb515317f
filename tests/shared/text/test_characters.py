"""`shared.text.characters`: tables of Unicode characters."""

from __future__ import annotations

import re

import numpy as np
import tensorflow as tf

from shared.text import characters
from shared.text.characters import ROW_START, Table, kinds, unspaced_ranges


def test_a_table_has_the_value_of_each_code_point():
    values = np.arange(characters.CODE_POINTS) // 1000
    codes = tf.constant([0, 65, 0x4E00, characters.CODE_POINTS - 1, ROW_START])
    assert Table(values, row_start=-1).lookup(codes).numpy().tolist() == [0, 0, 19, 1114, -1]


def test_kinds_follow_the_script_and_the_category():
    expected = {
        "a": characters.WORD,
        "7": characters.WORD,
        "한": characters.WORD,
        "ا": characters.WORD,
        "好": characters.UNSPACED,
        "々": characters.UNSPACED,
        "ー": characters.UNSPACED,
        "က": characters.UNSPACED,
        "ລ": characters.UNSPACED,
        "ក": characters.UNSPACED,
        "\u0301": characters.MARK,
        "。": characters.PUNCTUATION,
        "€": characters.SYMBOL,
        "\U0001faff": characters.SYMBOL,  # not assigned in all versions of Unicode
        "\u00ad": characters.INVISIBLE,
        "\u3000": characters.SPACE,
    }
    assert {character: int(kinds()[ord(character)]) for character in expected} == expected


def test_the_ranges_of_unspaced_characters_are_a_character_class():
    assert re.findall(f"[{unspaced_ranges()}]", "我a。ก한ー") == ["我", "ก", "ー"]
