"""Converts a user's table of prices: one row per ticker and day, adjusted prices, increasing days."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.columns import parse_identifiers, parse_numbers, raise_where_empty
from shared.data.dates import find_time_format, parse_times
from shared.data.numbers import clean_cells, find_decimal_mark
from shared.errors import DataError, RowError
from tasks.stock import adjustment, bars, cleaning
from tasks.stock.bars import FILE_CLOSE, POSITION, PRICES, ROW
from tasks.stock.cleaning import CLOSE_COLUMN
from tasks.stock.column_names import join_date_and_time, resolve
from tasks.stock.config import FIELDS, ColumnsConfig, StockConfig
from tasks.stock.file_shapes import TICKER, drop_footer, read_flat

SINGLE_TICKER = "series"  # ticker of typed lines that name none


def read(config: StockConfig, source: str, trained: ColumnsConfig | None = None) -> tuple[pd.DataFrame, StockConfig]:
    """Reads a file into the columns `ticker` (str), `day` (datetime64, or a row number without dates) and `FIELDS` (float64, NaN if
    unknown), sorted by ticker and day, and returns the configuration with the columns of the file.

    Rows may be in any order. Rows without a usable close and repeated rows are dropped, intraday bars become daily ones, and a ticker
    that cannot be used (a constant price, too few days, many closes of 0 or less) is dropped, each with a notice. Other empty cells,
    and other prices of 0 or less, are unknown.

    Raises:
        DataError: a cell has the wrong type, two rows of a day contradict each other, or no ticker can be used.
    """
    frame, config = read_rows(config, source, trained)
    return convert(frame, config, source), config


def read_rows(
    config: StockConfig, source: str, trained: ColumnsConfig | None = None
) -> tuple[pd.DataFrame, StockConfig]:
    """Reads a file as one row per ticker and time, under the names of the columns in the file, and returns the configuration with the
    columns of the file.

    Args:
        config: settings; a column is recognized by its name if its option has the default (see `tasks.stock.column_names`).
        source: path of the file.
        trained: columns that a model remembers; they are defaults too.

    Raises:
        DataError: the file cannot be read, or a column is missing.
    """
    columns = config.columns
    frame = join_date_and_time(read_flat(source, _is_headerless(columns)), columns)
    columns = resolve(frame, columns, trained, source)
    if columns.time is not None:
        close = columns.close if columns.layout == "long" else next(name for name in frame if name != columns.time)
        frame = drop_footer(frame, columns.time, close, source)
        columns = dataclasses.replace(columns, time_format=_resolve_time_format(frame, columns, trained, source))
    if columns.layout == "wide":
        frame = _from_wide(frame, columns, source)
    return frame, dataclasses.replace(config, columns=columns)


def convert(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts the user's columns to the names and types that `read` describes, and drops rows and tickers that cannot be used.

    Raises:
        DataError: as in `read`.
    """
    result = _convert_rows(frame, config, source)
    result = cleaning.drop_unusable_tickers(result, config, source)[["ticker", "day", *FIELDS]]
    cleaning.add_notice_of_similar_tickers(result, source)
    bars.add_notice_of_interval(result, source)
    adjustment.add_notices_of_jumps(result, source)
    return result


