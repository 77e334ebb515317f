"""Removal of HTML tags. Only tags that HTML has count, so that `I <3 this` and `a < b and c > d` keep their words."""

from __future__ import annotations

import tensorflow as tf

TAGS = (
    "a abbr acronym address applet area article aside audio b base basefont bdi bdo bgsound big blink blockquote body br button "
    "canvas caption center cite code col colgroup data datalist dd del details dfn dialog dir div dl dt em embed fieldset "
    "figcaption figure font footer form frame frameset h1 h2 h3 h4 h5 h6 head header hgroup hr html i iframe img input ins kbd "
    "label legend li link main map mark marquee menu meta meter nav nobr noframes noscript object ol optgroup option output p "
    "param picture pre progress q rp rt ruby s samp script search section select slot small source span strike strong style "
    "sub summary sup svg table tbody td template textarea tfoot th thead time title tr track tt u ul var video wbr"
).split()
"""Elements of the HTML standard, with the obsolete ones."""
ATTRIBUTE = (
    r"""\s+(?:[a-z_:@][-\w:.]*\s*=\s*(?:"[^"<>]*"|'[^'<>]*'|[^\s"'<>]+)"""
    r"""|allowfullscreen|async|autofocus|autoplay|checked|controls|defer|disabled|hidden|loop|multiple|muted|noshade|nowrap|open|"""
    r"""readonly|required|reversed|selected)"""
)
"""An attribute with a value, or one of those that need none."""
TAG = f"(?i)<(?:/?(?:{'|'.join(TAGS)})(?:{ATTRIBUTE})*\\s*/?>|!--[^<>]*-->|!doctype[^<>]*>)"


def remove_tags(text: tf.Tensor) -> tf.Tensor:
    """Replaces HTML tags, comments and document types with a space.

    Args:
        text: string tensor of any shape and any bytes.
    """
    return tf.strings.regex_replace(text, TAG, " ")
