"""Gradient-boosted trees of the fraud model: fitted by scikit-learn, evaluated in the Keras graph (see `shared.layers.trees`)."""

from __future__ import annotations

import keras
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import log_loss

from shared.layers.trees import BoostedTrees

LEARNING_RATE, MAX_LEAF_NODES, L2_REGULARIZATION, MIN_LEAF_ROWS = 0.05, 15, 1.0, 20


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
    boosted = BoostedTrees.from_sklearn(classifier, trees)
    features = keras.Input((classifier.n_features_in_,), name="features")
    table = keras.layers.Embedding(*boosted.nodes.shape, trainable=False, name="tree_nodes")
    model = keras.Model(features, boosted(features, table), name="trees")
    table.set_weights([boosted.nodes])
    return model
