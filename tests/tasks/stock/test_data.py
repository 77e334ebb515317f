"""Splits by days: no price of a later split is an outcome of an earlier one."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import data
from tasks.stock.batches import build_panel
from tasks.stock.config import ColumnsConfig, FeaturesConfig, ForecastConfig, StockConfig, StockSplitConfig


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
        split=StockSplitConfig(validation_from=date(2020, 3, 2), test_from=date(2020, 7, 1)),
        features=FeaturesConfig(min_history=20),
        forecast=ForecastConfig(horizons=(1, 5, 20)),
    )


def test_all_outcomes_lie_within_the_days_of_their_split(config):
    splits = data.load(config)
    last = {"train": "2020-02-28", "validation": "2020-06-30", "test": "2020-12-31"}
    first = {"train": "2019-01-01", "validation": "2020-03-02", "test": "2020-07-01"}
    for name in last:
        frame = getattr(splits, name)
        panel = build_panel(frame, config)
        assert str(frame["day"].max())[:10] == last[name]
        for k, horizon in enumerate(config.forecast.horizons):
            rows = np.flatnonzero(np.isfinite(panel.returns[:, k]))
            outcome_days = panel.day[rows + horizon]
            assert outcome_days.min() >= np.datetime64(first[name])
            assert outcome_days.max() <= np.datetime64(last[name])
    assert splits.size("validation") == int(splits.validation["is_scored_row"].sum())


def test_training_may_start_later_and_still_read_earlier_days(config):
    split = replace(config.split, training_from=date(2019, 9, 2))
    frame = data.load(replace(config, split=split)).train
    panel = build_panel(frame, config)
    assert str(frame["day"].min())[:10] == "2019-01-01"
    known = np.flatnonzero(np.isfinite(panel.returns[:, 0]))
    assert str(panel.day[known + 1].min())[:10] == "2019-09-02"


def test_a_ticker_that_is_listed_later_is_forecast_from_its_twentieth_day(config):
    splits = data.load(config)
    rows = splits.test[splits.test["ticker"] == "NEW"]
    assert str(rows["day"].min())[:10] > "2020-06-01"
    panel = build_panel(splits.test, config)
    is_new = panel.ticker == "NEW"
    position = np.arange(len(is_new)) - panel.first
    assert np.isfinite(panel.returns[is_new & (position >= 19)]).any()
    assert not np.isfinite(panel.returns[is_new & (position < 19)]).any()


def test_without_dates_the_fractions_define_the_splits(config):
    split = StockSplitConfig(test_fraction=0.25, validation_fraction=0.2)
    splits = data.load(replace(config, split=split))
    days = [
        len(np.unique(getattr(splits, name)["day"][getattr(splits, name)["is_scored_row"]]))
        for name in ("train", "validation", "test")
    ]
    total = sum(days)
    assert days[2] == round(0.25 * total)
    assert days[1] == round(0.2 * (total - days[2]))


def test_test_until_sets_the_last_day_of_the_test_split(config):
    split = replace(config.split, test_until=date(2020, 9, 30))
    assert str(data.load(replace(config, split=split)).test["day"].max())[:10] == "2020-09-30"


def test_a_split_with_too_few_days_raises_an_error(config):
    split = StockSplitConfig(validation_from=date(2020, 6, 25), test_from=date(2020, 7, 1))
    with pytest.raises(DataError, match=r"the validation split has 4 days; 20 are needed"):
        data.load(replace(config, split=split))


def test_test_until_before_the_first_day_raises_an_error(config):
    with pytest.raises(DataError, match=r"no day up to --split\.test-until"):
        data.load(replace(config, split=StockSplitConfig(test_until=date(2001, 1, 1))))


def test_split_days_need_a_file_with_dates(tmp_path, config):
    pd.DataFrame(np.random.default_rng(0).uniform(1, 2, (300, 2))).to_csv(tmp_path / "x.csv", index=False, header=False)
    wide = replace(config, data=str(tmp_path / "x.csv"), columns=ColumnsConfig(layout="wide", time=None))
    with pytest.raises(DataError, match="have no dates"):
        data.load(wide)
    splits = data.load(replace(wide, split=StockSplitConfig()))
    assert splits.test["day"].max() == 299


@pytest.mark.parametrize("name", ["kdd17", "acl18", "djia31-2006-2017"])
def test_the_real_data_can_be_read(real_data, name):
    columns = ColumnsConfig(ticker="Name") if name.startswith("djia") else ColumnsConfig()
    splits = data.load(StockConfig(data=str(real_data / "stock" / name / "ohlcv.csv.xz"), columns=columns))
    tickers = {"kdd17": 50, "acl18": 88, "djia31-2006-2017": 31}[name]
    assert splits.test["ticker"].nunique() == tickers
    assert splits.size("test") > 1000