def convert_inputs(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts the rows of a file for `predict`, like `convert`, but keeps tickers with few days or a constant price.

    The column `POSITION` holds the position of each row in `frame`; for a daily bar, that of its last row. `FILE_CLOSE` is the close in
    the file, without adjustment.

    Raises:
        DataError: as in `read`.
    """
    result = _convert_rows(frame, config, source)
    problems = {
        name: cleaning.find_invalid_close(rows) for name, rows in result[result["close"] <= 0].groupby("ticker")
    }
    return cleaning.drop_tickers(result, problems, source)


def _convert_rows(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts the rows of a file and drops those that cannot be used; only tickers with many invalid closes keep these."""
    columns = config.columns
    result = _convert_columns(frame, columns, source)
    result = cleaning.drop_rows_without_close(result[~_are_blank(frame, result)], columns, source)
    if columns.time is not None:
        result = cleaning.drop_future(result, source)
        result = bars.one_row_per_time(
            result, source, ticker_column(frame, columns) is not None, columns.layout == "wide"
        )
        if columns.bars == "daily":
            result = bars.join_daily(result, source)
    return _sort(result)


def _are_blank(frame: pd.DataFrame, result: pd.DataFrame) -> np.ndarray:
    """Returns a mask of the rows without any cell, which are empty lines or were a header; nothing is lost with them."""
    is_blank = result["close"].isna().to_numpy().copy()
    cells = frame[is_blank].drop(columns=ROW, errors="ignore")
    is_blank[is_blank] = cells.apply(clean_cells).eq("").all(axis=1).to_numpy()
    return is_blank


def convert_all(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts typed rows; an empty close is NaN, and nothing is dropped.

    The column `POSITION` holds the position of each row in `frame`.

    Raises:
        DataError: as in `read`, a close is 0 or less, or a day occurs twice.
    """
    result = _convert_columns(frame, config.columns, source)
    is_invalid = result["close"] <= 0
    if is_invalid.any():
        if config.columns.layout == "wide":
            raise DataError(f"{source}, {cleaning.describe_close(result[is_invalid].iloc[0])}.")
        raise RowError(source, np.flatnonzero(is_invalid), lambda row: f"{cleaning.describe_cell(result.iloc[row])}.")
    is_duplicate = result.duplicated(["ticker", "instant"]).to_numpy()

    def describe(row: int) -> str:
        day, ticker = str(result["day"].iloc[row])[:10], result["ticker"].iloc[row]
        return f"{ticker} has a second row for {day}. Keep one of the rows."

    if is_duplicate.any():
        raise RowError(source, np.flatnonzero(is_duplicate), describe)
    return _sort(result)


def required_columns(columns: ColumnsConfig) -> dict[str, str]:
    """Returns the columns that a table of prices must have, with the options that name them."""
    names = {"time": columns.time, "close": columns.close}
    return {column: option(columns, name) for name, column in names.items() if column}


def _is_headerless(columns: ColumnsConfig) -> bool:
    """Returns True if the user names columns by their positions, or a wide file has no dates."""
    if columns.layout == "wide":
        return columns.time is None
    defaults = ColumnsConfig()
    names = [getattr(columns, name) for name in ("ticker", "time", "close", *FIELDS)]
    chosen = [name for name in names if name and name not in dataclasses.astuple(defaults)]
    return bool(chosen) and all(name.isdigit() for name in chosen)


def ticker_column(frame: pd.DataFrame, columns: ColumnsConfig) -> str | None:
    """Returns the column with the ticker, or None if the file has none."""
    name = columns.ticker or (TICKER if columns.layout == "wide" else None)
    return name if name in frame else None


def single_ticker(source: str) -> str:
    """Returns the name of the only ticker of a file: that of the file, without its suffixes."""
    path = Path(source)
    return path.name.partition(".")[0] or SINGLE_TICKER if path.suffix else SINGLE_TICKER


def _resolve_time_format(
    frame: pd.DataFrame, columns: ColumnsConfig, trained: ColumnsConfig | None, source: str
) -> str | None:
    """Returns the format that the user named or that the dates show, None where they need none; that of training comes first."""
    remembered = trained.time_format if trained is not None else None
    if columns.time_format not in (None, remembered):
        return columns.time_format
    return find_time_format(frame[columns.time], source, option(columns, "time_format"), remembered)


def _from_wide(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Returns a wide table as a long one."""
    rows = np.arange(1, len(frame) + 1)
    days = frame.pop(columns.time) if columns.time is not None else None
    mark = find_decimal_mark(frame[name] for name in frame)
    tables = []
    for name, values in frame.items():
        close = parse_numbers(values, source, allow_empty=True, decimal_mark=mark)
        cells: dict[str, object] = {(columns.ticker or TICKER): name, columns.close: close, ROW: rows}
        table = pd.DataFrame(cells if days is None else {**cells, str(columns.time): days})
        tables.append(table[np.isfinite(close)])
    return pd.concat(tables, ignore_index=True)


def _decimal_mark(frame: pd.DataFrame, columns: ColumnsConfig) -> str | None:
    names = [getattr(columns, name) for name in (*FIELDS, "adjusted_close")]
    return find_decimal_mark(frame[name] for name in names if name in frame)


def _convert_columns(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Returns `ticker`, `time`, `instant`, `day`, `FIELDS`, `ROW`, `POSITION`, `FILE_CLOSE` and `CLOSE_COLUMN`, in the order of `frame`."""
    result = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    ticker = ticker_column(frame, columns)
    mark = _decimal_mark(frame, columns)
    numbers = {}
    for name in (*FIELDS, "adjusted_close"):
        column = getattr(columns, name)
        has_column = column is not None and column in frame
        numbers[name] = parse_numbers(frame[column], source, True, mark) if has_column else np.full(len(frame), np.nan)
    is_empty = np.isnan(numbers["close"])
    result["ticker"] = single_ticker(source)
    if ticker:
        result["ticker"] = parse_identifiers(frame[ticker], source, allow_empty=True)
        result["ticker"] = result["ticker"].str.strip()
        raise_where_empty((result["ticker"] == "") & ~is_empty, frame[ticker], source)
    for name in FIELDS:
        result[name] = numbers[name]
    result[FILE_CLOSE] = result["close"]
    result[CLOSE_COLUMN] = result["ticker"] if columns.layout == "wide" else columns.close
    result[POSITION] = np.arange(len(result))
    result[ROW] = frame[ROW].to_numpy() if ROW in frame else result[POSITION] + 1
    _add_times(result, frame, columns, source)
    if columns.adjusted_close in frame and adjustment.has_prices(numbers["adjusted_close"], columns, source):
        _adjust_prices(result, numbers["adjusted_close"], columns, source)
    return cleaning.clear_impossible_values(result, columns, source)


def _add_times(result: pd.DataFrame, frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> None:
    """Adds `time`, `instant` in UTC and `day`; a row without a close needs no date, and rows without dates are numbered."""
    if columns.time is None:
        result["day"] = result.groupby("ticker", sort=False).cumcount()
        result["time"] = result["instant"] = result["day"]
        return
    has_close = result["close"].notna().to_numpy()
    values = frame[columns.time].reset_index(drop=True)
    values = values.where(has_close, pd.NaT if pd.api.types.is_datetime64_any_dtype(values) else None)
    name = option(columns, "time_format")
    times = parse_times(values, source, columns.time_format, option=name, allow_empty=True)
    raise_where_empty(times.local.isna() & has_close, values, source)
    result["time"], result["instant"] = times.local.to_numpy(), times.instant.to_numpy()
    day = times.local if columns.bars == "original" else times.local.dt.normalize()
    result["day"] = day.astype("datetime64[s]").to_numpy()


def _sort(frame: pd.DataFrame) -> pd.DataFrame:
    frame = frame.sort_values(["ticker", "instant"], kind="stable", ignore_index=True)
    return frame.drop(columns=["time", "instant"])


def _adjust_prices(result: pd.DataFrame, adjusted: np.ndarray, columns: ColumnsConfig, source: str) -> None:
    """Multiplies the prices by adjusted close / close, in place; an adjusted close of 0 or less becomes the close."""
    factor = adjustment.adjustment_factors(result, adjusted, result[ROW].to_numpy(), source)
    for name in PRICES:
        result[name] *= factor
    is_invalid = (adjusted <= 0) & (result["close"] > 0).to_numpy()
    result.loc[is_invalid, "close"] = adjusted[is_invalid]
    result.loc[is_invalid, CLOSE_COLUMN] = columns.adjusted_close
