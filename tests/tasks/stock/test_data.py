"""Days are parted by what is forecast, and no price of a later split is an answer in an earlier one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import data
from tasks.stock.batches import open_panel
from tasks.stock.config import ForecastConfig, ProtocolConfig, StockConfig, TableConfig


@pytest.fixture
def path(tmp_path):
    rng = np.random.default_rng(0)
    days = pd.bdate_range("2019-01-01", "2020-12-31")
    tables = []
    for ticker, start in (("OLD", 0), ("NEW", 400)):
        close = 20 * np.exp(np.cumsum(rng.normal(0, 0.02, len(days) - start)))
        tables.append(pd.DataFrame({"Ticker": ticker, "Date": days[start:].strftime("%Y-%m-%d"), "Close": close}))
    pd.concat(tables).to_csv(tmp_path / "prices.csv", index=False)
    return str(tmp_path / "prices.csv")


@pytest.fixture
def config(path) -> StockConfig:
    return StockConfig(
        data=path,
        forecast=ForecastConfig(horizons=(1, 5, 20), fewest=20),
        protocol=ProtocolConfig(date(2020, 3, 2), date(2020, 7, 1)),
    )


def test_answers_of_training_lie_before_validation_and_those_of_validation_before_test(config):
    splits = data.load(config)
    last = {"train": "2020-02-28", "validation": "2020-06-30", "test": "2020-12-31"}
    first = {"train": "2019-01-01", "validation": "2020-03-02", "test": "2020-07-01"}
    for name in last:
        frame = getattr(splits, name)
        panel = open_panel(frame, config.forecast)
        assert str(frame["day"].max())[:10] == last[name]
        for k, horizon in enumerate(config.forecast.horizons):
            rows = np.flatnonzero(np.isfinite(panel.returns[:, k]))
            answers = panel.day[rows + horizon]
            assert answers.min() >= np.datetime64(first[name])
            assert answers.max() <= np.datetime64(last[name])
    assert splits.size("validation") == int(splits.validation["judged"].sum())


def test_training_may_begin_later_and_still_read_what_came_before(config):
    protocol = replace(config.protocol, train_from=date(2019, 9, 2))
    frame = data.load(replace(config, protocol=protocol)).train
    panel = open_panel(frame, config.forecast)
    assert str(frame["day"].min())[:10] == "2019-01-01"
    known = np.flatnonzero(np.isfinite(panel.returns[:, 0]))
    assert str(panel.day[known + 1].min())[:10] == "2019-09-02"


def test_a_ticker_that_lists_late_is_forecast_from_its_own_days(config):
    splits = data.load(config)
    rows = splits.test[splits.test["ticker"] == "NEW"]
    assert str(rows["day"].min())[:10] > "2020-06-01"
    panel = open_panel(splits.test, config.forecast)
    mine = panel.ticker == "NEW"
    place = np.arange(len(mine)) - panel.first
    assert np.isfinite(panel.returns[mine & (place >= 19)]).any()
    assert not np.isfinite(panel.returns[mine & (place < 19)]).any()


def test_without_days_the_fractions_part_them(config):
    splits = data.load(replace(config, protocol=ProtocolConfig(), test_fraction=0.25, validation_fraction=0.2))
    days = [
        len(np.unique(getattr(splits, name)["day"][getattr(splits, name)["judged"]]))
        for name in ("train", "validation", "test")
    ]
    total = sum(days)
    assert days[2] == round(0.25 * total)
    assert days[1] == round(0.2 * (total - days[2]))


def test_the_last_day_of_test_may_be_given(config):
    protocol = replace(config.protocol, test_until=date(2020, 9, 30))
    assert str(data.load(replace(config, protocol=protocol)).test["day"].max())[:10] == "2020-09-30"


def test_too_few_days_of_a_split_are_named(config):
    with pytest.raises(DataError, match=r"days of validation are too few, 20 are needed"):
        data.load(replace(config, protocol=ProtocolConfig(date(2020, 6, 25), date(2020, 7, 1))))


def test_a_test_that_ends_before_all_days_is_named(config):
    with pytest.raises(DataError, match=r"no day up to --protocol\.test-until"):
        data.load(replace(config, protocol=ProtocolConfig(test_until=date(2001, 1, 1))))


def test_days_need_dates(tmp_path, config):
    pd.DataFrame(np.random.default_rng(0).uniform(1, 2, (300, 2))).to_csv(tmp_path / "x.csv", index=False, header=False)
    wide = replace(config, data=str(tmp_path / "x.csv"), table=TableConfig(layout="wide", date=None))
    with pytest.raises(DataError, match="has no dates"):
        data.load(wide)
    splits = data.load(replace(wide, protocol=ProtocolConfig()))
    assert splits.test["day"].max() == 299


@pytest.mark.parametrize("option", [{"validation_data": "x.csv"}, {"test_data": "x.csv"}, {"group_column": "x"}])
def test_options_of_other_tasks_are_refused(config, option):
    with pytest.raises(DataError, match=r"--protocol\.validation-from"):
        data.load(replace(config, **option))


@pytest.mark.parametrize("name", ["kdd17", "acl18", "djia31-2006-2017"])
def test_the_real_data_can_be_read(real_data, name):
    table = TableConfig(ticker="Name") if name.startswith("djia") else TableConfig()
    splits = data.load(StockConfig(data=str(real_data / "stock" / name / "ohlcv.csv.xz"), table=table))
    tickers = {"kdd17": 50, "acl18": 88, "djia31-2006-2017": 31}[name]
    assert splits.test["ticker"].nunique() == tickers
    assert splits.size("test") > 1000
