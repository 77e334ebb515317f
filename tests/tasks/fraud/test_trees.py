"""The trees in the Keras graph equal those of scikit-learn, also after saving."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import expit

from shared.layers.trees import node_table
from tasks.fraud.trees import build_tree_model, choose_tree_count, fit_trees


@pytest.fixture(scope="module")
def data() -> tuple[np.ndarray, np.ndarray]:
    """Features with missing values, repeated values and a column of zeros, and labels that depend on them."""
    rng = np.random.default_rng(0)
    features = rng.normal(size=(3000, 6)).astype(np.float32)
    features[:, 1] = rng.integers(0, 4, 3000)
    features[:, 2] *= np.float32(1e6)
    features[:, 5] = 0
    features[rng.uniform(size=features.shape) < 0.2] = np.nan
    score = np.nan_to_num(features[:, 0]) + np.isnan(features[:, 3]) * 2 + np.nan_to_num(features[:, 1]) - 3
    return features, (rng.uniform(size=3000) < expit(2 * score)).astype(int)


def test_probabilities_and_log_odds_equal_scikit_learn(data):
    classifier = fit_trees(*data, trees=60, seed=0)
    rng = np.random.default_rng(1)
    features = (rng.normal(size=(2000, 6)) * [1, 2, 1e6, 1, 1, 1]).astype(np.float32)
    features[rng.uniform(size=features.shape) < 0.3] = np.nan
    features[0], features[1] = np.inf, -np.inf
    log_odds = build_tree_model(classifier)(features).numpy()
    np.testing.assert_allclose(expit(log_odds), classifier.predict_proba(features)[:, 1], rtol=0, atol=1e-6)
    np.testing.assert_allclose(log_odds, classifier.decision_function(features), rtol=1e-6, atol=1e-6)


def test_features_at_a_threshold_go_to_the_side_that_scikit_learn_chooses(data):
    classifier = fit_trees(*data, trees=20, seed=0)
    table = node_table([predictor.nodes for (predictor,) in classifier._predictors])
    thresholds = table[np.isfinite(table[:, 1])]
    features = np.zeros((3 * len(thresholds), 6), np.float32)
    for row, (feature, threshold, *_) in enumerate(thresholds):
        for k, value in enumerate((threshold, np.nextafter(threshold, np.inf), np.nextafter(threshold, -np.inf))):
            features[3 * row + k, int(feature)] = value
    expected = classifier.decision_function(features)
    np.testing.assert_allclose(build_tree_model(classifier)(features).numpy(), expected, atol=1e-6)


def test_the_first_trees_equal_a_stage_of_scikit_learn(data):
    classifier = fit_trees(*data, trees=10, seed=0)
    expected = list(classifier.staged_predict_proba(data[0]))[3][:, 1]
    np.testing.assert_allclose(expit(build_tree_model(classifier, 4)(data[0]).numpy()), expected, atol=1e-6)


def test_the_number_of_trees_has_the_lowest_log_loss_on_the_validation_split(data):
    features, labels = data
    classifier = fit_trees(features[:300], labels[:300], trees=80, seed=0)
    assert 1 < choose_tree_count(classifier, features[300:], labels[300:]) < 80


def test_a_classifier_that_cannot_split_predicts_the_rate(data):
    features = np.zeros((50, 2), np.float32)
    classifier = fit_trees(features, np.arange(50) % 5 == 0, trees=3, seed=0)
    np.testing.assert_allclose(expit(build_tree_model(classifier)(features).numpy()), 0.2, atol=1e-6)


def test_trees_are_made_of_standard_layers(data, tmp_path):
    model = build_tree_model(fit_trees(*data, trees=8, seed=0))
    model.save(tmp_path / "trees.keras")
    loaded = keras.saving.load_model(tmp_path / "trees.keras", safe_mode=True)
    np.testing.assert_array_equal(loaded(data[0]).numpy(), model(data[0]).numpy())
    assert not model.trainable_variables
