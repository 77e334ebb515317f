"""`shared.text.markup`: HTML tags are removed, other text between angle brackets is not."""

from __future__ import annotations

import pytest
import tensorflow as tf

from shared.text.markup import remove_tags


@pytest.mark.parametrize(
    "tag",
    [
        "<br />",
        "<BR>",
        "<br/>",
        "<p>",
        "</p >",
        "<a href=https://example.org/?q=1>",
        "</a href=…>",
        "<a class='x y'\n href=\"z\">",
        "<input type=checkbox checked>",
        "<!-- note -->",
        "<!DOCTYPE html>",
        "<h1>",
    ],
)
def test_tags_become_a_space(tag):
    assert remove_tags(tf.constant([f"one{tag}two"])).numpy()[0] == b"one two"


@pytest.mark.parametrize(
    "text",
    [
        "I <3 this >:(",
        "price < 5 but quality > 3",
        "a<b and c>d",
        "<b and c>",
        "<unk> <eos>",
        "<spoiler> <grin>",
        "vector<int> List<String>",
        "< br >",
        "<a@example.org>",
        "<https://example.org>",
        "<p",
    ],
)
def test_other_angle_brackets_stay(text):
    assert remove_tags(tf.constant([text])).numpy()[0].decode() == text
