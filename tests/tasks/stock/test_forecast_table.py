"""The table of forecasts: one row per ticker, or the rows of the file; prices in the unit of the close in the file."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from shared.task import trained_config
from tasks.stock import forecast_plot, forecast_table, serving
from tasks.stock.config import ColumnsConfig, PredictOptions
from tasks.stock.inputs import READERS

OPTIONS = PredictOptions()
LEVELS = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)


def predict_close(request):
    """A model whose quantiles are the last close times 0.9, …, 1.1; with fewer than 6 days they are NaN."""
    length = np.asarray(request["length"])
    close = np.where(length < 6, np.nan, np.take_along_axis(np.asarray(request["close"]), length[:, None] - 1, 1)[:, 0])
    ones = np.ones((len(length), 2), np.float32) + 0 * close[:, None].astype(np.float32)
    quantiles = close[:, None, None] * np.linspace(0.9, 1.1, 7) * np.ones((1, 2, 1))
    return {
        "price_quantiles": quantiles.astype(np.float32),
        "expected_volatility": 0.02 * ones,
        "up_probability": 0.5 * ones,
        "state": np.zeros((len(length), 1), np.float32),
    }


@pytest.fixture
def forecast(metadata, tmp_path):
    """Returns the table of a file, or of typed lines, with the notices as one text."""

    def run(content, options=OPTIONS, **columns):
        config = dataclasses.replace(trained_config(metadata), columns=ColumnsConfig(**columns))
        with collect_notices() as notices:
            if isinstance(content, list):
                inputs = READERS.parse_inputs(config, content, metadata, options)
            else:
                (tmp_path / "quotes.csv").write_text(content, encoding="utf-8")
                (inputs,) = READERS.read_inputs(config, str(tmp_path / "quotes.csv"), metadata, options)
            if not len(inputs.predicted_positions):
                return inputs.rows, inputs, ""
            predictions = serving.predict(inputs.records, metadata, predict_close, options)
            table = forecast_table.prediction_table(inputs, predictions, metadata, options)
            if options.plot is not None:
                forecast_plot.draw(inputs, predictions, metadata, options)
        table = table.set_axis(inputs.predicted_positions).reindex(np.arange(len(inputs.rows)))
        return pd.concat([inputs.rows, table], axis=1), inputs, "\n".join(map(str, notices))

    return run


def write_rows(ticker, count, close=100.0, start="2024-03-04", **more):
    days = pd.bdate_range(start, periods=count)
    return [{"Ticker": ticker, "Date": str(day)[:10], "Close": close + k, **more} for k, day in enumerate(days)]


def to_csv(rows):
    return pd.DataFrame(rows).to_csv(index=False)


def test_a_ticker_has_one_forecast_after_its_newest_day(forecast):
    rows = write_rows("OAK", 10) + write_rows("ELM", 8, 20.0)
    table, _, _ = forecast(to_csv(rows[::-1]))
    assert table["ticker"].tolist() == ["ELM", "OAK"]  # the order of the file
    assert table["last_date"].tolist() == ["2024-03-13", "2024-03-15"]
    assert table["last_close"].tolist() == [27.0, 109.0]
    assert table["target_date_1d"].tolist() == ["2024-03-14", "2024-03-18"]
    assert table["target_date_3d"].tolist() == ["2024-03-18", "2024-03-20"]
    np.testing.assert_allclose(table["price_q0.975_3d"], [1.1 * 27, 1.1 * 109], rtol=1e-6)
    values = [f"price_q{level:g}" for level in LEVELS] + ["up_probability", "expected_volatility"]
    names = [f"{name}_{horizon}d" for horizon in (1, 3) for name in ("target_date", *values)]
    assert list(table.columns) == ["ticker", "last_date", "last_close", *names]


def test_every_day_keeps_the_rows_of_the_file_and_adds_their_target_dates(forecast):
    rows = write_rows("OAK", 10)
    table, _, _ = forecast(to_csv(rows[::-1]), PredictOptions(every_day=True))
    assert table["Close"].astype(float).tolist() == [row["Close"] for row in rows[::-1]]
    assert table["Date"].tolist() == [row["Date"] for row in rows[::-1]]
    assert table["target_date_1d"].tolist() == ["2024-03-18", *[row["Date"] for row in rows[:0:-1]]]
    assert table["price_q0.5_1d"].notna().tolist() == [True] * 5 + [False] * 5


@pytest.mark.parametrize("every_day", [False, True])
def test_prices_have_the_unit_of_the_close_in_the_file(forecast, every_day):
    rows = [
        {**row, "Adj Close": row["Close"] * factor}
        for row, factor in zip(write_rows("OAK", 10, 633.0), [0.1] * 8 + [0.136] * 2, strict=True)
    ]
    table, _, _ = forecast(to_csv(rows), PredictOptions(every_day=every_day))
    assert table["price_q0.5_1d"].iloc[-1] == pytest.approx(642.0, rel=1e-6)
    if every_day:
        assert table["price_q0.5_1d"].iloc[6] == pytest.approx(639.0, rel=1e-6)
    else:
        assert table["last_close"].tolist() == [642.0]


def test_a_ticker_with_few_days_has_an_empty_forecast_and_a_notice(forecast):
    table, _, notices = forecast(to_csv(write_rows("OAK", 10) + write_rows("ELM", 3)))
    assert table["price_q0.5_1d"].notna().tolist() == [True, False]
    assert table["last_date"].tolist() == ["2024-03-15", "2024-03-06"]
    assert "No forecast for 1 of 2 rows, because the ticker has fewer than 6 days up to them: ELM." in notices


def test_typed_lines_have_one_forecast_per_ticker(forecast):
    lines = [json.dumps(row) for row in write_rows("OAK", 10) + write_rows("ELM", 8)]
    table, _, _ = forecast(lines)
    assert table["ticker"].tolist() == ["OAK", "ELM"]
    assert table["last_date"].tolist() == ["2024-03-15", "2024-03-13"]


@pytest.mark.parametrize("shape", ["no dates", "wide", "one ticker", "hourly"])
def test_other_shapes_have_one_row_per_ticker(forecast, shape):
    rows = pd.DataFrame(write_rows("OAK", 10))
    if shape == "no dates":
        table, _, notices = forecast(rows.drop(columns="Date").to_csv(index=False), time=None)
        assert table["last_date"].isna().all()
        assert table["target_date_1d"].isna().all()
        assert "no dates" in notices
    elif shape == "wide":
        wide = pd.DataFrame({"Date": rows["Date"], "A": rows["Close"], "Ä": 2 * rows["Close"]})
        table, _, _ = forecast(wide.to_csv(index=False), layout="wide")
        assert table["ticker"].tolist() == ["A", "Ä"]
    elif shape == "one ticker":
        table, _, _ = forecast(rows.drop(columns="Ticker").to_csv(index=False))
        assert table["ticker"].tolist() == ["quotes"]
    else:
        rows["Date"] = pd.date_range("2024-03-04 09:30", periods=10, freq="h").astype(str)
        table, _, _ = forecast(rows.to_csv(index=False), bars="original")
        assert table["last_date"].tolist() == ["2024-03-04 18:30:00"]
        assert table["target_date_1d"].isna().all()
    assert table["price_q0.5_3d"].notna().all()


def test_skipped_rows_are_named_at_their_ticker(forecast):
    rows = [{**row, "Close": str(row["Close"])} for row in write_rows("OAK", 8) + write_rows("ELM", 8)]
    rows += [{"Ticker": "ASH", "Date": "2024-03-04", "Close": "much"}]
    rows[7]["Close"] = "little"
    with pytest.raises(DataError, match="row 8"):
        forecast(to_csv(rows))
    table, inputs, _ = forecast(to_csv(rows), PredictOptions(on_error="skip"))
    assert table["ticker"].tolist() == ["OAK", "ELM", "ASH"]
    assert table["last_date"].tolist()[:2] == ["2024-03-12", "2024-03-13"]
    assert table["price_q0.5_1d"].notna().tolist() == [True, True, False]
    assert {k: text[:5] for k, text in inputs.errors.items()} == {0: "row 8", 2: "row 1"}
    assert "little" in inputs.errors[0]


def test_a_ticker_that_is_dropped_stays_in_the_table(forecast):
    rows = write_rows("OAK", 8) + [{**row, "Close": -1} for row in write_rows("ELM", 8)]
    table, _, notices = forecast(to_csv(rows))
    assert table["ticker"].tolist() == ["OAK", "ELM"]
    assert table["price_q0.5_1d"].notna().tolist() == [True, False]
    assert "ELM is dropped" in notices


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_the_plot_has_a_panel_for_each_of_the_first_tickers(forecast, tmp_path, suffix):
    rows = [row for k in range(6) for row in write_rows(f"T{k}", 8 if k else 3)]
    path = tmp_path / f"fan{suffix}"
    _, _, notices = forecast(to_csv(rows), PredictOptions(plot=path))
    assert path.stat().st_size > 5_000
    assert "The plot shows the first 4 of 6 tickers." in notices


def test_the_options_of_predict_name_a_plot_and_a_calendar():
    with pytest.raises(ValueError, match=r"--plot must name a file that ends in \.png"):
        PredictOptions(plot=Path("fan.txt"))
    assert PredictOptions(calendar="xnys").calendar == "XNYS"


def test_a_price_that_does_not_change_gets_no_forecast_and_a_notice(forecast):
    days = pd.bdate_range("2024-01-01", periods=10).strftime("%Y-%m-%d")
    rows = [
        f"{name},{day},{close(k)}"
        for name, close in (("A", lambda k: 5), ("B", lambda k: 5 + (k == 3)))
        for k, day in enumerate(days)
    ]
    table, _, notices = forecast("Ticker,Date,Close\n" + "\n".join(rows))
    assert table.set_index("ticker")["price_q0.5_1d"].isna().to_dict() == {"A": True, "B": True}
    assert "No forecast for 2 of 2 rows, because the close is the same on the last 6 days: A, B." in notices
    table, _, notices = forecast("Ticker,Date,Close\n" + "\n".join(rows[:-1]))
    assert table.set_index("ticker")["price_q0.5_1d"].isna().to_dict() == {"A": True, "B": False}
    assert "the last 6 days: A." in notices


def test_days_with_two_prices_are_errors_that_can_be_skipped(forecast):
    lines = [f"2024-01-{day:02},{day}" for day in range(1, 20)]
    content = "Date,Close\nhalted,x\n" + "\n".join([*lines, "2024-01-07,70"]) + "\n"
    content = content.replace("halted,x", "2024-01-20,halted")
    options = PredictOptions(on_error="skip")
    _, inputs, _ = forecast(content, options)
    assert "row 1: column" in inputs.errors[0]
    assert "row 8: rows 8 and 21: quotes has two rows for 2024-01-07 with the close 7 and 70" in inputs.errors[0]
    assert len(inputs.records) == 18
    with pytest.raises(DataError, match=r"rows 7 and 20: quotes has two rows for 2024-01-07 .*--columns\.ticker"):
        forecast("Date,Close\n" + "\n".join([*lines, "2024-01-07,70"]) + "\n")
