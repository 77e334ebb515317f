"""The probability of a higher price: the logit of the LSTM's head mixed with that of boosted trees on the same features.

The days of a market share most of their direction, so that 100,000 rows hold little more than 2,000 independent ones. The trees are
therefore few and small, and their leaves large; a long horizon, whose outcomes overlap, has fewer trees.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops
from sklearn.ensemble import HistGradientBoostingClassifier

from shared.layers.trees import BoostedTrees
from tasks.stock.batches import Panel, WindowBatches, compute_features, keep_newest
from tasks.stock.config import StockConfig
from tasks.stock.model import Submodels

MAX_ROWS = 100_000  # the newest training rows
MIN_LEAF_ROWS = 1000
MAX_LEAVES = 4
TREES = 40  # for one day ahead; divided by the square root of the horizon
LEARNING_RATE = 0.03
PRIOR_PERIODS = 20  # periods of one horizon that weigh as much as equal odds
WEIGHTS = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True)
class Direction:
    """Boosted trees of the direction, and their weights against the head."""

    trees: tuple[BoostedTrees, ...]
    """Trees of each horizon."""
    weights: tuple[float, ...]
    """Weight of the logit of the trees for each horizon, in [0, 1]; the rest is that of the head."""


def fit_trees(submodels: Submodels, panel: Panel, config: StockConfig) -> tuple[BoostedTrees, ...]:
    """Fits a classifier of the direction to each horizon, on the newest rows of a panel.

    Args:
        submodels: submodels of the model; their features do not depend on the weights.
        panel: the training days.
        config: settings of the run.
    """
    panel = keep_newest(panel, MAX_ROWS)
    rows = panel.has_outcome
    features, _ = compute_features(submodels, WindowBatches(panel, config.features), config.lstm.units[-1])
    returns, day = panel.returns[rows], panel.day[rows]
    return tuple(
        _fit(features, returns[:, k], day, horizon, config.training.seed)
        for k, horizon in enumerate(config.forecast.horizons)
    )


def find_weights(
    trees: Sequence[BoostedTrees], features: np.ndarray, head_logits: np.ndarray, returns: np.ndarray
) -> tuple[float, ...]:
    """Returns the weight of the trees of each horizon with the lowest log loss; without outcomes the trees have all the weight.

    Args:
        trees: from `fit_trees`.
        features: features of the validation days `(rows, features)`.
        head_logits: logits of the LSTM's head, `(rows, horizons)`.
        returns: outcomes `(rows, horizons)`; NaN if unknown.
    """
    weights = []
    for k, model in enumerate(trees):
        is_known = np.isfinite(returns[:, k])
        logits = np.stack([head_logits[is_known, k], np.asarray(model(features[is_known]))]).astype(np.float64)
        sign = np.where(returns[is_known, k] > 0, 1.0, -1.0)
        losses = [np.sum(np.logaddexp(0, -sign * ((1 - w) * logits[0] + w * logits[1]))) for w in WEIGHTS]
        weights.append(float(WEIGHTS[::-1][int(np.argmin(losses[::-1]))]))  # of equal losses, the largest weight
    return tuple(weights)


def add_direction(submodels: Submodels, direction: Direction, units: int) -> Submodels:
    """Returns the submodels with a head whose logit of a higher close is mixed with that of the trees.

    Args:
        submodels: the trained submodels.
        direction: trees and weights.
        units: units of the last LSTM layer, whose outputs precede the features in `hidden`.
    """
    hidden, scale = submodels.head.inputs
    parameters = submodels.head.outputs[0]
    features = hidden[..., units:]
    logits = [
        (1 - weight) * parameters[..., k, 4] + weight * trees(features)
        for k, (trees, weight) in enumerate(zip(direction.trees, direction.weights, strict=True))
    ]
    mixed = ops.expand_dims(ops.stack(logits, axis=-1), -1)
    head = keras.Model([hidden, scale], ops.concatenate([parameters[..., :4], mixed], axis=-1), name="head")
    return dataclasses.replace(submodels, head=head)


def _fit(features: np.ndarray, returns: np.ndarray, day: np.ndarray, horizon: int, seed: int) -> BoostedTrees:
    """Fits the direction of one horizon. With fewer rows than two leaves, it is the rate of higher prices, shrunk toward 1/2."""
    is_known = np.isfinite(returns)
    is_up = returns[is_known] > 0
    periods = len(np.unique(day[is_known])) / horizon
    shrinkage = periods / (periods + PRIOR_PERIODS)
    if len(np.unique(is_up)) < 2:
        ups = periods * float(is_up.any())
        return BoostedTrees.constant(shrinkage * float(np.log((ups + 0.5) / (periods - ups + 0.5))))
    model = HistGradientBoostingClassifier(
        learning_rate=LEARNING_RATE,
        max_iter=max(1, round(TREES / np.sqrt(horizon))),
        max_leaf_nodes=MAX_LEAVES,
        min_samples_leaf=MIN_LEAF_ROWS,
        early_stopping=False,
        random_state=seed,
    )
    trees = BoostedTrees.from_sklearn(model.fit(features[is_known], is_up))
    return dataclasses.replace(trees, baseline=shrinkage * trees.baseline)
