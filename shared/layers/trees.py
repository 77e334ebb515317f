"""Gradient-boosted trees of scikit-learn as operations of `keras.ops`, so that an exported model can contain them.

All nodes of all trees are rows of one table, the roots first. The two children of a node are neighbours, so that a node needs the
position of its left child only. A leaf is its own left child, and nothing goes to its right. The comparisons are exact: features are
float32, and each float64 threshold is rounded down to the next float32, which changes no comparison.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

FEATURE, THRESHOLD, MISSING_LEFT, LEFT, VALUE = range(5)  # columns of the table of nodes


@dataclass(frozen=True)
class BoostedTrees:
    """Trees whose values are added."""

    nodes: np.ndarray
    """Nodes of all trees, float32 `(nodes, 5)` (see `node_table`)."""
    trees: int
    """Number of trees."""
    depth: int
    """Maximum number of splits between a root and a leaf."""
    baseline: float
    """Value without any tree."""

    @classmethod
    def from_sklearn(cls, model: Any, trees: int | None = None) -> BoostedTrees:
        """Converts a fitted `HistGradientBoostingClassifier` of two classes, or a `HistGradientBoostingRegressor`.

        Args:
            model: the fitted model.
            trees: number of first trees to use; None means all.

        Raises:
            ValueError: the model has more than two classes, or categorical features.
        """
        predictors = model._predictors[:trees]  # scikit-learn has no public access to its trees
        if predictors and len(predictors[0]) != 1:
            raise ValueError(f"The model must have one output. Received: {len(predictors[0])} classes")
        nodes = [predictor.nodes for (predictor,) in predictors]
        if any(tree["is_categorical"].any() for tree in nodes):
            raise ValueError("The model must have no categorical features: encode them as numbers.")
        depth = max((int(tree["depth"].max()) for tree in nodes), default=0)
        return cls(node_table(nodes), len(nodes), depth, float(np.ravel(model._baseline_prediction)[0]))

    @classmethod
    def constant(cls, baseline: float) -> BoostedTrees:
        """Returns a model without trees, whose raw prediction is `baseline`."""
        return cls(np.zeros((0, 5), np.float32), 0, 0, baseline)

    def __call__(self, features: Any, lookup: Callable[[Any], Any] | None = None) -> Any:
        """Returns the raw predictions `(...)` of scikit-learn, the logits of a classifier, for features `(..., features)` float32.

        Args:
            features: features of one or more rows.
            lookup: function from positions `(..., trees)` to rows of the table `(..., trees, 5)`, such as an `Embedding` layer that
                holds it as a weight; None makes the table a constant.
        """
        if lookup is None:
            table = ops.convert_to_tensor(self.nodes)

            def lookup(position: Any) -> Any:
                return ops.take(table, position, axis=0)

        first = ops.zeros_like(features[..., :1])
        if not self.trees:
            return first[..., 0] + self.baseline
        node = lookup(ops.cast(first + np.arange(self.trees, dtype=np.float32), "int32"))
        for _ in range(self.depth):
            value = _select(features, ops.cast(node[..., FEATURE], "int32"))
            is_right = ops.where(ops.isnan(value), node[..., MISSING_LEFT] < 0.5, value > node[..., THRESHOLD])
            node = lookup(ops.cast(node[..., LEFT], "int32") + ops.cast(is_right, "int32"))
        return ops.sum(node[..., VALUE], axis=-1) + self.baseline


def node_table(trees: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the nodes of all trees, float32 `(nodes, 5)`, in the order that the module describes.

    The columns are feature, threshold, 1 if a missing value goes to the left, position of the left child, and value.

    Args:
        trees: nodes of each tree as scikit-learn's predictors hold them; the first one is the root.
    """
    table = np.zeros((sum(map(len, trees)), 5), np.float32)
    table[:, THRESHOLD], table[:, MISSING_LEFT] = np.inf, 1.0
    free = len(trees)
    for root, nodes in enumerate(trees):
        pending = [(root, 0)]  # position in the table, and in the tree
        while pending:
            position, k = pending.pop()
            node = nodes[k]
            if node["is_leaf"]:
                table[position, LEFT], table[position, VALUE] = position, node["value"]
                continue
            threshold = _round_down(node["num_threshold"])
            table[position] = (node["feature_idx"], threshold, node["missing_go_to_left"], free, 0.0)
            pending += [(free, node["left"]), (free + 1, node["right"])]
            free += 2
    return table


def _select(features: Any, index: Any) -> Any:
    """Returns the features `(..., trees)` at the positions `index` of each row."""
    if len(features.shape) != 2:
        return ops.take_along_axis(features, index, axis=-1)
    row = ops.cumsum(ops.ones_like(features[:, :1], dtype="int32"), axis=0) - 1
    return ops.take(ops.reshape(features, (-1,)), row * features.shape[-1] + index, axis=0)  # faster for rows


def _round_down(value: float) -> Any:
    """Returns the largest float32 that is not above a value."""
    rounded = np.float32(value)
    return rounded if rounded <= value else np.nextafter(rounded, np.float32(-np.inf))
