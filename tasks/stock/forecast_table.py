"""The table that `predict` gives: one forecast per ticker after its newest day, or one after every row of the input."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import numpy as np
import pandas as pd

from shared.data.columns import parse_identifiers
from shared.data.notices import add_notice
from shared.errors import RowError
from shared.task import Inputs, Predictions, trained_config
from tasks.stock import prices
from tasks.stock.bars import FILE_CLOSE, POSITION, ROW
from tasks.stock.config import ColumnsConfig, PredictOptions, StockConfig
from tasks.stock.trading_days import target_days

COLUMNS = ("ticker", "last_date", "last_close")
"""Columns before those of the predictions in a table with one row per ticker."""
MAX_LISTED = 5  # tickers in a notice, and errors in a cell


def forecast_rows(records: pd.DataFrame, options: PredictOptions) -> np.ndarray:
    """Returns the positions in the records after which a forecast is made, int64, in the order of the predictions: the newest day of each
    ticker, or all rows in the order of the user.

    Args:
        records: table from `tasks.stock.prices.convert_inputs`, sorted by ticker and day.
        options: options of `predict`.
    """
    if options.every_day:
        return np.argsort(records[POSITION].to_numpy(), kind="stable")
    return np.flatnonzero(~records.duplicated("ticker", keep="last"))


def make_inputs(
    rows: pd.DataFrame,
    frame: pd.DataFrame,
    converted: tuple[pd.DataFrame | None, np.ndarray, dict[int, str]],
    columns: ColumnsConfig,
    source: str,
    options: PredictOptions,
) -> Inputs:
    """Returns the inputs of `predict`, whose rows are those of the user, or one per ticker with `COLUMNS`.

    Args:
        rows: rows of the user.
        frame: the same rows, with the columns of prices.
        converted: records, positions in `frame` and errors, from `shared.data.chunks.convert_rows`.
        columns: names of the columns in `frame`.
        source: file, which names the only ticker of a file without a column for it.
        options: options of `predict`.
    """
    records, positions, errors = converted
    if options.every_day:
        if records is not None:
            positions = np.sort(positions[records[POSITION]])
        return Inputs(rows.drop(columns=ROW, errors="ignore"), records, positions, errors)
    if records is not None:
        records = records.assign(**{POSITION: positions[records[POSITION]]})
    names = _names_of_tickers(frame, records, columns, source)
    tickers = [name for name in dict.fromkeys(names) if name]
    numbers = {name: k for k, name in enumerate(tickers)}
    table = pd.DataFrame({"ticker": tickers, "last_date": None, "last_close": np.nan}).astype({"last_date": object})
    table_positions = np.zeros(0, np.int64)
    if records is not None:
        last = records.iloc[forecast_rows(records, options)]
        table_positions = np.array([numbers[name] for name in last["ticker"]], np.int64)
        table.loc[table_positions, "last_date"] = [format_day(day) for day in last["day"]]
        table.loc[table_positions, "last_close"] = last[FILE_CLOSE].to_numpy()
    return Inputs(table, records, table_positions, _errors_by_ticker(errors, names, numbers))


def in_unit_of_file(values: np.ndarray, records: pd.DataFrame, rows: np.ndarray) -> np.ndarray:
    """Returns prices `(rows, …)` in the unit of the adjusted close as prices in the unit of the close in the file.

    Args:
        values: prices after each row.
        records: table with `close` and `FILE_CLOSE`.
        rows: positions in the records.
    """
    last = records.iloc[rows]
    factor = (last[FILE_CLOSE] / last["close"]).to_numpy()
    return (values * factor.reshape(-1, *[1] * (values.ndim - 1))).astype(values.dtype)


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns for each horizon, such as 5 days, the columns `target_date_5d`, `price_q0.975_5d` for each quantile, `up_probability_5d`
    and `expected_volatility_5d`."""
    forecast = cast("StockConfig", trained_config(metadata)).forecast
    targets = target_days(inputs.records, forecast_rows(inputs.records, options), forecast.horizons, options.calendar)
    columns: dict[str, Any] = {}
    for h, horizon in enumerate(forecast.horizons):
        columns[f"target_date_{horizon}d"] = np.array([format_day(day) for day in targets[:, h]], object)
        for q, level in enumerate(forecast.quantiles):
            columns[f"price_q{level:g}_{horizon}d"] = predictions["price_quantiles"][:, h, q]
        for name in ("up_probability", "expected_volatility"):
            columns[f"{name}_{horizon}d"] = predictions[name][:, h]
    return pd.DataFrame(columns)


