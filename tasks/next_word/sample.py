"""The prose of Python's own reference, which comes with every Python: 65,000 words on its syntax and its data model."""

from __future__ import annotations

import platform
from pydoc_data.topics import topics

import pandas as pd

LOCATION = f"pydoc_data.topics of Python {platform.python_version()}"
LICENCE = "Python Software Foundation License 2"


def documents() -> list[str]:
    """Returns the topics' texts, by name."""
    return [topics[name] for name in sorted(topics)]


def split() -> dict[str, pd.DataFrame]:
    """Returns whole topics as `train`, `validation` and `test`, each with a column `text`: every tenth judges."""
    texts = documents()
    parts = {"test": texts[5::10], "validation": texts[::10]}
    parts["train"] = [text for k, text in enumerate(texts) if k % 10 not in (0, 5)]
    return {name: pd.DataFrame({"text": part}) for name, part in parts.items()}
