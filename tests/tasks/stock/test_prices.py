"""What a user's table of prices may look like, and what happens to one that cannot be used."""

from __future__ import annotations

import logging
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.stock import prices
from tasks.stock.config import ForecastConfig, StockConfig, TableConfig
from tasks.stock.model import FIELDS

DAYS = 40


@pytest.fixture
def config() -> StockConfig:
    return StockConfig(forecast=ForecastConfig(horizons=(1, 5), fewest=6))


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
    return prices.read(config, str(path))


def test_a_long_table_in_any_order_is_sorted(tmp_path, config):
    frame = table("B", "A")
    found = read(frame.sample(frac=1, random_state=0), tmp_path, config)
    assert found["ticker"].tolist() == ["A"] * DAYS + ["B"] * DAYS
    assert found["day"].is_monotonic_increasing or found.groupby("ticker")["day"].is_monotonic_increasing.all()
    np.testing.assert_allclose(found["close"][:DAYS], frame["Close"][DAYS:])


def test_a_file_of_one_ticker_needs_no_ticker(tmp_path, config):
    frame = table("A").drop(columns="Ticker")
    with pytest.raises(DataError, match=r"--table\.ticker None"):
        read(frame, tmp_path, config)
    found = read(frame, tmp_path, replace(config, table=TableConfig(ticker=None)))
    assert len(found) == DAYS
    assert found["ticker"].nunique() == 1


def test_a_wide_table_has_a_column_for_each_ticker(tmp_path, config):
    frame = table("A", "B").pivot(index="Date", columns="Ticker", values="Close").reset_index()
    frame.loc[3, "B"] = np.nan
    found = read(frame, tmp_path, replace(config, table=TableConfig(layout="wide")))
    assert found.groupby("ticker").size().to_dict() == {"A": DAYS, "B": DAYS - 1}
    assert found["open"].isna().all()


def test_bare_numbers_without_header_or_dates_are_wide_too(tmp_path, config):
    frame = table("A", "B").pivot(index="Date", columns="Ticker", values="Close")
    wide = replace(config, table=TableConfig(layout="wide", date=None))
    found = read(frame, tmp_path, wide, "prices.txt", index=False, header=False)
    assert found["ticker"].unique().tolist() == ["0", "1"]
    assert found["day"][:DAYS].tolist() == list(range(DAYS))


