"""The model reads no future, knows no unit of price, and takes days one by one or all at once."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.stock.model import FIELDS, SubmodelBuilder, distribution_of, trainer_of


def series(market, ticker: str = "AAA") -> dict[str, np.ndarray]:
    rows = market[market["ticker"] == ticker]
    fields = {name: rows[name].to_numpy(np.float32)[None] for name in FIELDS}
    return {**fields, "length": np.array([len(rows)], np.int32)}


@pytest.fixture
def read(views):
    trainer = trainer_of(views.parts)
    return lambda inputs: np.asarray(trainer(inputs))


@pytest.mark.parametrize("name", FIELDS)
def test_the_future_changes_no_forecast(market, read, name):
    inputs = series(market)
    before = read(inputs)
    changed = {**inputs, name: inputs[name].copy()}
    changed[name][:, 40:] *= 1.5
    after = read(changed)
    np.testing.assert_array_equal(after[:, :40], before[:, :40])
    assert np.abs(after[:, 40:] - before[:, 40:]).max() > 1e-4


def test_a_unit_of_price_or_of_volume_changes_no_forecast(market, read):
    inputs = series(market)
    scaled = {name: value / 4096 if name != "length" else value for name, value in inputs.items()}
    np.testing.assert_allclose(read(scaled), read(inputs), atol=2e-5)


def test_padding_and_neighbours_change_nothing(market, read):
    long, short = series(market), series(market, "BBB")
    together = {
        name: np.concatenate([value, np.pad(short[name], [(0, 0), (0, 30)]) if name != "length" else short[name]])
        for name, value in long.items()
    }
    found = read(together)
    np.testing.assert_allclose(found[:1], read(long), atol=1e-6)
    np.testing.assert_allclose(found[1:, :60], read(short), atol=1e-6)


def test_days_in_two_parts_equal_the_whole(market, views):
    inputs = series(market)
    memory = np.zeros((1, views.state_size), np.float32)
    whole = views.days({**inputs, "state": memory})
    cut = 37
    first = {**{n: inputs[n][:, :cut] for n in FIELDS}, "length": np.array([cut], np.int32), "state": memory}
    after = views.days(first)
    rest = {
        **{n: inputs[n][:, cut:] for n in FIELDS},
        "length": inputs["length"] - cut,
        "state": np.asarray(after["state"]),
    }
    second = views.days(rest)
    np.testing.assert_allclose(second["hidden"], np.asarray(whole["hidden"])[:, cut:], atol=1e-5)
    np.testing.assert_allclose(second["scale"], np.asarray(whole["scale"])[:, cut:], rtol=1e-5)
    np.testing.assert_allclose(second["state"], whole["state"], rtol=1e-5, atol=1e-5)


def test_without_a_range_the_volatility_is_that_of_the_closes(market, views, config):
    inputs = series(market)
    bare = {**inputs, **{name: np.full_like(inputs[name], np.nan) for name in ("open", "high", "low", "volume")}}
    found = views.days({**bare, "state": np.zeros((1, views.state_size), np.float32)})
    change = np.diff(np.log(inputs["close"][0].astype(float)))
    weights = 0.5 ** (np.arange(len(change))[::-1] / 20.0)
    expected = np.sqrt(np.sum(weights * change**2) / weights.sum())
    assert float(found["scale"][0, -1]) == pytest.approx(expected, rel=1e-3)


def test_what_is_not_known_leaves_a_finite_forecast(market, read):
    inputs = series(market)
    for names in (("volume",), ("open",), ("high", "low"), ("open", "high", "low", "volume")):
        bare = {**inputs, **{name: np.zeros_like(inputs[name]) for name in names}}
        assert np.isfinite(read(bare)).all()


def test_a_price_that_stands_still_has_a_forecast(views, read):
    still = {name: np.full((1, 30), 7.0, np.float32) for name in FIELDS}
    found = read({**still, "length": np.array([30], np.int32)})
    assert np.isfinite(found).all()
    assert (found[..., 1] > 0).all()


def test_a_high_below_the_close_is_no_high(market, read):
    inputs = series(market)
    dirty = {**inputs, "high": inputs["high"].copy()}
    dirty["high"][:, 20] = 0.5 * inputs["close"][:, 20]
    mended = {**inputs, "high": inputs["high"].copy()}
    mended["high"][:, 20] = np.maximum(inputs["open"], inputs["close"])[:, 20]
    np.testing.assert_allclose(read(dirty), read(mended), atol=1e-6)


def test_a_still_middle_is_the_last_price_whatever_was_learned(market, config):
    views = SubmodelBuilder(dataclasses.replace(config, forecast=dataclasses.replace(config.forecast, middle="still")))
    rng = np.random.default_rng(0)
    views.head.set_weights([rng.normal(0, 1, weight.shape) for weight in views.head.get_weights()])
    found = distribution_of(trainer_of(views.parts)(series(market)))
    np.testing.assert_array_equal(np.asarray(found.from_normal(0.0)), 0)
    np.testing.assert_allclose(found.from_normal(1.5), -np.asarray(found.from_normal(-1.5)), rtol=1e-5)


def test_with_reversion_the_middle_hangs_on_the_way_from_the_averages(market, config):
    forecast = dataclasses.replace(config.forecast, middle="reversion")
    views = SubmodelBuilder(dataclasses.replace(config, forecast=forecast))
    back = views.head.get_layer("head_reversion")
    weights = np.zeros(back.get_weights()[0].shape)
    weights[1, 1] = -0.5  # of the half-life of 5 days, at the second horizon
    inputs = series(market)
    before = np.asarray(trainer_of(views.parts)(inputs))[0, :, :, 0]
    back.set_weights([weights])
    after = np.asarray(trainer_of(views.parts)(inputs))[0, :, :, 0]
    close = np.log(inputs["close"][0].astype(float))
    average = np.empty_like(close)
    average[0] = close[0]
    for k in range(1, len(close)):
        average[k] = 0.5 ** (1 / 5) * average[k - 1] + (1 - 0.5 ** (1 / 5)) * close[k]
    np.testing.assert_array_equal(after[:, 0], before[:, 0])
    np.testing.assert_allclose((after - before)[:, 1], -0.5 * (close - average), atol=1e-5)
