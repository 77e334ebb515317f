"""Forms of a user's table of prices, and the errors and warnings for tables that cannot be used."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import prices
from tasks.stock.adjustment import find_jumps
from tasks.stock.config import FIELDS, ColumnsConfig, FeaturesConfig, ForecastConfig, StockConfig

DAYS = 40


@pytest.fixture
def config() -> StockConfig:
    return StockConfig(features=FeaturesConfig(min_history=6), forecast=ForecastConfig(horizons=(1, 5)))


def table(*tickers: str) -> pd.DataFrame:
    rng = np.random.default_rng(0)
    tables = []
    for ticker in tickers:
        close = 50 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS)))
        tables.append(
            pd.DataFrame(
                {
                    "Ticker": ticker,
                    "Date": pd.date_range("2020-01-01", periods=DAYS).strftime("%Y-%m-%d"),
                    "Open": close * 1.001,
                    "High": close * 1.01,
                    "Low": close * 0.99,
                    "Close": close,
                    "Volume": rng.integers(1, 9, DAYS) * 1000,
                }
            )
        )
    return pd.concat(tables, ignore_index=True)


def read(frame: pd.DataFrame, tmp_path, config, name="prices.csv", **options) -> pd.DataFrame:
    path = tmp_path / name
    frame.to_csv(path, **{"index": False, **options})
    return prices.read(config, str(path))[0]


def test_a_long_table_in_any_order_is_sorted_by_ticker_and_day(tmp_path, config):
    frame = table("B", "A")
    prices_read = read(frame.sample(frac=1, random_state=0), tmp_path, config)
    assert prices_read["ticker"].tolist() == ["A"] * DAYS + ["B"] * DAYS
    assert (
        prices_read["day"].is_monotonic_increasing or prices_read.groupby("ticker")["day"].is_monotonic_increasing.all()
    )
    np.testing.assert_allclose(prices_read["close"][:DAYS], frame["Close"][DAYS:])


def test_a_file_of_one_ticker_needs_no_ticker_column(tmp_path, config):
    frame = table("A").drop(columns="Ticker")
    for ticker in ("Ticker", None):
        prices_read = read(frame, tmp_path, replace(config, columns=ColumnsConfig(ticker=ticker)), "OAK.csv")
        assert prices_read["ticker"].tolist() == ["OAK"] * DAYS


def test_a_wide_table_has_one_column_per_ticker(tmp_path, config):
    frame = table("A", "B").pivot(index="Date", columns="Ticker", values="Close").reset_index()
    frame.loc[3, "B"] = np.nan
    prices_read = read(frame, tmp_path, replace(config, columns=ColumnsConfig(layout="wide")))
    assert prices_read.groupby("ticker").size().to_dict() == {"A": DAYS, "B": DAYS - 1}
    assert prices_read["open"].isna().all()


def test_numbers_without_header_and_dates_are_a_wide_table(tmp_path, config):
    frame = table("A", "B").pivot(index="Date", columns="Ticker", values="Close")
    wide = replace(config, columns=ColumnsConfig(layout="wide", time=None))
    prices_read = read(frame, tmp_path, wide, "prices.txt", index=False, header=False)
    assert prices_read["ticker"].unique().tolist() == ["0", "1"]
    assert prices_read["day"][:DAYS].tolist() == list(range(DAYS))


def test_an_adjusted_close_adjusts_all_prices_without_a_warning(tmp_path, config, caplog):
    frame = table("A")
    frame["Adj Close"] = frame["Close"]
    for name in ("Open", "High", "Low", "Close"):
        frame.loc[: DAYS // 2, name] *= 2  # a 2:1 split
    prices_read = read(frame, tmp_path, config)
    assert not find_jumps(prices_read)
    np.testing.assert_allclose(prices_read["open"] / prices_read["close"], 1.001)
    assert not caplog.records


def test_an_adjusted_close_does_not_hide_a_close_of_zero(tmp_path, config):
    for close, adjusted in ((0, 5), (-5, 5), (5, 0)):
        frame = table("A")
        frame["Adj Close"] = frame["Close"]
        frame.loc[6, ["Close", "Adj Close"]] = close, adjusted
        assert len(read(frame, tmp_path, config)) == DAYS - 1


def test_days_with_a_time_zone_are_not_converted(tmp_path, config):
    frame = table("A")
    frame["Date"] = frame["Date"] + " 00:00:00+09:00"
    assert str(read(frame, tmp_path, config)["day"].iloc[0])[:10] == "2020-01-01"


def test_a_missing_day_raises_an_error_for_text_and_dates(tmp_path, config):
    frame = table("A")
    for days in (frame["Date"], pd.to_datetime(frame["Date"])):
        incomplete = frame.assign(Date=days.where(frame.index != 6))
        incomplete.to_parquet(tmp_path / "prices.parquet")
        with pytest.raises(DataError, match=r'row 7: column "Date" is empty\. Fill it in or drop the row'):
            prices.read(config, str(tmp_path / "prices.parquet"))


def test_further_jumps_are_only_counted(tmp_path, config, caplog):
    frame = table("A")
    frame.loc[::2, ["Open", "High", "Low", "Close"]] *= 1.5
    with caplog.at_level(logging.WARNING):
        read(frame, tmp_path, config)
    assert "more changes of this size" in caplog.text


def test_a_split_without_adjustment_causes_a_warning_with_ticker_and_day(tmp_path, config, caplog):
    frame = table("A", "B")
    frame.loc[frame.index[20:DAYS], ["Open", "High", "Low", "Close"]] /= 2
    with caplog.at_level(logging.WARNING):
        read(frame, tmp_path, config)
    (record,) = caplog.records
    assert "A changes by -5" in record.getMessage()
    assert "2020-01-21" in record.getMessage()


def test_empty_cells_other_than_the_close_are_unknown(tmp_path, config):
    frame = table("A").astype({"Volume": object})
    frame.loc[4, ["Open", "High", "Low", "Volume"]] = [None] * 4
    prices_read = read(frame, tmp_path, config)
    assert prices_read.loc[4, ["open", "high", "low", "volume"]].isna().all()
    assert len(prices_read) == DAYS


def test_a_low_of_zero_and_a_negative_volume_are_unknown_with_a_warning(tmp_path, config, caplog):
    frame = table("A")
    frame.loc[6, "Low"], frame.loc[8, "Volume"] = 0, -5
    with caplog.at_level(logging.WARNING):
        prices_read = read(frame, tmp_path, config)
    assert np.isnan(prices_read.loc[6, "low"])
    assert np.isnan(prices_read.loc[8, "volume"])
    assert 'row 7: column "Low" of A is 0' in caplog.text


def test_a_row_without_a_close_is_dropped(tmp_path, config):
    frame = table("A")
    frame.loc[4, "Close"] = np.nan
    assert len(read(frame, tmp_path, config)) == DAYS - 1


def test_missing_days_are_not_filled_in(tmp_path, config):
    frame = table("A", "B").drop(index=[5, 6, 7])
    prices_read = read(frame, tmp_path, config)
    assert prices_read.groupby("ticker").size().to_dict() == {"A": DAYS - 3, "B": DAYS}


@pytest.mark.parametrize(
    ("damage", "problem"),
    [
        (
            lambda f: f.__setitem__("Close", f["Close"].where(~f.index.isin(range(6, DAYS, 8)), 0)),
            'row 7: column "Close" is 0',
        ),
        (
            lambda f: f.__setitem__("Close", f["Close"].where(~f.index.isin(range(6, DAYS, 8)), -3.5)),
            'row 7: column "Close" is -3.5',
        ),
        (lambda f: f.__setitem__("Close", f["Close"].where(f.index >= DAYS, 9.0)), "on every day"),
        (
            lambda f: f.__setitem__("Close", f["Close"].where(~f.index.isin(range(8, DAYS)))),
            "8 days are too few; 11 are needed",
        ),
    ],
    ids=["zero", "negative", "constant", "short"],
)
def test_an_unusable_ticker_is_dropped_with_a_warning_and_alone_it_is_an_error(
    tmp_path, config, caplog, damage, problem
):
    frame = table("A", "B")
    damage(frame)
    with caplog.at_level(logging.WARNING):
        prices_read = read(frame, tmp_path, config)
    assert prices_read["ticker"].unique().tolist() == ["B"]
    assert any("A is dropped" in r.getMessage() and problem in r.getMessage() for r in caplog.records)
    with pytest.raises(DataError, match=r"no ticker can be used\. A:") as error:
        read(frame[frame["Ticker"] == "A"], tmp_path, config)
    assert problem in str(error.value)


def test_two_rows_of_a_day_that_contradict_each_other_raise_an_error_with_both(tmp_path, config):
    frame = table("A", "B")
    frame = pd.concat([frame, frame.iloc[[50]].assign(Close=9.5, Low=9)])
    problem = r"rows 51 and 81: B has two rows for 2020-01-11 with the low [\d.]+ and 9\. Keep one of the rows\.$"
    with pytest.raises(DataError, match=problem):
        read(frame, tmp_path, config)


def test_a_typed_day_that_occurs_twice_raises_an_error(config):
    with pytest.raises(DataError, match="row 41: A has a second row for 2020-01-11"):
        prices.convert_all(pd.concat([table("A"), table("A").iloc[[10]]]), config, "input")


def test_dates_in_another_format_need_the_format_option(tmp_path, config):
    frame = table("A")
    frame["Date"] = pd.to_datetime(frame["Date"]).dt.strftime("day %j of %Y")
    with pytest.raises(DataError, match=r'row 1: column "Date" is "day 001 of 2020".*--columns.time-format'):
        read(frame, tmp_path, config)
    prices_read = read(frame, tmp_path, replace(config, columns=ColumnsConfig(time_format="day %j of %Y")))
    assert str(prices_read["day"].iloc[-1])[:10] == "2020-02-09"


def test_text_instead_of_a_price_raises_an_error_with_its_row(tmp_path, config):
    frame = table("A").astype({"High": object})
    frame.loc[2, "High"] = "n/a?"
    with pytest.raises(DataError, match=r'row 3: column "High" is "n/a\?": expected a finite number'):
        read(frame, tmp_path, config)


def test_inputs_of_predict_keep_their_rows_and_an_invalid_price_raises_an_error(config):
    frame = table("B", "A").iloc[::-1].reset_index(drop=True)
    prices_read = prices.convert_all(frame, config, "input")
    assert prices_read[prices.ROW].tolist() == [*range(DAYS, 0, -1), *range(2 * DAYS, DAYS, -1)]
    assert set(FIELDS) <= set(prices_read)
    frame.loc[2, "Close"] = 0
    with pytest.raises(DataError, match=r'input, row 3: column "Close" is 0, expected a price greater than 0'):
        prices.convert_all(frame, config, "input")


def test_the_example_file_can_be_read():
    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "prices.csv"
    config = StockConfig(features=FeaturesConfig(min_history=1), forecast=ForecastConfig(horizons=(1,)))
    prices_read, _ = prices.read(config, str(path))
    assert prices_read.groupby("ticker").size().to_dict() == {"ELM": 29, "OAK": 30}
    assert np.isnan(prices_read["volume"].iloc[28])
