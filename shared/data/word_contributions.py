"""Contributions of words to a prediction: as columns, as marked text in the terminal, and as HTML."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import pandas as pd

if TYPE_CHECKING:
    from rich.text import Text

COLUMN = "contributions"
"""Column with the contribution of every word: a list of dictionaries with `word`, `start` (position of its first character in the text,
from 0) and `contribution`, in the order of the text."""
TOP_WORDS = 5
MIN_MARKED = 0.1  # of the largest contribution of a text; smaller ones are not marked
TOWARDS, AGAINST = (
    (86, 180, 233),
    (230, 159, 0),
)  # blue and orange of a palette for color-blind readers (Okabe & Ito, 2008)

Words = Sequence[Mapping[str, Any]]
"""A cell of the column `COLUMN`."""


def contribution_table(texts: Sequence[Words]) -> pd.DataFrame:
    """Returns the column `COLUMN`, and the words of the largest contributions by magnitude as `word_1`, `word_1_contribution`, …

    A text with fewer words leaves the other columns empty.
    """
    columns: dict[str, list[Any]] = {COLUMN: [list(words) for words in texts]}
    for k in range(TOP_WORDS):
        columns[f"word_{k + 1}"], columns[f"word_{k + 1}_contribution"] = [], []
    for words in texts:
        largest = sorted((word for word in words if word["contribution"]), key=lambda w: -abs(w["contribution"]))
        for k in range(TOP_WORDS):
            word = largest[k] if k < len(largest) else {}
            columns[f"word_{k + 1}"].append(word.get("word"))
            columns[f"word_{k + 1}_contribution"].append(word.get("contribution", float("nan")))
    types = {name: float if name.endswith("_contribution") else object for name in columns}
    return pd.DataFrame({name: pd.Series(values, dtype=types[name]) for name, values in columns.items()})


def is_column(name: str) -> bool:
    """Returns True for the names of the columns of `contribution_table`."""
    return name == COLUMN or re.fullmatch(r"word_\d+(_contribution)?", name) is not None


def is_cell(value: Any) -> bool:
    """Returns True for a list of words with contributions."""
    return isinstance(value, list) and all(isinstance(word, dict) and "contribution" in word for word in value)


def as_brackets(words: Words) -> str:
    """Returns the text with the marked words in brackets with their contributions, such as `so [dull -1.24] .`"""
    return "".join(f"[{text} {value:+.2f}]" if strength else text for text, value, strength in _pieces(words))


def as_rich_text(words: Words) -> Text:
    """Returns the text for a terminal: words for the prediction on blue, words against it on orange; stronger colors are larger
    contributions."""
    from rich.text import Text

    line = Text()
    for text, value, strength in _pieces(words):
        red, green, blue = (round(255 - strength * (255 - channel)) for channel in _color(value))
        line.append(text, f"black on rgb({red},{green},{blue})" if strength else "")
    return line


def as_html(words: Words) -> str:
    """Returns the text as HTML with the same colors; a word shows its contribution as a tooltip."""
    return "".join(_mark(text, value, strength) for text, value, strength in _pieces(words))


def _mark(text: str, value: float, strength: float) -> str:
    escaped = html.escape(text)
    if not strength:
        return escaped
    color = ",".join(map(str, _color(value)))
    return f'<mark title="{value:+.4f}" style="background:rgba({color},{strength:.2f})">{escaped}</mark>'


def _pieces(words: Words) -> Iterator[tuple[str, float, float]]:
    """Yields words and the spaces between them with contribution and strength in [0, 1], 0 for what is not marked."""
    largest = max((abs(word["contribution"]) for word in words), default=0.0)
    end = 0
    for word in words:
        if end and word["start"] > end:
            yield " ", 0.0, 0.0
        ratio = abs(word["contribution"]) / largest if largest else 0.0
        yield word["word"], word["contribution"], ratio if ratio >= MIN_MARKED else 0.0
        end = word["start"] + len(word["word"])


def _color(value: float) -> tuple[int, int, int]:
    return TOWARDS if value > 0 else AGAINST
