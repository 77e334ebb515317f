"""Shapes of files of prices that are not in the case files; each holds the same bars."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.stock import prices
from tasks.stock.config import ColumnsConfig, FeaturesConfig, ForecastConfig, StockConfig

COUNT = 40
DAYS = pd.bdate_range("2022-01-03", periods=COUNT)
MILLISECONDS = (DAYS - pd.Timestamp(0)) // pd.Timedelta(milliseconds=1)


@pytest.fixture
def bars() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    close = 1500 * np.exp(np.cumsum(rng.normal(0, 0.01, COUNT)))
    fields = {"Open": close * 1.001, "High": close * 1.01, "Low": close * 0.99, "Close": close}
    frame = pd.DataFrame(fields).round(2).assign(Volume=rng.integers(100_000, 900_000, COUNT))
    frame.insert(0, "Date", DAYS.strftime("%Y-%m-%d"))
    return frame


@pytest.fixture
def read(tmp_path):
    """Writes a text, or a table with a function, and reads it."""

    def read(content, name="prices.csv", **columns):
        path = tmp_path / name
        path.write_text(content, encoding="utf-8") if isinstance(content, str) else content(path)
        config = StockConfig(
            columns=ColumnsConfig(**columns),
            features=FeaturesConfig(min_history=6),
            forecast=ForecastConfig(horizons=(1, 5)),
        )
        with collect_notices() as notices:
            frame, config = prices.read(config, str(path))
        return frame, config.columns, "\n".join(map(str, notices))

    return read


def assert_equal(frame, bars, rtol=1e-9):
    for name in ("open", "high", "low", "close"):
        np.testing.assert_allclose(frame[name], bars[name.capitalize()], rtol=rtol)
    np.testing.assert_array_equal(frame["day"].to_numpy(), DAYS.to_numpy().astype("datetime64[s]"))


def levels(bars):
    """Returns two tickers in the form of yfinance; MSFT has twice the prices and lacks the fourth day."""
    one = bars.drop(columns="Date").set_axis(pd.DatetimeIndex(DAYS, name="Date"))
    both = pd.concat({"AAPL": one, "MSFT": one * 2}, axis=1, names=["Ticker", "Price"])
    both.iloc[3, 5:] = np.nan
    return both


@pytest.mark.parametrize(
    "shape",
    [
        lambda frame, path: frame.to_csv(path),
        lambda frame, path: frame.swaplevel(axis=1).to_csv(path),
        lambda frame, path: frame.swaplevel(axis=1).sort_index(axis=1).rename_axis(columns=[None, None]).to_csv(path),
        lambda frame, path: frame.swaplevel(axis=1).rename_axis(index=None, columns=[None, None]).to_csv(path),
        lambda frame, path: frame.to_parquet(path.with_suffix(".parquet")),
        lambda frame, path: frame.swaplevel(axis=1).to_parquet(path.with_suffix(".parquet")),
    ],
    ids=["ticker first", "price first", "without names", "without index", "parquet", "parquet, price first"],
)
def test_several_header_levels_become_one_row_per_ticker_and_day(shape, read, bars, request):
    name = "prices.parquet" if "parquet" in request.node.name else "prices.csv"
    frame, _, _ = read(lambda path: shape(levels(bars), path), name)
    assert frame.groupby("ticker").size().to_dict() == {"AAPL": COUNT, "MSFT": COUNT - 1}
    assert_equal(frame[frame["ticker"] == "AAPL"], bars)


@pytest.mark.parametrize("zone", [None, "America/New_York", "Asia/Tokyo"])
def test_the_date_may_be_the_index_of_a_parquet_file(zone, read, bars):
    index = pd.DatetimeIndex(DAYS, name="Date", tz=zone)
    frame, _, _ = read(lambda path: bars.drop(columns="Date").set_axis(index).to_parquet(path), "AAPL.parquet")
    assert_equal(frame, bars)
    assert frame["ticker"].unique().tolist() == ["AAPL"]


@pytest.mark.parametrize("factor", [1, 1000], ids=["milliseconds", "microseconds"])
@pytest.mark.parametrize("header", [True, False])
def test_klines_with_and_without_header(factor, header, read, bars):
    names = "open_time open high low close volume close_time quote_volume count taker_base taker_quote ignore".split()
    opened = MILLISECONDS * factor
    values = [opened, *(bars[name] for name in bars.columns[1:]), opened + 1, 1.5, 3, 1.5, 1.5, 0]
    table = pd.DataFrame(dict(zip(names, values, strict=True)))
    frame, _, notices = read(table.to_csv(index=False, header=header))
    assert_equal(frame, bars)
    assert "since 1970, in UTC" in notices


@pytest.mark.parametrize(
    ("number", "separator"),
    [
        (lambda x: f"${x:,.2f}", ","),
        (lambda x: f"{x:,.2f}".translate(str.maketrans(",.", ".,")), ";"),
        (lambda x: f"{x:,.2f}".replace(",", "\u202f").replace(".", ",") + " €", ","),
        (lambda x: f"{x:,.2f}".replace(",", "'"), ","),
        (lambda x: f"USD {x:,.2f}", "\t"),
    ],
    ids=["dollars", "German", "French", "Swiss", "code"],
)
def test_numbers_of_all_styles(number, separator, read, bars):
    table = bars.assign(**{name: bars[name].map(number) for name in ("Open", "High", "Low", "Close")})
    table["Volume"] = bars["Volume"].map(lambda x: number(float(x)).replace(",00", "").replace(".00", ""))
    frame, _, _ = read(table.to_csv(index=False, sep=separator), "prices.tsv" if separator == "\t" else "prices.csv")
    assert_equal(frame, bars)
    np.testing.assert_array_equal(frame["volume"], bars["Volume"])


@pytest.mark.parametrize(
    ("format_day", "time_format"),
    [
        ("%m/%d/%Y", "%m/%d/%Y"),
        ("%d/%m/%Y", "%d/%m/%Y"),
        ("%d.%m.%y", "%d.%m.%y"),
        ("%m/%d/%Y 16:00:00", "%m/%d/%Y"),
        ("%d-%b-%y", None),
        ("%b %d, %Y", None),
        ("%Y%m%d", None),
        ("%Y.%m.%d", "%Y.%m.%d"),
    ],
)
def test_dates_of_all_styles_newest_first(format_day, time_format, read, bars):
    table = bars.assign(Date=DAYS.strftime(format_day)).iloc[::-1]
    frame, columns, _ = read(table.to_csv(index=False))
    assert_equal(frame, bars)
    assert (
        columns.time_format in (time_format, None) if time_format == "%Y.%m.%d" else columns.time_format == time_format
    )


def test_lines_before_and_after_the_table_are_skipped_with_notices(read, bars):
    text = f"Stock: AAPL\nExported 2024-01-05\n\n{bars.to_csv(index=False)}\nTotal,,,,,12345\nSource: Nasdaq\n"
    frame, _, notices = read(text)
    assert_equal(frame, bars)
    assert 'skipped lines before the header: 3, from "Stock: AAPL"' in notices
    assert 'dropped rows at the end that are no prices: 2, from "Total"' in notices


@pytest.mark.parametrize("kind", ["clock", "trades", "mean price"])
def test_bars_without_header_are_recognized_by_their_values(kind, read, bars):
    bars = bars.assign(Date=DAYS.strftime("%Y.%m.%d"))
    if kind == "clock":
        bars.insert(1, "Time", "00:00")
    if kind == "trades":
        bars["Trades"] = 5
    if kind == "mean price":
        bars.insert(5, "Mean", (bars["High"] + bars["Low"]) / 2)
        bars["Trades"] = 5
    frame, _, notices = read(bars.to_csv(index=False, header=False))
    assert_equal(frame, bars)
    np.testing.assert_array_equal(frame["volume"], bars["Volume"])
    assert "the file has no header" in notices
    assert "several columns" not in notices


def test_text_without_header_that_is_no_bars_raises_an_error(read, bars):
    with pytest.raises(DataError, match="the file has no header"):
        read(bars[["Date", "High", "Open", "Low", "Close", "Volume"]].to_csv(index=False, header=False))


@pytest.mark.parametrize(
    "header",
    [
        "Datum;Eröffn.;Hoch;Tief;Schlusskurs;Vol.",
        "Date;Ouv.;Plus Haut;Plus Bas;Dernier;Vol.",
        "Fecha;Apertura;Máximo;Mínimo;Último;Vol.",
        "Data;Otwarcie;Najwyższy;Najniższy;Zamknięcie;Wolumen",
        "日期;开盘;最高;最低;收盘;成交量",
        "日付け;始値;高値;安値;終値;出来高",
        "Dates;PX_OPEN;PX_HIGH;PX_LOW;PX_LAST;PX_VOLUME",
    ],
)
def test_names_in_other_languages_are_recognized(header, read, bars):
    content = bars.to_csv(index=False, header=False, sep=";")
    frame, _, _ = read(f"{header.replace('Dates', 'Date')}\n{content}")
    assert_equal(frame, bars)
    np.testing.assert_array_equal(frame["volume"], bars["Volume"])


def test_lines_above_the_header_that_are_padded_with_empty_fields_are_skipped(read, bars):
    frame, _, notices = read("Security,ABC,,,,\nStart,2022-01-03,,,,\n,,,,,\n" + bars.to_csv(index=False))
    assert_equal(frame, bars)
    assert "skipped lines before the header: 3" in notices


def test_the_first_of_several_volumes_is_used(read, bars):
    named = bars.rename(columns={"Volume": "Volume BTC"}).assign(**{"Volume USD T": 1})
    frame, _, notices = read(named.to_csv(index=False))
    np.testing.assert_array_equal(frame["volume"], bars["Volume"])
    assert '"Volume BTC" is the volume' in notices


def test_dividends_and_splits_between_the_prices_are_dropped_with_a_notice(read, bars):
    lines = bars.to_csv(index=False).splitlines()
    lines[10:10] = ["2022-01-13,0.24 Dividend,,,,", '2022-01-13,"2:1 Stock Split",,,,']
    frame, _, notices = read("\n".join(lines) + "\n")
    assert_equal(frame, bars)
    assert "dropped 2 of 42 rows, because they are dividends or splits without prices. First rows: 10, 11." in notices
    frame, _, _ = read(bars.assign(Event=["dividend", *[""] * (COUNT - 1)]).to_csv(index=False))
    assert_equal(frame, bars)


@pytest.mark.parametrize("names", [("<DTYYYYMMDD>", "<TIME>"), ("Datum", "Uhrzeit"), ("Fecha", "Hora")])
def test_names_of_date_and_time_of_day_are_recognized(names, read, bars):
    frame = bars.rename(columns={"Date": names[0]})
    frame.insert(1, names[1], "09:30")
    assert_equal(read(frame.to_csv(index=False))[0], bars)


def test_tickers_are_read_without_spaces_and_similar_ones_are_noticed(read, bars):
    both = pd.concat([bars.assign(Ticker="ABC"), bars.assign(Ticker="abc")])
    both.iloc[::2, -1] += " "
    frame, _, notices = read(both.to_csv(index=False))
    assert frame["ticker"].value_counts().to_dict() == {"ABC": COUNT, "abc": COUNT}
    assert "2 tickers differ only by upper and lower case: ABC, abc." in notices


def test_a_high_below_the_low_is_noticed(read, bars):
    swapped = bars.rename(columns={"High": "Low", "Low": "High"})
    assert f'column "High" is below column "Low" in {COUNT} of {COUNT} rows' in read(swapped.to_csv(index=False))[2]


@pytest.mark.parametrize("value", ["", 0])
def test_an_adjusted_close_without_any_price_is_not_used(value, read, bars):
    frame, _, notices = read(bars.assign(**{"Adj Close": value}).to_csv(index=False))
    assert_equal(frame, bars)
    assert 'column "Adj Close" has no price above 0. It is not used' in notices


def test_several_columns_with_one_name_are_noticed(read, bars):
    _, _, notices = read(bars.to_csv(index=False).replace("Volume", "Close", 1))
    assert 'several columns have the name "Close"; the first one is used' in notices


def test_a_repeated_header_is_dropped(read, bars):
    head, tail = bars.iloc[:20].to_csv(index=False), bars.iloc[20:].to_csv(index=False)
    frame, _, notices = read(head + tail)
    assert_equal(frame, bars)
    assert "because they repeat the header. Row: 21." in notices
    assert "is empty" not in notices


def test_date_and_time_of_day_in_two_columns_are_joined(read, bars):
    names = ["<DATE>", "<OPEN>", "<HIGH>", "<LOW>", "<CLOSE>", "<VOL>"]
    table = bars.set_axis(names, axis=1).assign(
        **{"<DATE>": DAYS.strftime("%Y%m%d"), "<TIME>": "000000", "<TICKER>": "AAPL.US"}
    )
    frame, _, _ = read(table.to_csv(index=False), "aapl.us.txt")
    assert_equal(frame, bars)
    assert frame["ticker"].unique().tolist() == ["AAPL.US"]


@pytest.mark.parametrize(
    ("names", "close"),
    [
        (["timestamp", "open", "high", "low", "close", "volume"], "close"),
        (["timestamp", "1. open", "2. high", "3. low", "4. close", "5. volume"], "4. close"),
        (["Date", "Open", "High", "Low", "Adj Close", "Volume"], "Adj Close"),
        (["Trade Date", "OPEN", "HIGH", "LOW", "Last", "Vol."], "Last"),
    ],
)
def test_well_known_names_are_recognized(names, close, read, bars):
    frame, columns, notices = read(bars.set_axis(names, axis=1).to_csv(index=False))
    assert_equal(frame, bars)
    assert columns.close == close
    assert f'"{close}" is the close' in notices


def test_the_only_column_beside_the_dates_is_the_close(read, bars):
    table = pd.DataFrame({"observation_date": bars["Date"], "SP500": bars["Close"].astype(str)})
    table.loc[4, "SP500"] = "."
    frame, columns, _ = read(table.to_csv(index=False))
    assert (len(frame), columns.close) == (COUNT - 1, "SP500")


def test_two_columns_that_may_be_meant_raise_an_error_that_lists_both(read, bars):
    table = bars.rename(columns={"Close": "Price"}).assign(Last=1.0)
    with pytest.raises(
        DataError, match=r'the close may be "Price" and "Last"\. Name the right column with --columns\.close'
    ):
        read(table.to_csv(index=False))


def test_a_column_that_the_user_named_is_never_replaced(read, bars):
    with pytest.raises(DataError, match=r'no column "Last".*--columns\.close'):
        read(bars.to_csv(index=False), close="Last")


def test_days_after_today_are_dropped(read, bars):
    frame, _, notices = read(bars.to_csv(index=False) + "2190-01-05,1,1,1,1500,1\n")
    assert_equal(frame, bars)
    assert "dropped 1 of 41 rows, because they are after today, from 2190-01-05" in notices


def test_exact_duplicates_are_dropped_and_contradictions_name_both_rows(read, bars):
    frame, _, notices = read(pd.concat([bars, bars.iloc[[10]]]).to_csv(index=False))
    assert_equal(frame, bars)
    assert "First rows: 11, 41" in notices
    with pytest.raises(DataError, match=r"rows 11 and 41: prices has two rows for 2022-01-17 .*--columns\.ticker"):
        read(pd.concat([bars, bars.iloc[[10]].assign(Close=9)]).to_csv(index=False))


def test_bars_on_the_day_of_a_clock_change_are_no_duplicates(read):
    hours = pd.date_range("2022-10-20", periods=24 * 30, freq="h", tz="Europe/Berlin")
    close = 50 + np.arange(len(hours)) / 100
    text = pd.DataFrame({"Datetime": hours, "Close": close, "Volume": 1}).to_csv(index=False)
    frame, _, _ = read(text)
    assert len(frame) == 30
    assert frame["volume"].tolist()[9:12] == [24, 25, 24]
    assert len(read(text, bars="original")[0]) == len(hours)


def test_rows_that_are_weeks_apart_are_noticed(read, bars):
    weeks = pd.date_range("2020-01-03", periods=COUNT, freq="W").strftime("%Y-%m-%d")
    assert "the rows are 7 days apart" in read(bars.assign(Date=weeks).to_csv(index=False))[2]


def test_a_gap_of_adjusted_closes_across_a_split_takes_the_factor_that_fits(read, bars):
    table = bars.assign(**{"Adj Close": bars["Close"]})
    table.loc[:19, ["Open", "High", "Low", "Close"]] *= 2  # a 2:1 split
    table.loc[15:22, "Adj Close"] = np.nan
    frame, _, notices = read(table.to_csv(index=False))
    assert_equal(frame, bars)
    assert "in 8 of 40 rows" in notices


@pytest.mark.parametrize(("ratio", "text"), [(2, "2:1"), (0.1, "1:10")])
def test_splits_and_reverse_splits_are_named(ratio, text, read, bars):
    table = bars.assign(Close=bars["Close"].where(bars.index < 20, bars["Close"] / ratio))[["Date", "Close"]]
    assert f"on 2022-01-31. This is what a split of {text} without adjustment" in read(table.to_csv(index=False))[2]


def test_a_model_reads_the_shape_that_it_was_trained_on(read, bars, tmp_path):
    """Few days do not show whether the month comes first; the model remembers it."""
    table = bars.assign(Date=DAYS.strftime("%m/%d/%Y")).rename(columns={"Close": "Close/Last"})
    _, columns, _ = read(table.to_csv(index=False))
    assert (columns.close, columns.time_format) == ("Close/Last", "%m/%d/%Y")
    newer = table.iloc[[1]].assign(Date="04/05/2022")
    newer.to_csv(tmp_path / "newer.csv", index=False)
    frame, config = prices.read_rows(StockConfig(columns=columns), str(tmp_path / "newer.csv"), columns)
    assert str(prices.convert_inputs(frame, config, "x")["day"].iloc[0])[:10] == "2022-04-05"
    bars.to_csv(tmp_path / "yahoo.csv", index=False)
    frame, config = prices.read_rows(StockConfig(columns=columns), str(tmp_path / "yahoo.csv"), columns)
    assert_equal(prices.convert_inputs(frame, config, "x"), bars)
    named = dataclasses.replace(columns, close="Schluss")
    with pytest.raises(DataError, match='no column "Schluss"'):
        prices.read_rows(StockConfig(columns=named), str(tmp_path / "yahoo.csv"), columns)
