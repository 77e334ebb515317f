"""Converts a user's table of prices: one row per ticker and day, adjusted prices, increasing days."""

from __future__ import annotations

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.columns import parse_identifiers, parse_numbers, raise_where, raise_where_empty
from shared.data.notices import add_notice
from shared.data.tables import read_all, read_table, require_columns
from shared.errors import DataError, RowError
from tasks.stock.config import FIELDS, ColumnsConfig, StockConfig

PRICES = ("open", "high", "low", "close")
SINGLE_TICKER = "series"
ROW = "row of the file"
POSITION = "position among the rows"
CLOSE_COLUMN = "column of the close"
MAX_CHANGE = 0.4  # a larger relative change between two closes looks like a split without adjustment
UTC_OFFSET = r"(?<=:\d\d)\s*(?:Z|[+-]\d\d:?\d\d)$"  # after a time of day
MAX_LISTED = 5  # changes that are listed one by one


def read(config: StockConfig, source: str) -> pd.DataFrame:
    """Reads a file into the columns `ticker` (str), `day` (datetime64, or a row number without dates) and `FIELDS` (float64, NaN if
    unknown), sorted by ticker and day.

    Rows may be in any order. A row with an empty close is dropped; other empty cells, and other prices of 0 or less, are unknown. A
    ticker that cannot be used (a close of 0 or less, a constant price, too few days) is dropped with a notice that names it.

    Raises:
        DataError: a cell has the wrong type, a day occurs twice, or no ticker can be used.
    """
    return convert(read_rows(config, source), config, source)


def read_rows(config: StockConfig, source: str, all_columns: bool = False) -> pd.DataFrame:
    """Reads a file as one row per ticker and day, under the names of the columns in the file; with `all_columns` also those that the
    model does not read.

    Raises:
        DataError: the file cannot be read, or a column is missing.
    """
    columns = config.columns
    if columns.layout == "wide":
        return _read_wide(columns, source)
    required = required_columns(columns)
    optional = (columns.open, columns.high, columns.low, columns.volume, columns.adjusted_close)
    try:
        return read_table(source, list(required), optional, required, all_columns)
    except DataError as error:
        if "no column" in str(error):
            raise DataError(
                f"{error} For a file of one ticker, add --columns.ticker None; for one column per ticker, add --columns.layout wide."
            ) from error
        raise


