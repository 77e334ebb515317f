"""Calibration by recent answers: what was not known on the day is not used, and an exported model takes it up."""

from __future__ import annotations

import dataclasses

import keras
import numpy as np
import pytest
from scipy.stats import norm

from shared import export, workflow
from shared.cli import main
from shared.errors import DataError, ExportError
from tasks.stock import recalibration
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.calibration import NORMAL_KNOTS, between
from tasks.stock.config import StockConfig
from tasks.stock.model import FIELDS, trainer_of
from tasks.stock.recalibration import RECENT, REFRESH, Answers, answers_of, recalibrate, recent_normals, walk_forward
from tasks.stock.serving import EXAMPLES, export_spec, served_normals
from tasks.stock.train import TASK


def answers(days, scale, tickers=20, horizon=1, seed=0):
    """Answers of so many tickers on days counted from 0, spread by `scale` of each day."""
    rng = np.random.default_rng(seed)
    day = np.tile(days, tickers)
    return Answers((rng.normal(size=len(day)) * np.tile(scale, tickers))[:, None], day, (day + horizon)[:, None])


def spread(normals):
    """How wide the calibrated 80 % interval is beside a standard normal one."""
    return between(normals, norm.ppf([0.9]))[0] / norm.ppf(0.9)


def test_the_calibration_is_that_of_the_last_year_alone():
    days = np.arange(900)
    calm_then_wild = answers(days, np.where(days < 500, 0.5, 2.0))
    calendar = np.arange(901)
    assert spread(recent_normals(calm_then_wild, calendar, 500)[0]) == pytest.approx(0.5, rel=0.05)
    assert spread(recent_normals(calm_then_wild, calendar, 500 + RECENT)[0]) == pytest.approx(2.0, rel=0.05)


def test_an_answer_not_known_yet_changes_nothing():
    days = np.arange(400)
    some = answers(days, np.ones(400), horizon=20)
    today = 300
    other = np.where(some.known > today, 99.0, some.numbers)
    np.testing.assert_array_equal(
        recent_normals(some, np.arange(420), today),
        recent_normals(dataclasses.replace(some, numbers=other), np.arange(420), today),
    )
    last = np.where(some.known == today, 99.0, some.numbers)
    assert not np.array_equal(
        recent_normals(some, np.arange(420), today),
        recent_normals(dataclasses.replace(some, numbers=last), np.arange(420), today),
    )


def test_walking_forward_follows_a_change_and_no_day_is_calibrated_by_what_came_after():
    before, test = answers(np.arange(250), np.ones(250)), answers(np.arange(250, 850), np.full(600, 2.0), seed=1)
    periods = list(walk_forward(before, test))
    assert sorted(np.concatenate([rows for rows, _ in periods])) == list(range(len(test.day)))
    assert all(np.ptp(test.day[rows]) < REFRESH for rows, _ in periods)
    assert spread(periods[0][1][0]) == pytest.approx(1.0, rel=0.05)
    assert spread(periods[-1][1][0]) == pytest.approx(2.0, rel=0.05)
    inside = np.concatenate(
        [np.abs(test.numbers[rows, 0]) <= between(normals[0], norm.ppf([0.9]))[0] for rows, normals in periods[13:]]
    )
    assert inside.mean() == pytest.approx(0.8, abs=0.02)
    for number, (rows, normals) in enumerate(periods):
        first = test.day[rows].min()
        future = np.where(test.known > first, 99.0, test.numbers)
        again = list(walk_forward(before, dataclasses.replace(test, numbers=future)))[number]
        np.testing.assert_array_equal(again[1], normals)


def test_an_answer_is_known_on_the_tickers_own_day(market, views, config):
    panel = open_panel(market.assign(judged=True), config.forecast)
    parameters = forecasts(trainer_of(views.parts), WindowBatches(panel, config.forecast))
    found = answers_of(panel, parameters, config.forecast)
    asked = np.flatnonzero(panel.chosen)
    for k, horizon in enumerate(config.forecast.horizons):
        real = np.isfinite(found.numbers[:, k])
        np.testing.assert_array_equal(real, np.isfinite(panel.returns[asked, k]))
        np.testing.assert_array_equal(found.known[real, k], panel.day[asked[real] + horizon])


@pytest.fixture
def metadata(config):
    return {
        "task": "stock",
        "table": dataclasses.asdict(config.table),
        "forecast": dataclasses.asdict(config.forecast),
        "direction": dataclasses.asdict(config.direction),
        "normals": np.tile(NORMAL_KNOTS, (2, 1)).tolist(),
    }


@pytest.fixture
def file(market, tmp_path):
    names = {"ticker": "Ticker", "day": "Date", **{name: name.capitalize() for name in FIELDS}}
    path = tmp_path / "prices.csv"
    market.rename(columns=names).to_csv(path, index=False)
    return path


