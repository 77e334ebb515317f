"""Training in mixed precision gives a float32 model whose forecasts resemble those of float32 training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared import workflow
from shared.data.sources import Origin, Splits
from tasks.stock import train
from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
from tasks.stock.model import build_distribution, build_parameter_model, get_submodels


@pytest.fixture
def splits(market) -> Splits:
    days = np.unique(market["day"])
    splits = {}
    for name, (begin, end) in {"train": (0, 55), "validation": (55, 75), "test": (75, 90)}.items():
        rows = market[market["day"] <= days[end - 1]]
        splits[name] = rows.assign(is_scored_row=rows["day"] >= days[begin]).reset_index(drop=True)
    return Splits(**splits, origin=Origin("walks", "", "", "", ""))


def train_and_forecast(config, splits, folder) -> tuple[np.ndarray, np.ndarray, set[str]]:
    """Returns the width of the forecasts, the weights of the scale, and the dtypes of all weights."""
    trained_model = workflow.train_model(train.TASK, config, splits, folder)
    submodels = get_submodels(trained_model.model)
    panel = build_panel(splits.test, config)
    batches = WindowBatches(panel, config.features)
    distribution = build_distribution(predict_parameters(build_parameter_model(submodels), batches))
    width = np.asarray(distribution.from_z_score(1.0)) - np.asarray(distribution.from_z_score(-1.0))
    dtypes = {weight.dtype for weight in trained_model.model.weights}
    return width, submodels.head.get_layer("head_scale").get_weights()[0], dtypes


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_exports_a_similar_float32_model(config, splits, tmp_path, precision):
    config = replace(config, training=replace(config.training, epochs=4, patience=4))
    width, weights, _ = train_and_forecast(config, splits, tmp_path / "plain")
    untrained = replace(config, training=replace(config.training, learning_rate=1e-9))
    _, initial_weights, _ = train_and_forecast(untrained, splits, tmp_path / "untrained")
    mixed = replace(config, training=replace(config.training, precision=precision))
    mixed_width, mixed_weights, dtypes = train_and_forecast(mixed, splits, tmp_path / "mixed")
    assert dtypes == {"float32"}
    np.testing.assert_allclose(mixed_width, width, rtol=0.1)
    assert np.linalg.norm(mixed_weights - weights) < 0.5 * np.linalg.norm(initial_weights - weights)


def test_the_exported_model_is_trained_on_all_days_and_says_so(config, splits, tmp_path):
    evaluated = workflow.train_model(train.TASK, config, splits, tmp_path)
    weights = evaluated.model.get_weights()
    exported = workflow.refit_model(train.TASK, config, splits, evaluated, tmp_path)
    days = splits.test["day"]
    assert exported.metadata["trained_until"] == exported.metadata["calibrated_until"] == str(days.max())[:10]
    assert evaluated.metadata["trained_until"] == str(splits.train["day"].max())[:10]
    assert exported.metadata["task"] == "stock"
    assert f"trained on the days until {evaluated.metadata['trained_until']}" in exported.export_note
    assert f"on all days until {days.max():%Y-%m-%d}" in exported.export_note
    assert any(not np.array_equal(a, b) for a, b in zip(weights, exported.model.get_weights(), strict=True))
    for before, after in zip(weights, evaluated.model.get_weights(), strict=True):
        np.testing.assert_array_equal(before, after)
    changed = splits.test.assign(close=splits.test["close"].where(days <= splits.train["day"].max(), 9.0))
    other = workflow.refit_model(train.TASK, config, replace(splits, test=changed), evaluated, tmp_path / "other")
    assert any(
        not np.array_equal(a, b) for a, b in zip(exported.model.get_weights(), other.model.get_weights(), strict=True)
    )


def test_without_refit_the_evaluated_model_is_exported(config, splits, tmp_path):
    config = replace(config, training=replace(config.training, refit=False))
    evaluated = workflow.train_model(train.TASK, config, splits, tmp_path)
    assert workflow.refit_model(train.TASK, config, splits, evaluated, tmp_path) is None
    assert evaluated.export_note == ""
