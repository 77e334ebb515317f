"""Attributions: how much each kind of input raises the log-odds of fraud.

Occlusion (Zeiler & Fergus, 2014) by groups, in the layer that joins card and terminal: an input is replaced with its mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tasks.fraud.batches import join_logits
from tasks.fraud.card_features import AMOUNT_FEATURES, TIME_FEATURES
from tasks.fraud.model import Submodels

CARD_HISTORY, TERMINAL_HISTORY = "card history", "terminal history"


def feature_groups(submodels: Submodels, metadata: Mapping[str, Any]) -> dict[str, slice]:
    """Returns the columns of `hidden` that each kind of input fills."""
    amount = AMOUNT_FEATURES + len(metadata["amount_edges"])
    width = submodels.card.output["hidden"].shape[-1]
    units = width - _count_features(submodels, metadata)
    groups = {
        CARD_HISTORY: slice(0, units),
        "amount": slice(units, units + amount),
        "time": slice(units + amount, units + amount + TIME_FEATURES),
        "further columns": slice(units + amount + TIME_FEATURES, width),
    }
    return {name: columns for name, columns in groups.items() if columns.start < columns.stop}


def attributions(
    submodels: Submodels, metadata: Mapping[str, Any], hidden: np.ndarray, terminal: np.ndarray | None
) -> dict[str, np.ndarray]:
    """Computes how much each kind of input raises the log-odds of fraud.

    Args:
        submodels: the trained submodels.
        metadata: metadata of the model.
        hidden: features of the card for each transaction, float32 `(rows, features)`.
        terminal: logits of the terminal `(rows,)`; None without terminals.

    Returns:
        For each kind of input, float32 `(rows,)`: the logit minus the logit with this input at its mean over the rows.
    """
    logits = join_logits(submodels, hidden, terminal)
    result = {}
    for name, columns in feature_groups(submodels, metadata).items():
        occluded = hidden.copy()
        occluded[:, columns] = hidden[:, columns].mean(axis=0)
        result[name] = logits - join_logits(submodels, occluded, terminal)
    if terminal is not None:
        mean = np.full_like(terminal, terminal.mean())
        result[TERMINAL_HISTORY] = logits - join_logits(submodels, hidden, mean)
    return result


def _count_features(submodels: Submodels, metadata: Mapping[str, Any]) -> int:
    embeddings = [layer.output.shape[-1] for layer in submodels.card.layers if layer.name.endswith("_embedding")]
    return AMOUNT_FEATURES + len(metadata["amount_edges"]) + TIME_FEATURES + len(metadata["numeric"]) + sum(embeddings)
