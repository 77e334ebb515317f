"""The model: no later prices, no units, and equal results for whole series and single steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.stock.config import FIELDS
from tasks.stock.model import SubmodelBuilder, build_distribution, build_parameter_model


def series_of(market, ticker: str = "AAA") -> dict[str, np.ndarray]:
    rows = market[market["ticker"] == ticker]
    fields = {name: rows[name].to_numpy(np.float32)[None] for name in FIELDS}
    return {**fields, "length": np.array([len(rows)], np.int32)}


@pytest.fixture
def predict(builder):
    parameter_model = build_parameter_model(builder.submodels)
    return lambda inputs: np.asarray(parameter_model(inputs))


@pytest.mark.parametrize("name", FIELDS)
def test_later_prices_do_not_change_a_forecast(market, predict, name):
    inputs = series_of(market)
    before = predict(inputs)
    changed = {**inputs, name: inputs[name].copy()}
    changed[name][:, 40:] *= 1.5
    after = predict(changed)
    np.testing.assert_array_equal(after[:, :40], before[:, :40])
    assert np.abs(after[:, 40:] - before[:, 40:]).max() > 1e-4


def test_the_units_of_price_and_volume_do_not_change_a_forecast(market, predict):
    inputs = series_of(market)
    scaled = {name: value / 4096 if name != "length" else value for name, value in inputs.items()}
    np.testing.assert_allclose(predict(scaled), predict(inputs), atol=2e-5)


def test_padding_and_other_series_of_a_batch_change_nothing(market, predict):
    long, short = series_of(market), series_of(market, "BBB")
    batch = {
        name: np.concatenate([value, np.pad(short[name], [(0, 0), (0, 30)]) if name != "length" else short[name]])
        for name, value in long.items()
    }
    parameters = predict(batch)
    np.testing.assert_allclose(parameters[:1], predict(long), atol=1e-6)
    np.testing.assert_allclose(parameters[1:, :60], predict(short), atol=1e-6)


def test_two_parts_of_a_series_equal_the_whole(market, builder):
    inputs = series_of(market)
    state = np.zeros((1, builder.state_size), np.float32)
    whole = builder.days({**inputs, "state": state})
    cut = 37
    first = {**{n: inputs[n][:, :cut] for n in FIELDS}, "length": np.array([cut], np.int32), "state": state}
    after = builder.days(first)
    rest = {
        **{n: inputs[n][:, cut:] for n in FIELDS},
        "length": inputs["length"] - cut,
        "state": np.asarray(after["state"]),
    }
    second = builder.days(rest)
    np.testing.assert_allclose(second["hidden"], np.asarray(whole["hidden"])[:, cut:], atol=1e-5)
    np.testing.assert_allclose(second["scale"], np.asarray(whole["scale"])[:, cut:], rtol=1e-5)
    np.testing.assert_allclose(second["state"], whole["state"], rtol=1e-5, atol=1e-5)


def test_with_closes_alone_the_volatility_is_that_of_the_closes(market, builder, config):
    inputs = series_of(market)
    closes = {**inputs, **{name: np.full_like(inputs[name], np.nan) for name in ("open", "high", "low", "volume")}}
    outputs = builder.days({**closes, "state": np.zeros((1, builder.state_size), np.float32)})
    change = np.diff(np.log(inputs["close"][0].astype(float)))
    weights = 0.5 ** (np.arange(len(change))[::-1] / 20.0)
    expected = np.sqrt(np.sum(weights * change**2) / weights.sum())
    assert float(outputs["scale"][0, -1]) == pytest.approx(expected, rel=1e-3)


def test_forecasts_are_finite_if_fields_are_unknown(market, predict):
    inputs = series_of(market)
    for names in (("volume",), ("open",), ("high", "low"), ("open", "high", "low", "volume")):
        incomplete = {**inputs, **{name: np.zeros_like(inputs[name]) for name in names}}
        assert np.isfinite(predict(incomplete)).all()


def test_a_constant_price_has_a_forecast(predict):
    constant = {name: np.full((1, 30), 7.0, np.float32) for name in FIELDS}
    parameters = predict({**constant, "length": np.array([30], np.int32)})
    assert np.isfinite(parameters).all()
    assert (parameters[..., 1] > 0).all()


def test_a_high_below_the_close_is_replaced(market, predict):
    inputs = series_of(market)
    invalid = {**inputs, "high": inputs["high"].copy()}
    invalid["high"][:, 20] = 0.5 * inputs["close"][:, 20]
    corrected = {**inputs, "high": inputs["high"].copy()}
    corrected["high"][:, 20] = np.maximum(inputs["open"], inputs["close"])[:, 20]
    np.testing.assert_allclose(predict(invalid), predict(corrected), atol=1e-6)


def test_a_fixed_location_is_the_last_price_for_any_weights(market, config):
    forecast = dataclasses.replace(config.forecast, location="fixed")
    builder = SubmodelBuilder(dataclasses.replace(config, forecast=forecast))
    rng = np.random.default_rng(0)
    builder.head.set_weights([rng.normal(0, 1, weight.shape) for weight in builder.head.get_weights()])
    distribution = build_distribution(build_parameter_model(builder.submodels)(series_of(market)))
    np.testing.assert_array_equal(np.asarray(distribution.from_z_score(0.0)), 0)
    upper, lower = distribution.from_z_score(1.5), np.asarray(distribution.from_z_score(-1.5))
    np.testing.assert_allclose(upper, -lower, rtol=1e-5)


def test_with_reversion_the_location_depends_on_the_distance_from_the_averages(market, config):
    forecast = dataclasses.replace(config.forecast, location="reversion")
    builder = SubmodelBuilder(dataclasses.replace(config, forecast=forecast))
    layer = builder.head.get_layer("head_reversion")
    weights = np.zeros(layer.get_weights()[0].shape)
    weights[1, 1] = -0.5  # for the half-life of 5 days, at the second horizon
    parameter_model = build_parameter_model(builder.submodels)
    inputs = series_of(market)
    before = np.asarray(parameter_model(inputs))[0, :, :, 0]
    layer.set_weights([weights])
    after = np.asarray(parameter_model(inputs))[0, :, :, 0]
    close = np.log(inputs["close"][0].astype(float))
    average = np.empty_like(close)
    average[0] = close[0]
    for k in range(1, len(close)):
        average[k] = 0.5 ** (1 / 5) * average[k - 1] + (1 - 0.5 ** (1 / 5)) * close[k]
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    np.testing.assert_allclose((after - before)[:, 1], -0.5 * (close - average), atol=1e-5)