def test_a_model_read_from_its_file_takes_up_a_new_calibration_and_keeps_its_weights(
    views, config, metadata, file, market, tmp_path, monkeypatch
):
    monkeypatch.setattr(recalibration, "FEWEST", 100)
    views.whole(served_normals(np.asarray(metadata["normals"]), config.forecast.quantiles)).save(tmp_path / "a.keras")
    old = keras.models.load_model(tmp_path / "a.keras", compile=False)
    new, known, told = recalibrate(StockConfig(data=str(file)), old, metadata)
    assert known["calibrated_until"] == told["prices until"] == "2020-03-30"
    new.save(tmp_path / "b.keras")
    new = keras.models.load_model(tmp_path / "b.keras", compile=False)
    rows = market[market["ticker"] == "AAA"]
    request = {name: rows[name].to_numpy(np.float32)[None] for name in FIELDS} | {"length": np.array([90], np.int32)}
    before, after = (np.log(m(request).numpy()[0]) for m in (old, new))
    served = served_normals(np.asarray(known["normals"]), config.forecast.quantiles)
    assert not np.allclose(served[0], norm.ppf(config.forecast.quantiles), atol=0.05)
    back = np.interp(after[0], before[0], norm.ppf(config.forecast.quantiles))  # straight enough between two quantiles
    inner = np.abs(served[0]) < 1.9
    np.testing.assert_allclose(back[inner], served[0][inner], atol=0.1)
    again, twice, _ = recalibrate(StockConfig(data=str(file)), new, known)
    assert twice == known  # from the model's own forecasts, not from calibrated ones
    np.testing.assert_allclose(again(request), new(request), rtol=1e-6)


def test_a_version_is_renewed_as_the_next_one_and_itself_stays_as_it_was(
    whole, metadata, file, tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr(recalibration, "FEWEST", 100)
    folder = tmp_path / "models" / "stock"
    add_report = lambda aside: (aside / "card.md").write_text("the card")  # noqa: E731
    first = export.publish(export_spec(whole, metadata), folder, add_report)
    before = {path: path.read_bytes() for path in first.rglob("*") if path.is_file()}
    arguments = ["recalibrate", "stock", "--data", str(file), "--output", str(tmp_path / "models")]
    assert main(arguments) == 0
    second = export.latest_version(folder)
    assert second.name == "2"
    card = (second / "card.md").read_text()
    assert card.startswith("> Calibrated anew by")
    assert "prices until: 2020-03-30" in card
    assert card.endswith("the card")
    assert workflow.load_metadata(second)["calibrated_until"] == "2020-03-30"
    assert "80 % interval" in capsys.readouterr().out
    old, new = (workflow.predict(TASK, version, EXAMPLES)[-1]["price_quantiles"] for version in (first, second))
    assert not np.allclose(old, new, rtol=1e-4)
    after = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with monkeypatch.context() as patch:
        patch.setattr(export, "verify", lambda export_spec, aside: _fail())
        assert main(arguments) == 2
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == after
    file.write_text("Ticker,Date,Close\n")
    assert main(arguments) == 2
    assert export.list_versions(folder) == [first, second]
    assert {path: path.read_bytes() for path in first.rglob("*") if path.is_file()} == before


def _fail():
    raise ExportError("the disk is full")


@pytest.fixture
def whole(views, config, metadata):
    return views.whole(served_normals(np.asarray(metadata["normals"]), config.forecast.quantiles))


def test_too_few_answers_are_refused_with_what_is_missing(whole, metadata, file):
    market = file.read_text().splitlines()
    file.write_text("\n".join(line for line in market if "BBB" not in line and "CCC" not in line))
    with pytest.raises(DataError, match=r"76 forecasts of 3 trading days count; a calibration takes 200"):
        recalibrate(StockConfig(data=str(file)), whole, metadata)


def test_days_of_training_do_not_count(whole, metadata, file, monkeypatch):
    """What was learned from says nothing of what comes: its answers are too good."""
    monkeypatch.setattr(recalibration, "FEWEST", 10)
    monkeypatch.setattr("tasks.stock.calibration.FEWEST", 10)
    _, all_days, _ = recalibrate(StockConfig(data=str(file)), whole, metadata)
    _, later, told = recalibrate(StockConfig(data=str(file)), whole, {**metadata, "trained_until": "2020-03-10"})
    assert later["normals"] != all_days["normals"]
    assert told["1 trading days"].startswith(f"{3 * 19:,} answers")  # 11 to 29 March, three tickers
    with pytest.raises(DataError, match="after the days of training, up to 2020-03-29"):
        recalibrate(StockConfig(data=str(file)), whole, {**metadata, "trained_until": "2020-03-29"})


def test_prices_older_than_the_calibration_are_refused(whole, metadata, file):
    with pytest.raises(DataError, match=r"ends on 2020-03-30; the model was calibrated by prices until 2020-04-01"):
        recalibrate(StockConfig(data=str(file)), whole, {**metadata, "calibrated_until": "2020-04-01"})


def test_with_few_answers_the_calibration_stays_as_it_was():
    own = 1.3 * np.tile(NORMAL_KNOTS, (1, 1))
    few, test = answers(np.arange(5), np.ones(5)), answers(np.arange(5, 20), np.ones(15), tickers=1)
    for _, normals in walk_forward(few, test, own):
        np.testing.assert_array_equal(normals, own)