def format_day(day: Any) -> str | None:
    """Returns a day as 2024-05-31, a time as 2024-05-31 09:30:00, and None for the number of a row or an unknown day."""
    if not isinstance(day, (pd.Timestamp, np.datetime64)) or pd.isna(day):
        return None
    return str(pd.Timestamp(day)).removesuffix(" 00:00:00")


def add_notice_of_short_history(records: pd.DataFrame, rows: np.ndarray, min_history: int) -> None:
    """Adds a notice that names the tickers of the rows with fewer days up to them than a forecast needs."""
    is_short = records.groupby("ticker").cumcount().to_numpy()[rows] < min_history - 1
    if is_short.any():
        tickers = records["ticker"].iloc[rows[is_short]].unique()
        listed = ", ".join(map(str, tickers[:MAX_LISTED])) + (", …" if len(tickers) > MAX_LISTED else "")
        add_notice(
            f"No forecast for {is_short.sum()} of {len(rows)} rows, because the ticker has fewer than {min_history} days up to them: "
            f"{listed}.",
            hint="Give more days before them.",
        )


def clear_still_rows(predictions: dict[str, np.ndarray], records: pd.DataFrame, rows: np.ndarray, days: int) -> None:
    """Replaces the forecasts after days without any change of the close with NaN, in place, with a notice that names the tickers.

    A model takes such days for certainty, but the price of a ticker that is not traded says nothing about the next trade.

    Args:
        predictions: arrays `(rows, …)`.
        records: table with `ticker` and `close`, sorted by ticker and day.
        rows: positions in the records after which the forecasts are made.
        days: number of newest days without a change.
    """
    changes = records["close"].ne(records.groupby("ticker")["close"].shift()).to_numpy()
    numbers = np.arange(len(records))
    unchanged = numbers - np.maximum.accumulate(np.where(changes, numbers, 0)) + 1
    is_still = unchanged[rows] >= days
    if is_still.any():
        for values in predictions.values():
            values[is_still] = np.nan
        tickers = records["ticker"].iloc[rows[is_still]].unique()
        listed = ", ".join(map(str, tickers[:MAX_LISTED])) + (", …" if len(tickers) > MAX_LISTED else "")
        add_notice(
            f"No forecast for {is_still.sum()} of {len(rows)} rows, because the close is the same on the last {days} days: {listed}.",
            hint="Check whether the ticker is still traded.",
        )


def _names_of_tickers(
    frame: pd.DataFrame, records: pd.DataFrame | None, columns: ColumnsConfig, source: str
) -> np.ndarray:
    """Returns the ticker of each row of the user, object `(rows,)`, "" if it is empty."""
    column = prices.ticker_column(frame, columns)
    if column is None:
        return np.full(len(frame), prices.single_ticker(source), object)
    try:
        names = parse_identifiers(frame[column], source, allow_empty=True)
    except RowError:  # of a row that was skipped; the others have their tickers in the records
        names = frame[column].fillna("").astype(str).to_numpy(object)
    if records is not None:
        names[records[POSITION]] = records["ticker"]
    return np.array([name.strip() for name in names], object)


def _errors_by_ticker(errors: Mapping[int, str], names: np.ndarray, numbers: Mapping[str, int]) -> dict[int, str]:
    """Returns what is wrong with the rows of each ticker, by the position of the ticker; rows without a ticker cause a notice."""
    texts: dict[int, list[str]] = {}
    for position, problem in errors.items():
        text = f"row {position + 1}: {problem}"
        if names[position]:
            texts.setdefault(numbers[names[position]], []).append(text)
        else:
            add_notice(f"Skipped {text}")
    more = {k: f"; {len(rows) - MAX_LISTED} more" if len(rows) > MAX_LISTED else "" for k, rows in texts.items()}
    return {k: "; ".join(rows[:MAX_LISTED]) + more[k] for k, rows in texts.items()}
