"""A little market of random walks, and an untrained model of it, for the stock task's tests."""

from __future__ import annotations

import keras
import numpy as np
import pandas as pd
import pytest

from shared.config import LSTMConfig, TrainingConfig
from tasks.stock import model
from tasks.stock.config import ForecastConfig, StockConfig


@pytest.fixture
def config() -> StockConfig:
    return StockConfig(
        lstm=LSTMConfig(units=(5, 4)),
        training=TrainingConfig(epochs=2, batch_size=8, learning_rate=1e-2),
        forecast=ForecastConfig(
            horizons=(1, 3), history=12, window=8, fewest=6, half_lives=(1.0, 5.0, 20.0), hidden_units=6
        ),
    )


@pytest.fixture
def market() -> pd.DataFrame:
    """Three tickers of 90, 60 and 90 days, as `tasks.stock.prices.read` returns them, sorted; one lists late."""
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
def views(config) -> model.SubmodelBuilder:
    """An untrained model, its head stirred so that days differ."""
    keras.utils.set_random_seed(0)
    views = model.SubmodelBuilder(config)
    rng = np.random.default_rng(0)
    for name in ("head_scale", "head_rise"):
        layer = views.head.get_layer(name)
        layer.set_weights([rng.normal(0, 0.3, weight.shape) for weight in layer.get_weights()])
    return views
