"""Boosted trees in a graph give the predictions of scikit-learn, also with NaN, at thresholds, and after saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor

from shared.layers.trees import FEATURE, THRESHOLD, BoostedTrees


@pytest.fixture
def features() -> np.ndarray:
    """3,000 rows of six features: continuous, integer, constant, and with a third of NaN."""
    rng = np.random.default_rng(0)
    values = rng.normal(size=(3000, 6)).astype(np.float32)
    values[:, 1] = rng.integers(0, 5, 3000)
    values[:, 2] = 1
    values[rng.random(3000) < 1 / 3, 3] = np.nan
    return values


@pytest.fixture
def labels(features) -> np.ndarray:
    filled = np.nan_to_num(features[:, 3], nan=0.7)
    return (features[:, 0] * filled + 0.3 * features[:, 1] > 0.6).astype(int)


@pytest.mark.parametrize("leaves", [2, 4, 31])
def test_the_logits_of_a_classifier_are_those_of_scikit_learn(features, labels, leaves):
    model = HistGradientBoostingClassifier(max_iter=30, max_leaf_nodes=leaves, random_state=0).fit(features, labels)
    trees = BoostedTrees.from_sklearn(model)
    expected = model.decision_function(features)
    assert np.ptp(expected) > 1
    np.testing.assert_allclose(np.asarray(trees(features)), expected, atol=1e-6)


def test_features_at_and_next_to_thresholds_take_the_branch_of_scikit_learn(features, labels):
    model = HistGradientBoostingClassifier(max_iter=10, max_leaf_nodes=8, random_state=0).fit(features, labels)
    trees = BoostedTrees.from_sklearn(model)
    rows = []
    splits = trees.nodes[np.isfinite(trees.nodes[:, THRESHOLD])]
    assert len(splits) == 70, "ten trees of eight leaves"
    for feature, threshold in zip(splits[:, FEATURE].astype(int), splits[:, THRESHOLD], strict=True):
        for value in (
            threshold,
            np.nextafter(threshold, np.float32(9)),
            np.nextafter(threshold, np.float32(-9)),
            np.nan,
        ):
            row = features[len(rows) % len(features)].copy()
            row[feature] = value
            rows.append(row)
    rows = np.stack(rows)
    np.testing.assert_allclose(np.asarray(trees(rows)), model.decision_function(rows), atol=1e-6)


def test_a_regressor_with_time_steps_in_a_saved_model(features, labels, tmp_path):
    target = labels + np.nan_to_num(features[:, 4])
    regressor = HistGradientBoostingRegressor(max_iter=20, max_leaf_nodes=6, random_state=0).fit(features, target)
    inputs = keras.Input((None, 6))
    model = keras.Model(inputs, BoostedTrees.from_sklearn(regressor)(inputs))
    model.save(tmp_path / "trees.keras")
    loaded = keras.models.load_model(tmp_path / "trees.keras", compile=False)
    outputs = np.asarray(loaded(features.reshape(30, 100, 6)))
    np.testing.assert_allclose(outputs.ravel(), regressor.predict(features), atol=1e-6)


def test_trees_without_a_split_and_no_trees_are_constant(features, labels):
    model = HistGradientBoostingClassifier(max_iter=3, min_samples_leaf=5000).fit(features, labels)
    np.testing.assert_allclose(
        np.asarray(BoostedTrees.from_sklearn(model)(features)), model.decision_function(features), atol=1e-6
    )
    np.testing.assert_array_equal(np.asarray(BoostedTrees.constant(0.5)(features)), np.full(3000, 0.5))


def test_three_classes_and_categories_raise_an_error(features, labels):
    three = HistGradientBoostingClassifier(max_iter=2).fit(features, labels + (features[:, 0] > 1))
    with pytest.raises(ValueError, match="one output"):
        BoostedTrees.from_sklearn(three)
    categorical = HistGradientBoostingClassifier(max_iter=2, categorical_features=[1]).fit(features, labels)
    with pytest.raises(ValueError, match="no categorical features"):
        BoostedTrees.from_sklearn(categorical)
