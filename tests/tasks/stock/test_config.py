"""Validation of the settings."""

from __future__ import annotations

from datetime import date

import pytest

from tasks.stock.config import (
    ColumnsConfig,
    EvaluationConfig,
    FeaturesConfig,
    ForecastConfig,
    StockConfig,
    StockSplitConfig,
)


@pytest.mark.parametrize(
    ("section", "values"),
    [
        (ForecastConfig, {"horizons": (5, 1)}),
        (ForecastConfig, {"horizons": (0, 1)}),
        (ForecastConfig, {"quantiles": (0.1, 1.0)}),
        (FeaturesConfig, {"burn_in": 0}),
        (FeaturesConfig, {"half_lives": ()}),
        (EvaluationConfig, {"up_threshold": -0.1}),
        (ColumnsConfig, {"open": "Close"}),
        (StockSplitConfig, {"validation_from": date(2020, 1, 2), "test_from": date(2020, 1, 1)}),
        (StockSplitConfig, {"training_from": date(2020, 1, 2), "validation_from": date(2020, 1, 1)}),
        (StockConfig, {"evaluation": EvaluationConfig(trajectory_days=(21,))}),
        (StockConfig, {"evaluation": EvaluationConfig(trajectory_days=(0,))}),
    ],
)
def test_an_invalid_setting_raises_an_error_with_the_received_value(section, values):
    with pytest.raises(ValueError, match="Received"):
        section(**values)
