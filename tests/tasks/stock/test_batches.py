"""Panels and windows: their days, their outcomes, and that none crosses a ticker or a split."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.stock.batches import WindowBatches, build_panel, compute_features, predict_parameters
from tasks.stock.config import FIELDS
from tasks.stock.model import build_parameter_model


@pytest.fixture
def panel(market, config):
    return build_panel(market.assign(is_scored_row=True), config)


def test_outcomes_are_log_returns_of_the_same_ticker(market, panel, config):
    for row in range(len(market)):
        for k, horizon in enumerate(config.forecast.horizons):
            later = row + horizon
            is_same_ticker = later < len(market) and market["ticker"][later] == market["ticker"][row]
            has_history = row - panel.first[row] >= config.features.min_history - 1
            if is_same_ticker and has_history:
                expected = np.log(market["close"][later] / market["close"][row])
                assert panel.returns[row, k] == pytest.approx(expected, abs=1e-6)
            else:
                assert np.isnan(panel.returns[row, k])


def test_only_outcomes_on_scored_days_count(market, config):
    is_scored = market["day"] >= np.datetime64("2020-03-01")
    panel = build_panel(market.assign(is_scored_row=is_scored), config)
    for row, k in np.argwhere(np.isfinite(panel.returns)):
        assert is_scored[row + config.forecast.horizons[k]]
    first = np.flatnonzero(is_scored)[0]
    assert np.isfinite(panel.returns[first - 1, 0])  # the forecast of the first scored day is made the day before


def test_evaluation_batches_contain_each_outcome_once(panel, config):
    batches = WindowBatches(panel, config.features, batch_size=4)
    parts = [returns.numpy() for _, returns in batches.evaluation_batches()]
    outcomes = np.concatenate([part[np.isfinite(part)] for part in parts])
    assert sorted(outcomes) == sorted(panel.returns[np.isfinite(panel.returns)])


def test_each_epoch_contains_all_outcomes_with_other_boundaries(panel, config):
    batches = WindowBatches(panel, config.features, batch_size=4, seed=3)
    epochs = iter(batches.epochs(0))
    sizes = []
    for _ in range(2):
        parts = [next(epochs)[1].numpy() for _ in range(batches.steps)]
        outcomes = np.concatenate([part[np.isfinite(part)] for part in parts])
        assert set(panel.returns[np.isfinite(panel.returns)]) <= set(outcomes)
        sizes.append([np.isfinite(part).sum() for part in parts])
    assert sizes[0] != sizes[1]


def test_an_epoch_depends_only_on_its_number_and_the_seed(panel, config):
    first, same, other = (
        next(iter(WindowBatches(panel, config.features, 4, seed).epochs(epoch)))[1].numpy()
        for seed, epoch in ((1, 5), (1, 5), (2, 5))
    )
    np.testing.assert_array_equal(first, same)
    assert first.shape != other.shape or not np.array_equal(first, other, equal_nan=True)


def test_a_window_contains_its_days_and_its_burn_in(panel, config):
    batches = WindowBatches(panel, config.features, batch_size=4)
    windows = batches.cut(np.zeros(len(batches.spans), np.int64))
    inputs, returns = batches.collate(windows)
    for row, (start, end) in enumerate(windows):
        begin = max(start - config.features.burn_in, panel.first[start])
        assert inputs["length"][row] == end - begin
        for name in FIELDS:
            np.testing.assert_array_equal(inputs[name][row, : end - begin], panel.fields[name][begin:end])
        np.testing.assert_array_equal(returns[row, start - begin : end - begin], panel.returns[start:end])
        assert np.isnan(returns[row, : start - begin]).all()


def test_predictions_are_in_the_order_of_the_rows(panel, config, builder):
    batches = WindowBatches(panel, config.features)
    parameter_model = build_parameter_model(builder.submodels)
    parameters = predict_parameters(parameter_model, batches)
    rows = np.flatnonzero(panel.has_outcome)
    start, end = batches.cut(np.zeros(len(batches.spans), np.int64))[2]
    inputs, _ = batches.collate(np.array([[start, end]]))
    expected, length = parameter_model(inputs), inputs["length"]
    assert len(parameters) == len(rows)
    position = np.searchsorted(rows, np.arange(start, end))
    expected = np.asarray(expected)[0, length[0] - (end - start) : length[0]]
    np.testing.assert_allclose(parameters[position], expected, atol=1e-6)
    features, scale = compute_features(builder.submodels, batches, config.lstm.units[-1])
    assert features.shape[1] == builder.days.output["hidden"].shape[-1] - config.lstm.units[-1]
    assert features.shape[0] == len(rows)
    assert (scale > 0).all()


def test_a_ticker_that_is_delisted_is_forecast_on_all_its_days(market, config, builder):
    """It has fewer scored days than the horizons are apart, so there are gaps between its rows with an outcome."""
    config = replace(config, forecast=replace(config.forecast, horizons=(1, 9)))
    is_delisted = (market["ticker"] == "AAA") & (market["day"] > np.datetime64("2020-03-03"))
    frame = market[~is_delisted].reset_index(drop=True)
    panel = build_panel(frame.assign(is_scored_row=frame["day"] >= np.datetime64("2020-03-01")), config)
    rows = np.flatnonzero(panel.has_outcome)
    assert (np.diff(rows[panel.ticker[rows] == "AAA"]) > 1).any()
    parameters = predict_parameters(build_parameter_model(builder.submodels), WindowBatches(panel, config.features))
    assert len(parameters) == len(rows)
    assert (parameters[:, :, 1] > 0).all()
