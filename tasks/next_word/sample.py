"""The sample: prose from the Python language reference, which every Python installation includes."""

from __future__ import annotations

import platform
from pydoc_data.topics import topics

import pandas as pd

LOCATION = f"pydoc_data.topics of Python {platform.python_version()}"
LICENCE = "Python Software Foundation License 2"


def documents() -> list[str]:
    """Returns the texts of the topics, sorted by topic; a paragraph that several topics share appears once."""
    seen: set[str] = set()
    texts = []
    for name in sorted(topics):
        new = [paragraph for paragraph in topics[name].split("\n\n") if paragraph.strip() not in seen]
        seen.update(paragraph.strip() for paragraph in new)
        if new:
            texts.append("\n\n".join(new))
    return texts


def split() -> dict[str, pd.DataFrame]:
    """Returns tables `train`, `validation` and `test` with the column `text`, one topic per row.

    Every tenth topic is in the test split and every tenth in the validation split.
    """
    texts = documents()
    splits = {"test": texts[5::10], "validation": texts[::10]}
    splits["train"] = [text for k, text in enumerate(texts) if k % 10 not in (0, 5)]
    return {name: pd.DataFrame({"text": part}) for name, part in splits.items()}