def convert(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts the user's columns to the names and types that `read` describes, and drops rows and tickers that cannot be used.

    Raises:
        DataError: as in `read`.
    """
    result = _convert_columns(frame, config.columns, source)
    result = _sort(result[result["close"].notna()])
    result = _drop_unusable_tickers(result, config, source).drop(columns=[ROW, POSITION, CLOSE_COLUMN])
    _add_notices_of_jumps(result, source)
    return result


def convert_all(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Converts all rows, even if there are few, like `convert`; an empty close is NaN.

    The column `POSITION` holds the position of each row in `frame`.

    Raises:
        DataError: as in `read`, or a close is 0 or less.
    """
    result = _convert_columns(frame, config.columns, source)
    is_invalid = result["close"] <= 0
    if is_invalid.any():
        if config.columns.layout == "wide":
            raise DataError(
                f"{source}, row {result[ROW][is_invalid].iloc[0]}: {_describe_close(result[is_invalid].iloc[0])}."
            )
        raise RowError(source, np.flatnonzero(is_invalid), lambda row: f"{_describe_close(result.iloc[row])}.")
    return _sort(result)


def find_jumps(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Returns ticker, day and relative change of each close that differs by more than 40 % from the previous one."""
    change = frame["close"] / frame.groupby("ticker")["close"].shift() - 1
    rows = np.flatnonzero(change.abs() > MAX_CHANGE)
    return [(str(frame["ticker"].iloc[k]), str(frame["day"].iloc[k])[:10], float(change.iloc[k])) for k in rows]


def required_columns(columns: ColumnsConfig) -> dict[str, str]:
    """Returns the columns that a table of prices must have, with the options that name them; a wide table has been converted."""
    names = {"ticker": ticker_column(columns), "time": columns.time, "close": columns.close}
    return {column: option(columns, name) for name, column in names.items() if column}


def ticker_column(columns: ColumnsConfig) -> str | None:
    """Returns the column with the ticker; a wide table gets one."""
    return columns.ticker or ("Ticker" if columns.layout == "wide" else None)


def parse_days(values: pd.Series, source: str, time_format: str | None) -> pd.Series:
    """Returns days, datetime64, from dates or from text; a time of day and a time zone are removed without conversion.

    Raises:
        DataError: a cell is empty or has another format.
    """
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna(), values, source)
        parsed = values.dt.tz_localize(None) if values.dt.tz is not None else values
    else:
        text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
        raise_where_empty(text == "", values, source)
        text = text.str.replace(UTC_OFFSET, "", regex=True)  # the day is that of the exchange
        parsed = pd.to_datetime(text, errors="coerce", format=time_format or "ISO8601")
    expected = f"expected a day in the format {time_format}" if time_format else "expected a day such as 2016-01-29"
    hint = "Name the format of your days, for example --columns.time-format %d/%m/%Y"
    raise_where(parsed.isna(), values, source, f"{expected}. {hint}")
    return parsed.dt.normalize().astype("datetime64[s]")


def _read_wide(columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Returns a wide table as a long one."""
    frame = read_all(source, headerless=columns.time is None)
    if columns.time is not None and columns.time not in frame:
        names = ", ".join(frame.columns[:10])
        raise DataError(
            f'{source}: no column "{columns.time}". The columns are {names}. Name the right one with --columns.time, or add '
            "--columns.time None for a file without dates."
        )
    rows = np.arange(1, len(frame) + 1)
    days = frame.pop(columns.time) if columns.time is not None else None
    tables = []
    for name, values in frame.items():
        table = {
            ticker_column(columns): name,
            columns.close: parse_numbers(values, source, allow_empty=True),
            ROW: rows,
        }
        tables.append(pd.DataFrame(table if days is None else {**table, columns.time: days}))
    return pd.concat(tables, ignore_index=True)


def _convert_columns(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Returns the columns that `read` describes, `ROW`, `POSITION` and `CLOSE_COLUMN`, in the order of `frame`."""
    required = required_columns(columns)
    require_columns(source, frame.columns, required, required)
    result = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    ticker = ticker_column(columns)
    result["ticker"] = parse_identifiers(frame[ticker], source) if ticker else SINGLE_TICKER
    result["day"] = _parse_days(frame, columns, source)
    for name in FIELDS:
        column = getattr(columns, name)
        result[name] = parse_numbers(frame[column], source, allow_empty=True) if column in frame else np.nan
    result[CLOSE_COLUMN] = result["ticker"] if columns.layout == "wide" else columns.close
    if columns.adjusted_close in frame:
        _adjust_prices(result, frame, columns, source)
    result[POSITION] = np.arange(len(result))
    result[ROW] = frame[ROW].to_numpy() if ROW in frame else result[POSITION] + 1
    _raise_for_duplicates(result, source)
    return _clear_impossible_values(result, columns, source)


def _sort(frame: pd.DataFrame) -> pd.DataFrame:
    return frame.sort_values(["ticker", "day"], kind="stable", ignore_index=True)


def _parse_days(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.Series | np.ndarray:
    if columns.time is None:
        ticker = ticker_column(columns)
        return frame.groupby(ticker, sort=False).cumcount().to_numpy() if ticker else np.arange(len(frame))
    return parse_days(frame[columns.time], source, columns.time_format).to_numpy()


def _adjust_prices(result: pd.DataFrame, frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> None:
    """Multiplies the prices by adjusted close / close, in place."""
    adjusted = parse_numbers(frame[columns.adjusted_close], source, allow_empty=True)
    close = result["close"]
    ratio = np.where((adjusted > 0) & (close > 0), adjusted / close.where(close != 0), 1.0)
    for name in PRICES:
        result[name] *= ratio
    is_missing = np.isnan(adjusted) & result["close"].notna()
    hint = f'"{columns.close}" has a price there. Fill it in or drop the row.'
    raise_where_empty(is_missing, frame[columns.adjusted_close], source, hint)
    result.loc[adjusted <= 0, "close"] = adjusted[adjusted <= 0]
    result.loc[adjusted <= 0, CLOSE_COLUMN] = columns.adjusted_close


def _raise_for_duplicates(frame: pd.DataFrame, source: str) -> None:
    is_duplicate = frame.duplicated(["ticker", "day"]).to_numpy()

    def describe(row: int) -> str:
        day, ticker = str(frame["day"].iloc[row])[:10], frame["ticker"].iloc[row]
        return f"{ticker} has a second row for {day}. Keep one of the rows."

    if is_duplicate.any():
        raise RowError(source, np.flatnonzero(is_duplicate), describe)


def _drop_unusable_tickers(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Drops the tickers that cannot be used, each with a notice."""
    min_days = config.features.min_history + max(config.forecast.horizons)
    problems: dict[str, str] = {}
    for ticker, rows in frame.groupby("ticker", sort=False):
        problem = _find_problem(rows, min_days)
        if problem:
            problems[str(ticker)] = problem
    if len(problems) == frame["ticker"].nunique():
        ticker, problem = next(iter(problems.items()), ("all rows", "no row has a close"))
        raise DataError(f"{source}: no ticker can be used. {ticker}: {problem}.")
    for ticker, problem in problems.items():
        add_notice(f"{source}: {ticker} is dropped: {problem}.")
    return frame[~frame["ticker"].isin(set(problems))].reset_index(drop=True)


def _describe_close(row: pd.Series) -> str:
    """Returns a description of a close of 0 or less: its column in the file and its value."""
    return f'column "{row[CLOSE_COLUMN]}" is {row["close"]:g}, expected a price greater than 0'


def _find_problem(rows: pd.DataFrame, min_days: int) -> str | None:
    """Returns a description of the problem with the rows of one ticker, or None."""
    is_invalid = rows["close"] <= 0
    if is_invalid.any():
        first = rows[is_invalid].iloc[0]
        return f"row {first[ROW]}: {_describe_close(first)}"
    if len(rows) < min_days:
        return f"{len(rows)} days are too few; {min_days} are needed"
    if rows["close"].nunique() == 1:
        return f"the close is {rows['close'].iloc[0]:g} on every day, so there is nothing to forecast"
    return None


def _clear_impossible_values(frame: pd.DataFrame, columns: ColumnsConfig, source: str) -> pd.DataFrame:
    """Replaces opens, highs and lows of 0 or less, and negative volumes, with NaN, with a notice."""
    for name in ("open", "high", "low", "volume"):
        is_impossible = frame[name] < 0 if name == "volume" else frame[name] <= 0
        if is_impossible.any():
            first = frame[is_impossible].iloc[0]
            value, others = f"{first['ticker']} is {first[name]:g}", is_impossible.sum() - 1
            add_notice(
                f'{source}, row {first[ROW]}: column "{getattr(columns, name)}" of {value}. This value and {others} similar ones are '
                "treated as unknown."
            )
            frame.loc[is_impossible, name] = np.nan
    return frame


def _add_notices_of_jumps(frame: pd.DataFrame, source: str) -> None:
    jumps = find_jumps(frame)
    for name, day, change in jumps[:MAX_LISTED]:
        add_notice(
            f"{source}: {name} changes by {100 * change:+.0f} % on {day}.",
            hint="If this was a split, adjust the earlier prices, or add a column with adjusted closes.",
        )
    if len(jumps) > MAX_LISTED:
        add_notice(f"{source}: {len(jumps) - MAX_LISTED} more changes of this size.")
