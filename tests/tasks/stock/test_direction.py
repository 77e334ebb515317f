"""The direction: trees in the head equal scikit-learn, the weights follow the validation split, and few days give shrunk odds."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from scipy.special import expit, logit

from shared.layers.trees import BoostedTrees
from tasks.stock import direction
from tasks.stock.batches import WindowBatches, build_panel, compute_features, predict_parameters
from tasks.stock.direction import Direction, add_direction, find_weights, fit_trees
from tasks.stock.model import build_full_model, build_parameter_model, get_submodels


@pytest.fixture
def panel(market, config):
    return build_panel(market.assign(is_scored_row=True), config)


def test_the_head_mixes_its_logit_with_that_of_the_trees(builder, panel, config, monkeypatch, tmp_path):
    monkeypatch.setattr(direction, "MIN_LEAF_ROWS", 10)
    units = config.lstm.units[-1]
    trees = fit_trees(builder.submodels, panel, config)
    features, _ = compute_features(builder.submodels, WindowBatches(panel, config.features), units)
    expected = np.stack([np.asarray(model(features)) for model in trees], axis=-1)
    assert np.ptp(expected[:, 0]) > 0.01
    submodels = add_direction(builder.submodels, Direction(trees, (1.0, 0.25)), units)
    batches = WindowBatches(panel, config.features)
    head, mixed = (predict_parameters(build_parameter_model(s), batches) for s in (builder.submodels, submodels))
    np.testing.assert_array_equal(mixed[..., :4], head[..., :4])
    np.testing.assert_allclose(mixed[:, 0, 4], expected[:, 0], atol=1e-5)
    np.testing.assert_allclose(mixed[:, 1, 4], 0.75 * head[:, 1, 4] + 0.25 * expected[:, 1], atol=1e-5)
    build_full_model(submodels, np.zeros((2, 3))).save(tmp_path / "a.keras")
    loaded = get_submodels(keras.models.load_model(tmp_path / "a.keras", compile=False))
    np.testing.assert_allclose(predict_parameters(build_parameter_model(loaded), batches), mixed, atol=1e-6)


def test_the_weights_follow_the_validation_split():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(4000, 1)).astype(np.float32)
    returns = np.where(rng.random((4000, 1)) < expit(features), 0.01, -0.01)
    right, wrong, noise = features, -features, rng.normal(size=(4000, 1))
    constant = (BoostedTrees.constant(0.0),)
    assert find_weights(constant, features, right, returns)[0] < 0.2
    assert find_weights(constant, features, wrong, returns) == (1.0,)
    assert find_weights(constant, features, noise, returns)[0] > 0.8
    assert find_weights(constant, features, right, np.full((4000, 1), np.nan)) == (1.0,)


def test_the_odds_of_few_periods_are_shrunk():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 3)).astype(np.float32)
    day = np.arange(200)
    mostly_up = np.where(np.arange(200) < 160, 0.01, -0.01)
    few, many = (direction._fit(features, mostly_up, day, horizon, 0).baseline for horizon in (20, 1))
    assert few == pytest.approx(logit(0.8) * 10 / 30)
    assert many == pytest.approx(logit(0.8) * 200 / 220)
    always, never = (direction._fit(features, np.full(200, value), day, 20, 0) for value in (0.01, -0.01))
    assert 0.55 < expit(always.baseline) < 0.8
    assert always.baseline == pytest.approx(-never.baseline)
    assert direction._fit(features, np.full(200, np.nan), day, 20, 0).baseline == 0
