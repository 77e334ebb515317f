"""Which inputs drove a score: how far the log-odds fall when one kind of input is made average.

Occlusion (Zeiler & Fergus, 2014) by groups, in the layer where the two views meet: what the transaction is in itself,
what the card did before, and what is confirmed of the terminal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.fraud.batches import joined
from tasks.fraud.model import AMOUNT_FEATURES, TIME_FEATURES, Submodels


def groups_of(parts: Submodels, metadata: Mapping[str, Any]) -> dict[str, slice]:
    """Returns which columns of `hidden` each kind of input fills."""
    amount = AMOUNT_FEATURES + len(metadata["amount_edges"])
    width = parts.card.output["hidden"].shape[-1]
    units = width - _feature_count(parts, metadata)
    groups = {
        "what the card did before": slice(0, units),
        "amount": slice(units, units + amount),
        "time": slice(units + amount, units + amount + TIME_FEATURES),
        "further columns": slice(units + amount + TIME_FEATURES, width),
    }
    return {name: columns for name, columns in groups.items() if columns.start < columns.stop}


def drivers(
    parts: Submodels, metadata: Mapping[str, Any], hidden: np.ndarray, terminal: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Returns by how much each kind of input raised the log-odds of fraud.

    Args:
        parts: the trained model.
        metadata: what was learned of the training split.
        hidden: what the card's view makes of transactions, float32 `(rows, features)`.
        terminal: logits of the terminal's view `(rows,)`; None without terminals.

    Returns:
        For each kind of input, float32 `(rows,)`: the logit less that with the input at its mean over the rows.
    """
    whole = joined(parts, hidden, terminal)
    found = {}
    for name, columns in groups_of(parts, metadata).items():
        occluded = hidden.copy()
        occluded[:, columns] = hidden[:, columns].mean(axis=0)
        found[name] = whole - joined(parts, occluded, terminal)
    if terminal is not None:
        found["what is confirmed of the terminal"] = whole - joined(
            parts, hidden, np.full_like(terminal, terminal.mean())
        )
    return found


def _feature_count(parts: Submodels, metadata: Mapping[str, Any]) -> int:
    vectors = [layer.output.shape[-1] for layer in parts.card.layers if layer.name.endswith("_vector")]
    return AMOUNT_FEATURES + len(metadata["amount_edges"]) + TIME_FEATURES + len(metadata["numeric"]) + sum(vectors)
