"""Gradient-boosted trees: fitted by scikit-learn, evaluated by tensor operations in the Keras graph.

All nodes of all trees are rows of one table, the roots first. The two children of a node are neighbours, so that a node needs the
position of its left child only. A leaf is its own left child, and nothing goes to its right.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
from keras import ops
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

LEARNING_RATE, MAX_LEAF_NODES, L2_REGULARIZATION, MIN_LEAF_ROWS = 0.05, 15, 1.0, 20
FEATURE, THRESHOLD, MISSING_LEFT, LEFT, VALUE = range(5)  # columns of the table of nodes


def fit_trees(features: np.ndarray, labels: np.ndarray, trees: int, seed: int) -> HistGradientBoostingClassifier:
    """Fits boosted trees with the log loss (Friedman, 2001; histograms as in LightGBM, Ke et al., 2017).

    Args:
        features: float32 `(rows, features)`; NaN is allowed.
        labels: 0 or 1 `(rows,)`.
        trees: number of trees, at least 1.
        seed: random seed of the sample from which the bins of the histograms are chosen.
    """
    classifier = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=trees,
        max_leaf_nodes=MAX_LEAF_NODES,
        min_samples_leaf=MIN_LEAF_ROWS,
        l2_regularization=L2_REGULARIZATION,
        early_stopping=False,
        random_state=seed,
    )
    return classifier.fit(features, labels)


def choose_tree_count(classifier: HistGradientBoostingClassifier, features: np.ndarray, labels: np.ndarray) -> int:
    """Returns the number of first trees with the lowest log loss on the validation split."""
    losses = [log_loss(labels, p[:, 1], labels=[0, 1]) for p in classifier.staged_predict_proba(features)]
    return int(np.argmin(losses)) + 1


def build_tree_model(classifier: HistGradientBoostingClassifier, trees: int | None = None) -> keras.Model:
    """Returns a model from features `(batch, features)` float32 to the log-odds `(batch,)` of a fitted classifier.

    Args:
        classifier: of two classes, without categorical features.
        trees: number of first trees to use; None means all.
    """
    predictors = [predictor.nodes for (predictor,) in classifier._predictors[:trees]]
    nodes = node_table(predictors)
    features = keras.Input((classifier.n_features_in_,), name="features")
    table = keras.layers.Embedding(*nodes.shape, trainable=False, name="tree_nodes")
    zero = ops.zeros_like(features[:, :1])
    position = ops.cumsum(ops.repeat(zero + 1, len(predictors), axis=1), axis=1) - 1  # the roots, (batch, trees)
    node = table(position)  # (batch, trees, 5)
    first = (ops.cumsum(ops.ones_like(features[:, :1], dtype="int32"), axis=0) - 1) * features.shape[-1]
    flat = ops.reshape(features, (-1,))  # one gather from it is faster than `take_along_axis`
    for _ in range(max(int(nodes["depth"].max()) for nodes in predictors)):
        value = ops.take(flat, first + ops.cast(node[..., FEATURE], "int32"), axis=0)
        is_right = ops.where(ops.isnan(value), node[..., MISSING_LEFT] < 0.5, value > node[..., THRESHOLD])
        node = table(node[..., LEFT] + ops.cast(is_right, "float32"))
    log_odds = keras.layers.Rescaling(1.0, float(classifier._baseline_prediction[0, 0]), name="tree_baseline")(
        ops.sum(node[..., VALUE], axis=-1)
    )
    model = keras.Model(features, log_odds, name="trees")
    table.set_weights([nodes])
    return model


def node_table(trees: Sequence[np.ndarray]) -> np.ndarray:
    """Returns the nodes of all trees, float32 `(nodes, 5)`, in the order that the module describes.

    The columns are feature, threshold, 1 if a missing value goes to the left, position of the left child, and value. A threshold is
    rounded down to float32, which sends every float32 feature to the same side as the float64 threshold does.

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


def _round_down(value: float) -> Any:
    """Returns the largest float32 that is not above `value`."""
    rounded = np.float32(value)
    return rounded if rounded <= value else np.nextafter(rounded, np.float32(-np.inf))
