"""Attributions: how much each kind of input raises the log-odds of fraud.

Occlusion (Zeiler & Fergus, 2014) by groups, in the layer that joins card and terminal: an input is replaced with its mean.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import numpy as np

from tasks.fraud.batches import Components, join_logits, tree_logits
from tasks.fraud.card_features import AMOUNT_FEATURES, TIME_FEATURES
from tasks.fraud.model import further_name
from tasks.fraud.submodels import Submodels, get_submodels

CARD_HISTORY, TERMINAL_HISTORY = "card history", "terminal history"
AMOUNT, TIME, FURTHER_COLUMNS = "amount", "time", "further columns"


def feature_groups(submodels: Submodels, metadata: Mapping[str, Any]) -> dict[str, slice]:
    """Returns the columns of `hidden` that each kind of input fills."""
    amount = AMOUNT_FEATURES + len(metadata["amount_edges"])
    width = submodels.card.output["hidden"].shape[-1]
    units = width - _count_features(submodels, metadata)
    groups = {
        CARD_HISTORY: slice(0, units),
        AMOUNT: slice(units, units + amount),
        TIME: slice(units + amount, units + amount + TIME_FEATURES),
        FURTHER_COLUMNS: slice(units + amount + TIME_FEATURES, width),
    }
    return {name: columns for name, columns in groups.items() if columns.start < columns.stop}


def tree_feature_group(name: str) -> str:
    """Returns the kind of input that a feature of the boosted trees belongs to."""
    if name.startswith("terminal_"):
        return TERMINAL_HISTORY
    if name.startswith(further_name("")):
        return FURTHER_COLUMNS
    if name in ("hour", "weekday", "card_age_1"):
        return TIME
    return AMOUNT if name in ("amount", "amount_to_mean") else CARD_HISTORY


def attributions(model: keras.Model, metadata: Mapping[str, Any], components: Components) -> dict[str, np.ndarray]:
    """Computes how much each kind of input raises the log-odds of fraud.

    Args:
        model: the trained model, from `SubmodelBuilder.full_model`.
        metadata: metadata of the model.
        components: from `tasks.fraud.batches.compute_components`.

    Returns:
        For each kind of input, float32 `(rows,)`: the calibrated logit minus the logit with this input at its mean over the rows.
    """
    submodels, (hidden, terminal, features) = get_submodels(model), components
    scale = model.get_layer("calibration").scale
    logits = join_logits(submodels, components)
    result = {}
    for name, columns in feature_groups(submodels, metadata).items():
        occluded = hidden.copy()
        occluded[:, columns] = hidden[:, columns].mean(axis=0)
        result[name] = scale * (logits - join_logits(submodels, components._replace(hidden=occluded)))
    if terminal is not None:
        mean = components._replace(terminal=np.full_like(terminal, terminal.mean()))
        result[TERMINAL_HISTORY] = scale * (logits - join_logits(submodels, mean))
    if submodels.trees is not None and features is not None:
        scale = model.get_layer("tree_weight").scale
        for name, values in _tree_attributions(submodels, features).items():
            result[name] = result.get(name, 0.0) + scale * values
    return result


def _tree_attributions(submodels: Submodels, features: np.ndarray) -> dict[str, np.ndarray]:
    """Returns the logit of the trees minus that with each kind of input at its mean, `(rows,)` each."""
    logits, result = tree_logits(submodels, features), {}
    groups = np.array([tree_feature_group(name) for name in submodels.tree_feature_names])
    for name in dict.fromkeys(groups):
        occluded = features.copy()
        occluded[:, groups == name] = np.nanmean(features[:, groups == name], axis=0)
        result[str(name)] = logits - tree_logits(submodels, occluded)
    return result


def _count_features(submodels: Submodels, metadata: Mapping[str, Any]) -> int:
    embeddings = [layer.output.shape[-1] for layer in submodels.card.layers if layer.name.endswith("_embedding")]
    return AMOUNT_FEATURES + len(metadata["amount_edges"]) + TIME_FEATURES + len(metadata["numeric"]) + sum(embeddings)
