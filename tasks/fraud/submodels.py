"""The trained submodels of the fraud model, for training, scoring, serving and single steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import keras
from keras import ops

CARD_OUTPUTS = ("hidden", "card_features")
"""Outputs of `Submodels.card` for each transaction; the others are the state."""


@dataclass(frozen=True)
class Submodels:
    """Trained submodels (see `SubmodelBuilder`) for scoring, serving and single steps."""

    card: keras.Model
    terminal: keras.Model | None
    join: keras.Model
    tree_features: keras.Model | None = None
    trees: keras.Model | None = None

    @property
    def state_size(self) -> int:
        """Size of the state of a card."""
        return int(self.card.input["card_state"].shape[-1])

    @property
    def terminal_history_length(self) -> int:
        """Number of labelled transactions of a terminal that the model reads; 0 without terminals."""
        return int(self.terminal.input["terminal_time"].shape[-1]) if self.terminal is not None else 0

    @property
    def tree_feature_names(self) -> list[str]:
        """Names of the features of the boosted trees."""
        return sorted(self.tree_features.output) if self.tree_features is not None else []

    def compute_logits(self, card: Mapping[str, Any], time: Any, history: Mapping[str, Any]) -> dict[str, Any]:
        """Returns the logits `(batch,)` of each component: `lstm`, and `trees` if there are any.

        Args:
            card: outputs of `card` for one transaction per row: `hidden` and `card_features` `(batch, …)`.
            time: int64 `(batch,)`.
            history: the labelled history of the terminal, each `(batch, history)`; empty without terminals.
        """
        inputs = [card["hidden"]]
        if self.terminal is not None:
            inputs.append(self.terminal({"time": time, **history}))
        logits = {"lstm": self.join(inputs)}
        if self.trees is not None:
            logits["trees"] = self.trees(self.compute_tree_features(card, time, history))
        return logits

    def compute_tree_features(self, card: Mapping[str, Any], time: Any, history: Mapping[str, Any]) -> Any:
        """Returns the features of the boosted trees `(batch, features)`, in the order of `tree_feature_names`, from the inputs of
        `compute_logits`."""
        assert self.tree_features is not None
        values = self.tree_features({"card_features": card["card_features"], "time": time, **history})
        return ops.stack([values[name] for name in self.tree_feature_names], axis=-1)


def get_submodels(model: keras.Model) -> Submodels:
    """Returns the submodels of a model from `SubmodelBuilder.full_model`, also after loading."""
    layers = {layer.name: layer for layer in model.layers}
    return Submodels(**{field.name: layers.get(field.name) for field in fields(Submodels)})


def mix_logits(model: keras.Model, logits: Mapping[str, Any]) -> Any:
    """Returns calibrated logits from those of each component, with the weights of a model from `SubmodelBuilder.full_model`."""
    mixed = model.get_layer("calibration")(logits["lstm"])
    return mixed + model.get_layer("tree_weight")(logits["trees"]) if "trees" in logits else mixed
