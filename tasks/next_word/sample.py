"""The prose of Python's own reference, which comes with every Python: on its syntax and its data model."""

from __future__ import annotations

import platform
from pydoc_data.topics import topics

import pandas as pd

LOCATION = f"pydoc_data.topics of Python {platform.python_version()}"
LICENCE = "Python Software Foundation License 2"


def documents() -> list[str]:
    """Returns the topics' texts, by name, each paragraph once: many stand in several topics."""
    seen: set[str] = set()
    texts = []
    for name in sorted(topics):
        new = [paragraph for paragraph in topics[name].split("\n\n") if paragraph.strip() not in seen]
        seen.update(paragraph.strip() for paragraph in new)
        if new:
            texts.append("\n\n".join(new))
    return texts


def split() -> dict[str, pd.DataFrame]:
    """Returns whole topics as `train`, `validation` and `test`, each with a column `text`: every tenth judges."""
    texts = documents()
    parts = {"test": texts[5::10], "validation": texts[::10]}
    parts["train"] = [text for k, text in enumerate(texts) if k % 10 not in (0, 5)]
    return {name: pd.DataFrame({"text": part}) for name, part in parts.items()}
