"""Training in mixed precision ends in a model of float32 that forecasts as one trained in float32 does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.sources import Origin, Splits
from tasks.stock import train
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.model import distribution_of, get_submodels, trainer_of


@pytest.fixture
def splits(market) -> Splits:
    days = np.unique(market["day"])
    parts = {}
    for name, (begin, end) in {"train": (0, 55), "validation": (55, 75), "test": (75, 90)}.items():
        part = market[market["day"] <= days[end - 1]]
        parts[name] = part.assign(judged=part["day"] >= days[begin]).reset_index(drop=True)
    return Splits(**parts, origin=Origin("walks", "", "", "", ""))


def trained(config, splits, folder) -> tuple[np.ndarray, np.ndarray, set[str]]:
    """Returns how wide the forecasts are, the weights that make them so, and the weights' kinds."""
    trained_model = train.train_model(config, splits, folder)
    parts = get_submodels(trained_model.model)
    panel = open_panel(splits.test, config.forecast)
    found = distribution_of(forecasts(trainer_of(parts), WindowBatches(panel, config.forecast)))
    width = np.asarray(found.from_normal(1.0)) - np.asarray(found.from_normal(-1.0))
    kinds = {weight.dtype for weight in trained_model.model.weights}
    return width, parts.head.get_layer("head_scale").get_weights()[0], kinds


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_exports_what_it_trained_in_float32(config, splits, tmp_path, precision):
    config = replace(config, training=replace(config.training, epochs=4, patience=4))
    width, weights, _ = trained(config, splits, tmp_path / "plain")
    _, fresh, _ = trained(replace(config, training=replace(config.training, learning_rate=1e-9)), splits, tmp_path / "fresh")
    mixed = replace(config, training=replace(config.training, precision=precision))
    found, learned, kinds = trained(mixed, splits, tmp_path / "mixed")
    assert kinds == {"float32"}
    np.testing.assert_allclose(found, width, rtol=0.1)
    assert np.linalg.norm(learned - weights) < 0.5 * np.linalg.norm(fresh - weights)
