"""Settings that cannot work are refused, with what was received."""

from __future__ import annotations

from datetime import date

import pytest

from shared.config import LSTMConfig
from tasks.stock.config import DirectionConfig, ForecastConfig, ProtocolConfig, StockConfig, TableConfig


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        (ForecastConfig, {"horizons": (5, 1)}),
        (ForecastConfig, {"horizons": (0, 1)}),
        (ForecastConfig, {"quantiles": (0.1, 1.0)}),
        (ForecastConfig, {"history": 0}),
        (ForecastConfig, {"half_lives": ()}),
        (DirectionConfig, {"rise": -0.1}),
        (TableConfig, {"open": "Close"}),
        (ProtocolConfig, {"validation_from": date(2020, 1, 2), "test_from": date(2020, 1, 1)}),
        (ProtocolConfig, {"train_from": date(2020, 1, 2), "validation_from": date(2020, 1, 1)}),
        (StockConfig, {"lstm": LSTMConfig(bidirectional=True)}),
        (StockConfig, {"protocol": ProtocolConfig(paths=(21,))}),
        (StockConfig, {"protocol": ProtocolConfig(paths=(0,))}),
    ],
)
def test_what_cannot_be_is_refused(kind, values):
    with pytest.raises(ValueError, match="Received"):
        kind(**values)
