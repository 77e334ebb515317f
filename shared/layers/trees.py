"""Gradient-boosted trees of scikit-learn as operations of `keras.ops`, so that an exported model can contain them.

Every tree compares all its splits at once: a leaf is reached if all comparisons on its path have the right result. The comparisons are
exact: features are float32, and each float64 threshold is rounded down to the next float32, which changes no comparison.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops


@dataclass(frozen=True)
class BoostedTrees:
    """Trees whose values are added: `trees` trees with up to `splits` splits and `leaves` leaves, padded with zeros."""

    feature: np.ndarray
    """Feature of each split, int32 `(trees, splits)`."""
    threshold: np.ndarray
    """A feature up to this value goes left, float32 `(trees, splits)`."""
    missing_goes_left: np.ndarray
    """Whether a NaN goes left, boolean `(trees, splits)`."""
    path: np.ndarray
    """For each leaf, 1 for a split that it is to the left of, -1 for one that it is to the right of, 0 for others, float32
    `(trees, splits, leaves)`."""
    left_turns: np.ndarray
    """Number of splits that a leaf is to the left of, float32 `(trees, leaves)`; padding is never reached."""
    value: np.ndarray
    """Value of each leaf, float32 `(trees, leaves)`."""
    baseline: float
    """Value without any tree."""

    @classmethod
    def from_sklearn(cls, model: Any) -> BoostedTrees:
        """Converts a fitted `HistGradientBoostingClassifier` of two classes, or a `HistGradientBoostingRegressor`.

        Raises:
            ValueError: the model has more than two classes, or categorical features.
        """
        predictors = model._predictors  # scikit-learn has no public access to its trees
        if predictors and len(predictors[0]) != 1:
            raise ValueError(f"The model must have one output. Received: {len(predictors[0])} classes")
        nodes = [trees[0].nodes for trees in predictors]
        if any(tree["is_categorical"].any() for tree in nodes):
            raise ValueError("The model must have no categorical features: encode them as numbers.")
        splits = max([1, *(int((tree["is_leaf"] == 0).sum()) for tree in nodes)])
        shape = (len(nodes), splits)
        trees = cls(
            feature=np.zeros(shape, np.int32),
            threshold=np.zeros(shape, np.float32),
            missing_goes_left=np.zeros(shape, bool),
            path=np.zeros((*shape, splits + 1), np.float32),
            left_turns=np.full((len(nodes), splits + 1), np.float32(-1)),
            value=np.zeros((len(nodes), splits + 1), np.float32),
            baseline=float(np.ravel(model._baseline_prediction)[0]),
        )
        for number, tree in enumerate(nodes):
            trees._add_tree(number, tree)
        return trees

    @classmethod
    def constant(cls, baseline: float) -> BoostedTrees:
        """Returns a model without trees, whose raw prediction is `baseline`."""
        empty = np.zeros((0, 1), np.float32)
        path, leaves = np.zeros((0, 1, 2), np.float32), np.zeros((0, 2), np.float32)
        return cls(empty.astype(np.int32), empty, empty.astype(bool), path, leaves, leaves, baseline)

    def __call__(self, features: Any) -> Any:
        """Returns the raw predictions `(...)` of scikit-learn, the logits of a classifier, for features `(..., features)` float32."""
        baseline = ops.zeros_like(features[..., 0]) + self.baseline
        if not len(self.value):
            return baseline
        selected = ops.take(features, ops.convert_to_tensor(self.feature), axis=-1)  # (..., trees, splits)
        goes_left = ops.where(
            ops.isnan(selected),
            ops.convert_to_tensor(self.missing_goes_left),
            selected <= ops.convert_to_tensor(self.threshold),
        )
        goes_left = ops.expand_dims(ops.cast(goes_left, "float32"), -2)
        turns = ops.squeeze(ops.matmul(goes_left, ops.convert_to_tensor(self.path)), axis=-2)  # (..., trees, leaves)
        is_leaf = ops.cast(ops.equal(turns, ops.convert_to_tensor(self.left_turns)), "float32")
        return baseline + ops.sum(is_leaf * ops.convert_to_tensor(self.value), axis=(-2, -1))

    def _add_tree(self, number: int, nodes: np.ndarray) -> None:
        """Fills the arrays of one tree from the nodes of scikit-learn, whose children follow their parent."""
        split_of = {int(node): k for k, node in enumerate(np.flatnonzero(nodes["is_leaf"] == 0))}
        for node, k in split_of.items():
            self.feature[number, k] = nodes["feature_idx"][node]
            self.threshold[number, k] = _round_down(float(nodes["num_threshold"][node]))
            self.missing_goes_left[number, k] = bool(nodes["missing_go_to_left"][node])
        pending: list[tuple[int, list[tuple[int, int]]]] = [(0, [])]
        leaf = 0
        while pending:
            node, turns = pending.pop()
            if node in split_of:
                k = split_of[node]
                pending += [
                    (int(nodes[side][node]), [*turns, (k, turn)]) for side, turn in (("left", 1), ("right", -1))
                ]
                continue
            for k, turn in turns:
                self.path[number, k, leaf] = turn
            self.left_turns[number, leaf] = sum(turn > 0 for _, turn in turns)
            self.value[number, leaf] = nodes["value"][node]
            leaf += 1


def _round_down(value: float) -> np.float32:
    """Returns the largest float32 that is not above a value."""
    rounded = np.float32(value)
    return np.nextafter(rounded, np.float32(-np.inf)) if rounded > value else rounded
