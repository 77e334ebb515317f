"""Files of brokers and exchanges as people have them: each is read as it is, with the right values."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.stock import data, prices
from tasks.stock.config import ColumnsConfig, ForecastConfig, PredictOptions, StockConfig
from tasks.stock.inputs import READERS

CASES = Path(__file__).resolve().parents[4] / "shared" / "cases" / "tables"


def read_case(name, config=None, **columns):
    """Returns the prices, the columns of the file, and the notices as one text."""
    if not CASES.is_dir():
        pytest.skip(f"the case files are not in {CASES}")
    config = dataclasses.replace(config or StockConfig(), columns=ColumnsConfig(**columns))
    with collect_notices() as notices:
        frame, config = prices.read(config, str(CASES / name))
    return frame, config.columns, "\n".join(map(str, notices))


@pytest.mark.parametrize(
    ("name", "ticker", "rows", "first", "last", "open_and_close", "volume"),
    [
        ("yf_one.csv", "KXQ", 900, "2021-01-04", "2024-06-14", (73.69995, 73.71361), 2498739),
        ("CRTO_300.csv", "CRTO_300", 299, "2023-03-20", "2024-05-24", (38.5, 39.0), 571747),
        ("psx_thousands.csv", "psx_thousands", 700, "2021-03-01", "2023-11-03", (2019.4, 2017.73), 607423),
        ("investing.csv", "investing", 700, "2021-03-01", "2023-11-03", (2019.4, 2017.73), 610000),
        ("tradingview.csv", "tradingview", 700, "2021-01-04", "2023-09-08", (67.63099, 67.63099), 5000),
        ("gaps.csv", "GAP", 594, "2021-03-01", "2023-11-03", (67.313375, 67.257538), 607423),
    ],
)
def test_the_last_day_of_a_file_has_its_prices(name, ticker, rows, first, last, open_and_close, volume):
    frame, _, _ = read_case(name)
    assert frame["ticker"].unique().tolist() == [ticker]
    assert len(frame) == rows
    assert [str(frame["day"].iloc[k])[:10] for k in (0, -1)] == [first, last]
    np.testing.assert_allclose(frame.iloc[-1][["open", "close"]].astype(float), open_and_close, rtol=1e-6)
    assert frame["volume"].iloc[-1] == volume


def test_recognized_columns_are_named_in_a_notice_and_returned():
    _, columns, notices = read_case("investing.csv")
    assert '"Price" is the close, "Vol." is the volume' in notices
    assert (columns.close, columns.volume, columns.time_format) == ("Price", "Vol.", "%m/%d/%Y")


def test_days_without_prices_are_dropped_with_a_notice():
    frame, _, notices = read_case("null_rows.csv")
    assert (len(frame), str(frame["day"].max())[:10]) == (696, "2023-11-02")
    assert 'dropped 4 of 700 rows, because column "Close" is empty. First rows: 101, 102, 351.' in notices
    frame, _, notices = read_case("last_nan.csv")
    assert len(frame) == 699
    assert "Row: 700." in notices


def test_an_unknown_adjusted_close_gets_the_factor_of_its_neighbours():
    frame, _, notices = read_case("adj_null.csv")
    assert "the adjusted close is unknown in 1 of 700 rows" in notices
    assert "Row: 201" in notices
    row = frame[frame["day"] == np.datetime64("2021-12-06")].iloc[0]
    assert row["close"] == pytest.approx(68.013845 * 0.97, rel=1e-4)
    frame, _, _ = read_case("adj_null.csv", adjusted_close=None)
    assert frame[frame["day"] == np.datetime64("2021-12-06")].iloc[0]["close"] == 68.013845


def test_a_day_twice_and_an_empty_day_are_dropped_with_both_rows():
    frame, _, notices = read_case("dup_last.csv")
    assert (len(frame), str(frame["day"].max())[:10]) == (700, "2023-11-03")
    assert frame["volume"].iloc[-1] == 607423
    assert "Days with different volumes: 1; the larger one is used. First rows: 700, 701." in notices


def test_one_day_below_zero_is_dropped_and_the_ticker_stays():
    frame, _, notices = read_case("oil2.csv")
    assert frame.groupby("ticker").size().to_dict() == {"CL=F": 699, "XLE": 700}
    assert 'CL=F, row 492: column "Close" is -37.63' in notices


def test_hourly_bars_become_daily_bars_or_stay():
    config = StockConfig(forecast=ForecastConfig(horizons=(1, 5)))
    frame, _, notices = read_case("hourly.csv", config)
    assert len(frame) == 36
    first = frame.iloc[0]
    assert first["open"] == pytest.approx(50.23290744573029)
    assert first["volume"] == 15 * 1000
    assert "840 bars become 36 daily bars" in notices
    assert "2024-02-06, has 9 of up to 24 bars" in notices
    frame, _, _ = read_case("hourly.csv", bars="original")
    assert len(frame) == 840
    assert str(frame["day"].iloc[0]) == "2024-01-02 09:30:00"
    with collect_notices() as notices:
        splits = data.load(StockConfig(data=str(CASES / "hourly.csv")))
    assert splits.config.forecast.horizons == (1,)
    assert "36 days are too few for forecasts of 5 and 20 days, which are left out" in " ".join(map(str, notices))
    chosen = StockConfig(data=str(CASES / "hourly.csv"), forecast=ForecastConfig(horizons=(1, 20)))
    with pytest.raises(DataError, match=r"36 days are too few; 40 are needed"):
        data.load(chosen)


def test_a_wide_table_keeps_the_calendar_of_each_ticker():
    frame, _, _ = read_case("crypto_stock_wide.csv", layout="wide")
    assert frame.groupby("ticker").size().to_dict() == {"AAPL": 642, "BTC-USD": 900}


def test_a_split_without_adjustment_is_named_with_its_day_and_ratio():
    _, _, notices = read_case("split32.csv")
    assert "S32 changes by -34 % on 2022-05-09. This is what a split of 3:2 without adjustment looks like." in notices
    assert "divide the earlier prices by 1.5" in notices


@pytest.mark.parametrize(
    "name", ["yf_one.csv", "investing.csv", "last_nan.csv", "dup_last.csv", "oil2.csv", "hourly.csv"]
)
def test_predict_reads_what_training_reads(name):
    trained, columns, _ = read_case(name, StockConfig(forecast=ForecastConfig(horizons=(1, 5))))
    metadata = {"task": "stock", "columns": dataclasses.asdict(columns)}
    (inputs,) = READERS.read_inputs(StockConfig(columns=columns), str(CASES / name), metadata, PredictOptions())
    assert inputs.records[["ticker", "day", "close"]].equals(trained[["ticker", "day", "close"]])
