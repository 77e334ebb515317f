"""Calibration on recent outcomes: later outcomes are never used, and an exported version gets the new calibration."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from scipy.stats import norm

from shared import workflow
from shared.cli import main
from shared.errors import DataError, ExportError
from shared.export import publishing
from shared.export.versions import find_version, list_versions, load_metadata
from shared.task import trained_config
from tasks.stock import recalibration
from tasks.stock.batches import WindowBatches, build_panel, predict_parameters
from tasks.stock.calibration import KNOT_Z_SCORES, interpolate_z_scores
from tasks.stock.config import FIELDS
from tasks.stock.inputs import READERS
from tasks.stock.model import build_parameter_model
from tasks.stock.recalibration import (
    CALIBRATION_DAYS,
    UPDATE_DAYS,
    Outcomes,
    compute_outcomes,
    initial_z_scores,
    recalibrate,
    recent_z_scores,
    walk_forward,
)
from tasks.stock.serving import EXAMPLES, export_spec, exported_z_scores
from tasks.stock.train import TASK


def generate_outcomes(days, scale, tickers=20, horizon=1, seed=0):
    """Returns outcomes of several tickers on days counted from 0, with the standard deviation `scale` of each day."""
    rng = np.random.default_rng(seed)
    day = np.tile(days, tickers)
    return Outcomes((rng.normal(size=len(day)) * np.tile(scale, tickers))[:, None], day, (day + horizon)[:, None])


def relative_width(z_scores):
    """Returns the width of the calibrated 80 % interval relative to a standard normal one."""
    return interpolate_z_scores(z_scores, norm.ppf([0.9]))[0] / norm.ppf(0.9)


def test_the_calibration_uses_only_the_last_year():
    days = np.arange(900)
    outcomes = generate_outcomes(days, np.where(days < 500, 0.5, 2.0))
    calendar = np.arange(901)
    assert relative_width(recent_z_scores(outcomes, calendar, 500, (1,))[0]) == pytest.approx(0.5, rel=0.05)
    assert relative_width(recent_z_scores(outcomes, calendar, 500 + CALIBRATION_DAYS, (1,))[0]) == pytest.approx(
        2.0, rel=0.05
    )


def test_an_outcome_that_is_not_yet_known_changes_nothing():
    days = np.arange(400)
    outcomes = generate_outcomes(days, np.ones(400), horizon=20)
    today = 300
    other = np.where(outcomes.known_day > today, 99.0, outcomes.z_scores)
    np.testing.assert_array_equal(
        recent_z_scores(outcomes, np.arange(420), today, (20,)),
        recent_z_scores(dataclasses.replace(outcomes, z_scores=other), np.arange(420), today, (20,)),
    )
    last = np.where(outcomes.known_day == today, 99.0, outcomes.z_scores)
    assert not np.array_equal(
        recent_z_scores(outcomes, np.arange(420), today, (20,)),
        recent_z_scores(dataclasses.replace(outcomes, z_scores=last), np.arange(420), today, (20,)),
    )


def test_walk_forward_follows_a_change_and_never_uses_later_outcomes():
    before = generate_outcomes(np.arange(250), np.ones(250))
    test = generate_outcomes(np.arange(250, 850), np.full(600, 2.0), seed=1)
    periods = list(walk_forward(before, test, (1,)))
    assert sorted(np.concatenate([rows for rows, _ in periods])) == list(range(len(test.day)))
    assert all(np.ptp(test.day[rows]) < UPDATE_DAYS for rows, _ in periods)
    assert relative_width(periods[0][1][0]) == pytest.approx(1.0, rel=0.05)
    assert relative_width(periods[-1][1][0]) == pytest.approx(2.0, rel=0.05)
    is_inside = np.concatenate(
        [
            np.abs(test.z_scores[rows, 0]) <= interpolate_z_scores(z_scores[0], norm.ppf([0.9]))[0]
            for rows, z_scores in periods[13:]
        ]
    )
    assert is_inside.mean() == pytest.approx(0.8, abs=0.02)
    for number, (rows, z_scores) in enumerate(periods):
        first = test.day[rows].min()
        future = np.where(test.known_day > first, 99.0, test.z_scores)
        again = list(walk_forward(before, dataclasses.replace(test, z_scores=future), (1,)))[number]
        np.testing.assert_array_equal(again[1], z_scores)


def test_an_outcome_is_known_on_a_day_of_its_own_ticker(market, builder, config):
    panel = build_panel(market.assign(is_scored_row=True), config)
    parameter_model = build_parameter_model(builder.submodels)
    parameters = predict_parameters(parameter_model, WindowBatches(panel, config.features))
    outcomes = compute_outcomes(panel, parameters, config.forecast.horizons)
    rows = np.flatnonzero(panel.has_outcome)
    for k, horizon in enumerate(config.forecast.horizons):
        is_known = np.isfinite(outcomes.z_scores[:, k])
        np.testing.assert_array_equal(is_known, np.isfinite(panel.returns[rows, k]))
        np.testing.assert_array_equal(outcomes.known_day[is_known, k], panel.day[rows[is_known] + horizon])


@pytest.fixture
def file(market, tmp_path):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    path = tmp_path / "prices.csv"
    market.rename(columns=names).to_csv(path, index=False)
    return path


def read(metadata, file):
    return READERS.read_newer(dataclasses.replace(trained_config(metadata), data=str(file)), metadata)


def test_a_loaded_model_gets_a_new_calibration_and_keeps_its_weights(
    builder, config, metadata, file, market, tmp_path, monkeypatch
):
    monkeypatch.setattr(recalibration, "MIN_OUTCOMES", 100)
    z_scores = exported_z_scores(np.asarray(metadata["z_scores"]), config.forecast.quantiles)
    builder.full_model(z_scores).save(tmp_path / "a.keras")
    old = keras.models.load_model(tmp_path / "a.keras", compile=False)
    newer = read(metadata, file)
    new, new_metadata, changes = recalibrate(newer, old, metadata)
    assert new_metadata["calibrated_until"] == changes["prices until"] == "2020-03-30"
    new.save(tmp_path / "b.keras")
    new = keras.models.load_model(tmp_path / "b.keras", compile=False)
    rows = market[market["ticker"] == "AAA"]
    request = {name: rows[name].to_numpy(np.float32)[None] for name in FIELDS} | {"length": np.array([90], np.int32)}
    before, after = (np.log(m(request).numpy()[0]) for m in (old, new))
    exported = exported_z_scores(np.asarray(new_metadata["z_scores"]), config.forecast.quantiles)
    assert not np.allclose(exported[0], norm.ppf(config.forecast.quantiles), atol=0.05)
    restored = np.interp(
        after[0], before[0], norm.ppf(config.forecast.quantiles)
    )  # almost linear between two quantiles
    inner = np.abs(exported[0]) < 1.9
    np.testing.assert_allclose(restored[inner], exported[0][inner], atol=0.1)
    again, repeated_metadata, _ = recalibrate(newer, new, new_metadata)
    assert repeated_metadata == new_metadata  # it uses the forecasts before calibration
    np.testing.assert_allclose(again(request), new(request), rtol=1e-6)


def test_recalibration_publishes_a_new_version_and_keeps_the_old_one(
    full_model, metadata, file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(recalibration, "MIN_OUTCOMES", 100)
    folder = tmp_path / "models" / "stock"

    def add_report(staging):
        (staging / "card.md").write_text("the card")
        (staging / "report.html").write_text('<p id="note"></p>')

    first = publishing.publish(export_spec(full_model, metadata), folder, add_report)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    arguments = ["recalibrate", "stock", "--data", str(file), "--models", str(tmp_path / "models")]
    assert main(arguments) == 0
    second = find_version(folder)
    assert second.name == "2"
    card = (second / "card.md").read_text()
    assert card.startswith("> Recalibrated on")
    assert "prices until: 2020-03-30" in card
    assert card.endswith("the card")
    report = (second / "report.html").read_text()
    assert report.startswith('<p id="note">Recalibrated on')
    assert report.endswith("the calibration from training.</p>")
    assert load_metadata(second)["calibrated_until"] == "2020-03-30"
    assert "80 % interval" in capsys.readouterr().out
    old, new = (
        workflow.predict_lines(TASK, version, EXAMPLES).predictions.filter(like="price_q").astype(float)
        for version in (first, second)
    )
    assert not np.allclose(old, new, rtol=1e-4)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(publishing, "verify", lambda export_spec, staging: _fail())
        assert main(arguments) == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == after
    file.write_text("Ticker,Date,Close\n")
    assert main(arguments) == 2
    assert list_versions(folder) == [first, second]
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def _fail():
    raise ExportError("the disk is full")


@pytest.fixture
def full_model(builder, config, metadata):
    z_scores = exported_z_scores(np.asarray(metadata["z_scores"]), config.forecast.quantiles)
    return builder.full_model(z_scores)


def test_too_few_outcomes_raise_an_error_that_says_what_is_missing(full_model, metadata, file, monkeypatch):
    market = file.read_text().splitlines()
    file.write_text("\n".join(line for line in market if "BBB" not in line and "CCC" not in line))
    monkeypatch.setattr(recalibration, "MIN_OUTCOMES", 200)
    with pytest.raises(DataError, match=r"needs 200 forecasts of 1 trading days\. Received: 78\."):
        recalibrate(read(metadata, file), full_model, metadata)


def test_training_days_do_not_count(full_model, metadata, file, monkeypatch):
    """The outcomes of training days are too good."""
    monkeypatch.setattr(recalibration, "MIN_OUTCOMES", 10)
    _, all_days, _ = recalibrate(read(metadata, file), full_model, metadata)
    _, later, changes = recalibrate(read(metadata, file), full_model, {**metadata, "trained_until": "2020-03-10"})
    assert later["z_scores"] != all_days["z_scores"]
    assert changes["1 trading days"].startswith(f"{3 * 19:,} outcomes")  # 11 to 29 March, three tickers
    with pytest.raises(DataError, match="after the training days, up to 2020-03-29"):
        recalibrate(read(metadata, file), full_model, {**metadata, "trained_until": "2020-03-29"})


def test_prices_older_than_the_calibration_raise_an_error(metadata, file):
    with pytest.raises(DataError, match=r"end on 2020-03-30, but the model was calibrated on prices until 2020-04-01"):
        read({**metadata, "calibrated_until": "2020-04-01"}, file)


def test_few_outcomes_change_the_calibration_a_little_and_many_replace_it():
    initial = 1.5 * np.tile(KNOT_Z_SCORES, (1, 1))
    few, many = (
        relative_width(recent_z_scores(outcomes, np.arange(260), 259, (1,), initial)[0])
        for outcomes in (
            generate_outcomes(np.arange(10), np.ones(10), tickers=1),
            generate_outcomes(np.arange(250), np.ones(250)),
        )
    )
    assert 1.3 < few < 1.6  # wider by the error of the scale
    assert many == pytest.approx(1.0, abs=0.05)


def test_a_new_model_is_calibrated_on_training_days_only_if_the_held_out_days_are_few():
    def training():
        return generate_outcomes(np.arange(200), np.full(200, 2.0), tickers=1, horizon=20)

    few = generate_outcomes(np.arange(200, 240), np.ones(40), tickers=1, horizon=20)
    _, counts = initial_z_scores(few, training, (20,))
    assert counts[0] == pytest.approx(240 / 20)
    enough = generate_outcomes(np.arange(200, 900), np.ones(700), tickers=1, horizon=20)
    z_scores, counts = initial_z_scores(enough, lambda: pytest.fail("the training days are not needed"), (20,))
    assert counts[0] == pytest.approx(700 / 20)
    assert relative_width(z_scores[0]) < 1.2
