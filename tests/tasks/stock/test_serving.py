"""Signatures by the state and without, and answers to a user's lines."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import DataError
from tasks.stock import serving
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.calibration import NORMAL_KNOTS
from tasks.stock.config import DirectionConfig, StockConfig
from tasks.stock.evaluate import exported
from tasks.stock.model import FIELDS, trainer_of
from tasks.stock.predictive import LEVELS, row_scores


@pytest.fixture
def metadata(config):
    import dataclasses

    return {
        "table": dataclasses.asdict(config.table),
        "forecast": dataclasses.asdict(config.forecast),
        "direction": {"rise": 0.002, "fall": 0.001},
        "normals": np.tile(1.2 * NORMAL_KNOTS, (2, 1)).tolist(),
    }


@pytest.fixture
def signatures(views, config, metadata):
    normals = np.asarray(metadata["normals"])
    return serving.export_spec(views.whole(serving.served_normals(normals, config.forecast.quantiles)), metadata).signatures


def request_of(market, ticker="AAA"):
    rows = market[market["ticker"] == ticker]
    fields = {name: tf.constant(rows[name].to_numpy(np.float32)[None]) for name in FIELDS}
    return {**fields, "length": tf.constant([len(rows)], tf.int32)}


def test_days_one_by_one_answer_as_all_at_once(signatures, market):
    request = request_of(market)
    memory = tf.constant(signatures["step"].example_request["state"][:1])
    for day in range(90):
        after = signatures["step"].function(**{name: request[name][:, day] for name in FIELDS}, memory=memory)
        memory = after["state"]
        if day in (0, 20, 89):
            part = {name: request[name][:, : day + 1] for name in FIELDS}
            whole = signatures["serving_default"].function(**part, length=tf.constant([day + 1]))
            for name, values in whole.items():
                np.testing.assert_allclose(after[name], values, rtol=1e-5, atol=1e-5)


def test_quantiles_are_prices_in_order_and_those_of_the_evaluation(signatures, market, views, metadata, config):
    request = request_of(market)
    answer = signatures["serving_default"].function(**request)
    quantiles = answer["price_quantiles"].numpy()[0]
    assert (np.diff(quantiles, axis=-1) > 0).all()
    parameters = np.asarray(trainer_of(views.parts)({n: v.numpy() for n, v in request.items()}))[:, -1]
    judged = exported(parameters, np.zeros((1, 2)), np.asarray(metadata["normals"])).quantiles[0]
    close = float(request["close"][0, -1])
    for k, level in enumerate(config.forecast.quantiles):
        expected = close * np.exp(judged[:, np.argmin(np.abs(LEVELS - level))])
        np.testing.assert_allclose(quantiles[:, k], expected, rtol=1e-4)
    spread = (judged[:, -20] - judged[:, 19]) / 2 / 1.2816
    np.testing.assert_allclose(answer["expected_volatility"][0], spread, rtol=0.35)


def test_the_keras_model_gives_the_same_quantiles(signatures, market, views, config, metadata):
    request = request_of(market)
    whole = views.whole(serving.served_normals(np.asarray(metadata["normals"]), config.forecast.quantiles))
    expected = signatures["serving_default"].function(**request)["price_quantiles"]
    np.testing.assert_allclose(whole(request), expected, rtol=1e-5)


@pytest.fixture
def call(signatures):
    def answer(request):
        found = signatures["serving_default"].function(**{k: tf.constant(v) for k, v in request.items()})
        return {name: value.numpy() for name, value in found.items()}

    return answer


def test_lines_are_answered_in_their_order_by_the_days_up_to_each(metadata, call, market):
    lines = list(serving.EXAMPLES)
    found = serving.predict(lines, metadata, call)
    assert found["price_quantiles"].shape == (len(lines), 2, 7)
    assert set(found) == {"price_quantiles", "expected_volatility", "up_probability", "median"}
    backwards = serving.predict(lines[::-1], metadata, call)
    np.testing.assert_allclose(backwards["up_probability"][::-1], found["up_probability"], atol=1e-6)
    fewer = serving.predict(lines[:-5], metadata, call)
    np.testing.assert_allclose(fewer["price_quantiles"], found["price_quantiles"][:-5], rtol=1e-5)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("no json", "line 2.*not JSON"),
        ('{"Ticker": "A"}', 'line 2: no "Date"'),
        ('{"Ticker": "A", "Date": "2020-01-01", "Close": -1}', "more than 0"),
    ],
)
def test_a_bad_line_is_named(metadata, call, line, complaint):
    good = json.dumps({"Ticker": "A", "Date": "2020-01-02", "Close": 3.0})
    with pytest.raises(DataError, match=complaint):
        serving.predict([good, line], metadata, call)


def test_a_file_is_judged_through_the_exported_model(metadata, call, market, tmp_path, config, views):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    market.rename(columns=names).to_csv(tmp_path / "new.csv", index=False)
    scores = serving.score_file(StockConfig(), str(tmp_path / "new.csv"), metadata, call)
    assert {score.model for score in scores} == {"exported"}
    found = {score.metric: score for score in scores}
    panel = open_panel(market.assign(judged=True), config.forecast)
    asked = np.flatnonzero(panel.chosen)
    returns = panel.returns[asked].astype(np.float64)
    parameters = forecasts(trainer_of(views.parts), WindowBatches(panel, config.forecast))
    own = row_scores(exported(parameters, returns, np.asarray(metadata["normals"])), returns)
    for k, horizon in enumerate(config.forecast.horizons):
        for metric, tolerance in (("crps", 0.05), ("coverage_80", 0.03)):
            expected = np.nanmean(own[metric][:, k])
            assert found[f"{metric}_{horizon}d"].value == pytest.approx(expected, rel=tolerance)


def test_the_moves_that_count_are_those_of_the_training(metadata):
    assert serving.settings_of(StockConfig(), metadata).direction == DirectionConfig(0.002, 0.001)
    asked = StockConfig(direction=DirectionConfig(0.01, 0.01))
    assert serving.settings_of(asked, metadata).direction == asked.direction