def test_an_adjusted_close_adjusts_all_prices_and_silences_the_warning(tmp_path, config, caplog):
    frame = table("A")
    frame["Adj Close"] = frame["Close"]
    for name in ("Open", "High", "Low", "Close"):
        frame.loc[: DAYS // 2, name] *= 2  # a split in two
    found = read(frame, tmp_path, config)
    assert not prices.jumps(found)
    np.testing.assert_allclose(found["open"] / found["close"], 1.001)
    assert not caplog.records


def test_an_adjusted_close_hides_no_close_of_nothing(tmp_path, config):
    for close, adjusted in ((0, 5), (-5, 5), (5, 0)):
        frame = table("A")
        frame["Adj Close"] = frame["Close"]
        frame.loc[6, ["Close", "Adj Close"]] = close, adjusted
        with pytest.raises(DataError, match=r"no ticker can be used\. A: row 7"):
            read(frame, tmp_path, config)


def test_an_adjusted_close_that_is_missing_is_named(tmp_path, config):
    frame = table("A")
    frame["Adj Close"] = frame["Close"].where(frame.index != 6)
    with pytest.raises(
        DataError, match=r'row 7: column "Adj Close" is empty\. "Close" has a price there\. Fill it in or drop'
    ):
        read(frame, tmp_path, config)


def test_days_with_a_time_zone_stay_the_exchanges_days(tmp_path, config):
    frame = table("A")
    frame["Date"] = frame["Date"] + " 00:00:00+09:00"
    assert str(read(frame, tmp_path, config)["day"].iloc[0])[:10] == "2020-01-01"


def test_a_day_that_is_missing_is_named_in_a_column_of_days_too(tmp_path, config):
    frame = table("A")
    for days in (frame["Date"], pd.to_datetime(frame["Date"])):
        told = frame.assign(Date=days.where(frame.index != 6))
        told.to_parquet(tmp_path / "prices.parquet")
        with pytest.raises(DataError, match=r'row 7: column "Date" is empty\. Fill it in or drop the row'):
            prices.read(config, str(tmp_path / "prices.parquet"))


def test_many_jumps_are_counted(tmp_path, config, caplog):
    frame = table("A")
    frame.loc[::2, ["Open", "High", "Low", "Close"]] *= 1.5
    with caplog.at_level(logging.WARNING):
        read(frame, tmp_path, config)
    assert "more changes like these" in caplog.text


def test_a_split_that_was_not_adjusted_for_is_warned_of_by_name_and_day(tmp_path, config, caplog):
    frame = table("A", "B")
    frame.loc[frame.index[20:DAYS], ["Open", "High", "Low", "Close"]] /= 2
    with caplog.at_level(logging.WARNING):
        read(frame, tmp_path, config)
    (record,) = caplog.records
    assert "A changes by -5" in record.getMessage()
    assert "2020-01-21" in record.getMessage()


def test_gaps_in_what_is_not_the_close_are_not_known(tmp_path, config):
    frame = table("A").astype({"Volume": object})
    frame.loc[4, ["Open", "High", "Low", "Volume"]] = [None] * 4
    found = read(frame, tmp_path, config)
    assert found.loc[4, ["open", "high", "low", "volume"]].isna().all()
    assert len(found) == DAYS


def test_a_low_of_nothing_and_a_volume_below_it_are_not_known_and_warned_of(tmp_path, config, caplog):
    frame = table("A")
    frame.loc[6, "Low"], frame.loc[8, "Volume"] = 0, -5
    with caplog.at_level(logging.WARNING):
        found = read(frame, tmp_path, config)
    assert np.isnan(found.loc[6, "low"])
    assert np.isnan(found.loc[8, "volume"])
    assert 'row 7: column "Low" of A is 0' in caplog.text


def test_a_row_without_a_close_is_dropped(tmp_path, config):
    frame = table("A")
    frame.loc[4, "Close"] = np.nan
    assert len(read(frame, tmp_path, config)) == DAYS - 1


def test_missing_days_are_no_rows_and_nothing_is_filled(tmp_path, config):
    frame = table("A", "B").drop(index=[5, 6, 7])
    found = read(frame, tmp_path, config)
    assert found.groupby("ticker").size().to_dict() == {"A": DAYS - 3, "B": DAYS}


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda f: f.__setitem__("Close", f["Close"].where(f.index != 6, 0)), 'row 7: column "Close" is 0'),
        (lambda f: f.__setitem__("Close", f["Close"].where(f.index != 6, -3.5)), 'row 7: column "Close" is -3.5'),
        (lambda f: f.__setitem__("Close", f["Close"].where(f.index >= DAYS, 9.0)), "on every day"),
        (
            lambda f: f.__setitem__("Close", f["Close"].where(~f.index.isin(range(8, DAYS)))),
            "8 days are too few, 11 are needed",
        ),
    ],
    ids=["zero", "negative", "constant", "short"],
)
def test_one_broken_ticker_is_left_out_by_name_and_alone_it_is_an_error(tmp_path, config, caplog, spoil, reason):
    frame = table("A", "B")
    spoil(frame)
    with caplog.at_level(logging.WARNING):
        found = read(frame, tmp_path, config)
    assert found["ticker"].unique().tolist() == ["B"]
    assert any("A is left out" in r.getMessage() and reason in r.getMessage() for r in caplog.records)
    with pytest.raises(DataError, match=r"no ticker can be used\. A:") as error:
        read(frame[frame["Ticker"] == "A"], tmp_path, config)
    assert reason in str(error.value)


def test_a_day_that_occurs_twice_is_named(tmp_path, config):
    frame = table("A", "B")
    frame = pd.concat([frame, frame.iloc[[50]]])
    with pytest.raises(DataError, match="row 81: B has 2020-01-11 twice"):
        read(frame, tmp_path, config)


def test_dates_in_another_form_need_its_name(tmp_path, config):
    frame = table("A")
    frame["Date"] = pd.to_datetime(frame["Date"]).dt.strftime("%d/%m/%Y")
    with pytest.raises(DataError, match=r'row 1: column "Date" is "01/01/2020".*--table.date-format'):
        read(frame, tmp_path, config)
    found = read(frame, tmp_path, replace(config, table=TableConfig(date_format="%d/%m/%Y")))
    assert str(found["day"].iloc[-1])[:10] == "2020-02-09"


def test_text_in_place_of_a_price_is_refused_with_its_row(tmp_path, config):
    frame = table("A").astype({"High": object})
    frame.loc[2, "High"] = "n/a?"
    with pytest.raises(DataError, match=r'row 3: column "High" is "n/a\?": expected a finite number'):
        read(frame, tmp_path, config)


def test_a_request_keeps_its_rows_and_refuses_a_bad_price(config):
    frame = table("B", "A").iloc[::-1].reset_index(drop=True)
    found = prices.tidy(frame, config, "input", whole=False)
    assert found[prices.ROW].tolist() == [*range(DAYS, 0, -1), *range(2 * DAYS, DAYS, -1)]
    assert set(FIELDS) <= set(found)
    frame.loc[2, "Close"] = 0
    with pytest.raises(DataError, match=r'input, row 3: column "Close" is "0\.0": expected a price greater than 0'):
        prices.tidy(frame, config, "input", whole=False)


def test_the_example_file_has_the_form_of_ones_own_data(config):
    from pathlib import Path

    path = Path(__file__).resolve().parents[3] / "data" / "examples" / "prices.csv"
    found = prices.read(replace(config, forecast=ForecastConfig(horizons=(1,), fewest=1)), str(path))
    assert found.groupby("ticker").size().to_dict() == {"ELM": 3, "OAK": 4}
    assert np.isnan(found["volume"].iloc[2])
