"""Training in mixed precision ends in a model of float32 that forecasts as one trained in float32 does."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.sources import Origin, Splits
from tasks.stock import train
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.model import distribution_of, parts_of, trainer_of


@pytest.fixture
def splits(market) -> Splits:
    days = np.unique(market["day"])
    parts = {}
    for name, (begin, end) in {"train": (0, 55), "validation": (55, 75), "test": (75, 90)}.items():
        part = market[market["day"] <= days[end - 1]]
        parts[name] = part.assign(judged=part["day"] >= days[begin]).reset_index(drop=True)
    return Splits(**parts, origin=Origin("walks", "", "", "", ""))


def widths(config, splits, folder) -> tuple[np.ndarray, set[str]]:
    fitted = train.fit(config, splits, folder)
    panel = open_panel(splits.test, config.forecast)
    found = distribution_of(forecasts(trainer_of(parts_of(fitted.model)), WindowBatches(panel, config.forecast)))
    return np.asarray(found.from_normal(1.0)) - np.asarray(found.from_normal(-1.0)), {
        weight.dtype for weight in fitted.model.weights
    }


@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_mixed_precision_exports_a_forecast_of_the_same_width_in_float32(config, splits, tmp_path, precision):
    config = replace(config, fit=replace(config.fit, epochs=6, patience=6, learning_rate=2e-2))
    expected, _ = widths(config, splits, tmp_path / "plain")
    untrained, _ = widths(
        replace(config, fit=replace(config.fit, epochs=1, learning_rate=1e-9)), splits, tmp_path / "untrained"
    )
    assert np.abs(expected / untrained - 1).max() > 0.3  # so that weights left behind would show
    found, kinds = widths(replace(config, fit=replace(config.fit, precision=precision)), splits, tmp_path / "mixed")
    assert kinds == {"float32"}
    np.testing.assert_allclose(found, expected, rtol=0.15)
