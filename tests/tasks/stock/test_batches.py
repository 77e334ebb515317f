"""Windows hold the days they say, answers the returns that follow, and nothing reaches over an edge."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tasks.stock.batches import WindowBatches, forecasts, inputs_of, open_panel
from tasks.stock.model import FIELDS, trainer_of


@pytest.fixture
def panel(market, config):
    return open_panel(market.assign(judged=True), config.forecast)


def test_answers_are_the_log_returns_of_ones_own_ticker(market, panel, config):
    for row in range(len(market)):
        for k, horizon in enumerate(config.forecast.horizons):
            there = row + horizon
            same = there < len(market) and market["ticker"][there] == market["ticker"][row]
            learned = row - panel.first[row] >= config.forecast.fewest - 1
            if same and learned:
                expected = np.log(market["close"][there] / market["close"][row])
                assert panel.returns[row, k] == pytest.approx(expected, abs=1e-6)
            else:
                assert np.isnan(panel.returns[row, k])


def test_only_answers_on_judged_days_count(market, config):
    judged = market["day"] >= np.datetime64("2020-03-01")
    panel = open_panel(market.assign(judged=judged), config.forecast)
    for row, k in np.argwhere(np.isfinite(panel.returns)):
        assert judged[row + config.forecast.horizons[k]]
    assert np.isfinite(panel.returns[np.flatnonzero(judged)[0] - 1, 0])  # the day before is forecast from


def test_every_chosen_row_stands_in_one_window_of_a_pass_in_order(panel, config):
    batches = WindowBatches(panel, config.forecast, batch_size=4)
    answers = [returns.numpy() for _, returns in batches.evaluation_batches()]
    found = np.concatenate([part[np.isfinite(part)] for part in answers])
    assert sorted(found) == sorted(panel.returns[np.isfinite(panel.returns)])


def test_each_epoch_shows_every_answer_and_cuts_elsewhere(panel, config):
    batches = WindowBatches(panel, config.forecast, batch_size=4, seed=3)
    epochs = iter(batches.epochs(0))
    sizes = []
    for _ in range(2):
        parts = [next(epochs)[1].numpy() for _ in range(batches.steps)]
        found = np.concatenate([part[np.isfinite(part)] for part in parts])
        assert set(panel.returns[np.isfinite(panel.returns)]) <= set(found)
        sizes.append([np.isfinite(part).sum() for part in parts])
    assert sizes[0] != sizes[1]


def test_an_epoch_hangs_on_its_number_and_the_seed_alone(panel, config):
    first, again, other = (
        next(iter(WindowBatches(panel, config.forecast, 4, seed).epochs(epoch)))[1].numpy()
        for seed, epoch in ((1, 5), (1, 5), (2, 5))
    )
    np.testing.assert_array_equal(first, again)
    assert first.shape != other.shape or not np.array_equal(first, other, equal_nan=True)


def test_a_window_holds_its_days_and_those_that_lead_up_to_it(panel, config):
    batches = WindowBatches(panel, config.forecast, batch_size=4)
    windows = batches.cut(np.zeros(len(batches.spans), np.int64))
    *fields, length, returns = batches.batch(windows)
    for row, (start, end) in enumerate(windows):
        begin = max(start - config.forecast.history, panel.first[start])
        assert length[row] == end - begin
        for name, values in zip(FIELDS, fields, strict=True):
            np.testing.assert_array_equal(values[row, : end - begin], panel.fields[name][begin:end])
        np.testing.assert_array_equal(returns[row, start - begin : end - begin], panel.returns[start:end])
        assert np.isnan(returns[row, : start - begin]).all()


def test_forecasts_stand_at_their_rows(panel, config, views):
    batches = WindowBatches(panel, config.forecast)
    trainer = trainer_of(views.parts)
    found = forecasts(trainer, batches)
    asked = np.flatnonzero(panel.chosen)
    start, end = batches.cut(np.zeros(len(batches.spans), np.int64))[2]
    *fields, length, _ = batches.batch(np.array([[start, end]]))
    alone = trainer({**dict(zip(FIELDS, fields, strict=True)), "length": length})
    assert len(found) == len(asked)
    mine = np.searchsorted(asked, np.arange(start, end))
    np.testing.assert_allclose(found[mine], np.asarray(alone)[0, length[0] - (end - start) : length[0]], atol=1e-6)
    features, scale = inputs_of(views.parts, batches, config.lstm.units[-1])
    assert features.shape[1] == views.days.output["hidden"].shape[-1] - config.lstm.units[-1]
    assert features.shape[0] == len(asked)
    assert (scale > 0).all()


def test_a_ticker_that_vanishes_is_forecast_on_all_its_days(market, config, views):
    """Its judged days are fewer than its horizons are apart, so that its rows with an answer have gaps between them."""
    forecast = replace(config.forecast, horizons=(1, 9))
    gone = market[~((market["ticker"] == "AAA") & (market["day"] > np.datetime64("2020-03-03")))].reset_index(drop=True)
    panel = open_panel(gone.assign(judged=gone["day"] >= np.datetime64("2020-03-01")), forecast)
    asked = np.flatnonzero(panel.chosen)
    assert (np.diff(asked[panel.ticker[asked] == "AAA"]) > 1).any()
    found = forecasts(trainer_of(views.parts), WindowBatches(panel, forecast))
    assert len(found) == len(asked)
    assert (found[:, :, 1] > 0).all()
