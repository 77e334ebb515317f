"""Forecasts in blocks of whole tickers, and the walk-forward recalibration."""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from tasks.stock import forecasts
from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import KNOT_Z_SCORES
from tasks.stock.model import build_parameter_model
from tasks.stock.predictive import ScoredForecast
from tasks.stock.recalibration import compute_outcomes, walk_forward


def test_recalibrated_uses_the_outcomes_that_were_known_on_each_day(market, builder, config):
    days = np.unique(market["day"])
    validation, panel = (
        build_panel(
            market[market["day"] <= days[end]].assign(is_scored_row=lambda f, k=begin: f["day"] >= days[k]), config
        )
        for begin, end in ((0, 44), (45, 89))
    )
    returns = panel.returns[panel.has_outcome].astype(np.float64)
    parameter_model = build_parameter_model(builder.submodels)
    parameters, validation_parameters = (
        predict_parameters(parameter_model, WindowBatches(p, config.features)) for p in (panel, validation)
    )
    initial = np.tile(KNOT_Z_SCORES, (2, 1))
    forecaster = forecasts.recalibrated_forecaster(builder.submodels, initial, panel, parameters, validation, config)
    forecast = forecaster(slice(0, len(returns)))
    horizons = config.forecast.horizons
    validation_outcomes = compute_outcomes(validation, validation_parameters, horizons)
    periods = list(walk_forward(validation_outcomes, compute_outcomes(panel, parameters, horizons), horizons, initial))
    assert len(periods) > 1
    assert not np.allclose(periods[0][1], periods[-1][1])
    for rows, z_scores in periods:
        expected = forecasts.calibrated_forecast(parameters[rows], returns[rows], z_scores)
        np.testing.assert_allclose(forecast.quantiles[rows], expected.quantiles, rtol=1e-6)
        np.testing.assert_allclose(forecast.log_density[rows], expected.log_density, rtol=1e-6)
        np.testing.assert_allclose(forecast.up_probability[rows], expected.up_probability, rtol=1e-6)


def test_blocks_contain_whole_tickers(monkeypatch):
    monkeypatch.setattr(forecasts, "ROWS_PER_BLOCK", 4)
    first = np.repeat([0, 9, 20, 31], [3, 2, 5, 1])
    blocks = forecasts.split_into_blocks(first)
    assert np.concatenate([np.arange(11)[block] for block in blocks]).tolist() == list(range(11))
    assert len(blocks) > 1
    for block, following in pairwise(blocks):
        assert first[block.stop - 1] != first[following.start]


def test_a_scored_forecast_is_restored_from_its_predictions(market, config):
    panel = build_panel(market.assign(is_scored_row=True), config)
    horizons = config.forecast.horizons
    scored = forecasts.score_in_blocks(lambda block: forecasts.simple_forecast("ewma", panel, horizons, block), panel)
    restored = ScoredForecast.from_predictions(scored.as_predictions())
    assert set(restored.scores) == set(scored.scores)
    np.testing.assert_array_equal(restored.scores["crps"], scored.scores["crps"])
    np.testing.assert_array_equal(restored.median, scored.median)
