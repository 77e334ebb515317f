"""A small market of random walks and an untrained model, for the tests of the stock task."""

from __future__ import annotations

import dataclasses
from typing import Any

import keras
import numpy as np
import pandas as pd
import pytest

from shared.config import LSTMConfig
from tasks.stock import model
from tasks.stock.calibration import KNOT_Z_SCORES
from tasks.stock.config import FeaturesConfig, ForecastConfig, ModelConfig, StockConfig, StockTrainingConfig


@pytest.fixture
def config() -> StockConfig:
    return StockConfig(
        features=FeaturesConfig(burn_in=12, window_length=8, min_history=6, half_lives=(1.0, 5.0, 20.0)),
        forecast=ForecastConfig(horizons=(1, 3)),
        model=ModelConfig(hidden_units=6),
        lstm=LSTMConfig(units=(5, 4)),
        training=StockTrainingConfig(epochs=2, batch_size=8, learning_rate=1e-2),
    )


@pytest.fixture
def metadata(config) -> dict[str, Any]:
    """Metadata of a model whose intervals are those of its distribution."""
    sections = ("columns", "features", "forecast", "evaluation")
    z_scores = np.tile(KNOT_Z_SCORES, (2, 1)).tolist()
    return {
        "task": "stock",
        **{name: dataclasses.asdict(getattr(config, name)) for name in sections},
        "z_scores": z_scores,
    }


@pytest.fixture
def market() -> pd.DataFrame:
    """Three tickers of 90, 60 and 90 days in the form of `tasks.stock.prices.read`; the second is listed 30 days later."""
    rng = np.random.default_rng(0)
    tables = []
    for name, start, count, deviation in (("AAA", 0, 90, 0.01), ("BBB", 30, 60, 0.03), ("CCC", 0, 90, 0.02)):
        close = 50 * np.exp(np.cumsum(rng.normal(0, deviation, count)))
        opening = close * np.exp(rng.normal(0, deviation / 3, count))
        table = {
            "ticker": name,
            "day": np.datetime64("2020-01-01", "s") + np.arange(start, start + count) * np.timedelta64(86_400, "s"),
            "open": opening,
            "high": np.maximum(opening, close) * 1.002,
            "low": np.minimum(opening, close) * 0.998,
            "close": close,
            "volume": rng.integers(1_000, 9_000, count).astype(float),
        }
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def builder(config) -> model.SubmodelBuilder:
    """An untrained model with large random weights in the head, so that forecasts differ from day to day."""
    keras.utils.set_random_seed(0)
    builder = model.SubmodelBuilder(config)
    rng = np.random.default_rng(0)
    for name in ("head_scale", "head_up"):
        layer = builder.head.get_layer(name)
        layer.set_weights([rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()])
    return builder
