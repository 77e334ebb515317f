"""A user's table of prices brought to one form: a row for each ticker and day, prices adjusted, days increasing."""

from __future__ import annotations

import logging

import numpy as np
import pandas as pd

from shared import sources
from shared.columns import parse_identifiers, parse_numbers, raise_where, raise_where_empty
from shared.errors import DataError
from tasks.stock.config import StockConfig, TableConfig
from tasks.stock.model import FIELDS

PRICES = ("open", "high", "low", "close")
ONE_TICKER = "series"
ROW = "row of the file"
JUMP = 0.4  # a change from one close to the next by more than this share looks like a split that was not adjusted for
OFFSET = r"(?<=:\d\d)\s*(?:Z|[+-]\d\d:?\d\d)$"  # from UTC, behind a time of day
LISTED = 5  # jumps named one by one


def read(config: StockConfig, source: str) -> pd.DataFrame:
    """Reads a file into the columns `ticker` (str), `day` (datetime64, or a row number where there are no dates) and
    `FIELDS` (float64, not a number where not known), sorted by ticker and day.

    Rows may come in any order. An empty close drops the row; other empty cells, and prices of 0 or less in them, are not
    known. A ticker that cannot be used (a close of 0 or less, one price throughout, too few days) is left out with a
    warning by name.

    Raises:
        DataError: a cell is of the wrong kind, a day occurs twice, or no ticker can be used.
    """
    table = config.table
    if table.layout == "wide":
        return tidy(_read_wide(table, source), config, source)
    columns = [name for name in (table.ticker, table.date, table.close) if name]
    others = (table.open, table.high, table.low, table.volume, table.adjusted_close)
    try:
        frame = sources.read_table(source, columns, optional=others)
    except DataError as error:
        if "no column" in str(error):
            raise DataError(
                f"{error} A file of one ticker: add --table.ticker None; a column for each ticker: --table.layout wide."
            ) from error
        raise
    return tidy(frame, config, source)


def tidy(frame: pd.DataFrame, config: StockConfig, source: str, whole: bool = True) -> pd.DataFrame:
    """Gives the user's columns their names and types here, and refuses what cannot be used (see `read`).

    With `whole` False every row has to be usable, be there ever so few, and its number in the file, from 1, is kept in the
    column `ROW`.
    """
    table = config.table
    tidied = pd.DataFrame(index=pd.RangeIndex(len(frame)))
    ticker = _ticker_column(table)
    tidied["ticker"] = parse_identifiers(frame[ticker], source) if ticker else ONE_TICKER
    tidied["day"] = _days(frame, table, source)
    names = {"open": table.open, "high": table.high, "low": table.low, "close": table.close, "volume": table.volume}
    for name in FIELDS:
        tidied[name] = parse_numbers(frame[names[name]], source, True) if names[name] in frame else np.nan
    if table.adjusted_close in frame:
        adjusted = parse_numbers(frame[table.adjusted_close], source, True)
        ratio = np.where(
            (adjusted > 0) & (tidied["close"] > 0), adjusted / tidied["close"].where(tidied["close"] != 0), 1.0
        )
        for name in PRICES:
            tidied[name] *= ratio
        unknown = np.isnan(adjusted) & tidied["close"].notna()
        raise_where_empty(unknown, frame[table.adjusted_close], source, f'"{table.close}" has a price there. Fill it in or drop the row.')
        tidied.loc[adjusted <= 0, "close"] = adjusted[adjusted <= 0]
    tidied[ROW] = frame[ROW].to_numpy() if ROW in frame else np.arange(1, len(tidied) + 1)
    twice = tidied.duplicated(["ticker", "day"]).to_numpy()
    if twice.any():
        row = int(np.argmax(twice))
        day, ticker = str(tidied["day"].iloc[row])[:10], tidied["ticker"].iloc[row]
        raise DataError(f"{source}, row {row + 1}: {ticker} has {day} twice. Keep one of the rows.")
    tidied = _forget_impossible(tidied, table, source)
    if not whole:
        close = frame[table.close]
        raise_where_empty(tidied["close"].isna(), close, source)
        raise_where(tidied["close"] <= 0, close, source, "expected a price greater than 0")
        return tidied.sort_values(["ticker", "day"], kind="stable", ignore_index=True)
    tidied = tidied[tidied["close"].notna()].sort_values(["ticker", "day"], kind="stable", ignore_index=True)
    usable = _usable(tidied, config, source).drop(columns=ROW)
    _warn_of_jumps(usable, source)
    return usable


def _read_wide(table: TableConfig, source: str) -> pd.DataFrame:
    """Returns a wide table as a long one."""
    frame = sources.read_all(source, headerless=table.date is None)
    if table.date is not None and table.date not in frame:
        raise DataError(
            f'{source}: no column "{table.date}". It has {", ".join(frame.columns[:10])}; name yours with --table.date, '
            "or give --table.date None for a file of bare numbers."
        )
    rows = np.arange(1, len(frame) + 1)
    days = frame.pop(table.date) if table.date is not None else None
    long = []
    for name, values in frame.items():
        one = {_ticker_column(table): name, table.close: parse_numbers(values, source, True), ROW: rows}
        long.append(pd.DataFrame(one if days is None else {**one, table.date: days}))
    return pd.concat(long, ignore_index=True)


def _ticker_column(table: TableConfig) -> str | None:
    return table.ticker or ("Ticker" if table.layout == "wide" else None)


def _days(frame: pd.DataFrame, table: TableConfig, source: str) -> pd.Series | np.ndarray:
    if table.date is None:
        ticker = _ticker_column(table)
        return frame.groupby(ticker, sort=False).cumcount().to_numpy() if ticker else np.arange(len(frame))
    values = frame[table.date]
    if pd.api.types.is_datetime64_any_dtype(values):
        raise_where_empty(values.isna(), values, source)
        parsed = values.dt.tz_localize(None) if values.dt.tz is not None else values
    else:
        text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
        raise_where_empty(text == "", values, source)
        text = text.str.replace(OFFSET, "", regex=True)  # the day is that of the exchange
        parsed = pd.to_datetime(text, errors="coerce", format=table.date_format or "ISO8601")
    how = f"expected a day in the format {table.date_format}" if table.date_format else "expected a day such as 2016-01-29"
    raise_where(parsed.isna(), values, source, f"{how}. Name the format of your days, for example --table.date-format %d/%m/%Y")
    return parsed.dt.normalize().astype("datetime64[s]").to_numpy()


def _usable(frame: pd.DataFrame, config: StockConfig, source: str) -> pd.DataFrame:
    """Leaves out the tickers that cannot be used, each with a warning."""
    fewest = config.forecast.fewest + max(config.forecast.horizons)
    reasons: dict[str, str] = {}
    for ticker, rows in frame.groupby("ticker", sort=False):
        reason = _fault(rows, config.table, fewest)
        if reason:
            reasons[str(ticker)] = reason
    if len(reasons) == frame["ticker"].nunique():
        first = next(iter(reasons.items()), ("", "no row has a close"))
        raise DataError(f"{source}: no ticker can be used. {first[0]}: {first[1]}.")
    for ticker, reason in reasons.items():
        logging.getLogger(__name__).warning("%s: %s is left out: %s.", source, ticker, reason)
    return frame[~frame["ticker"].isin(set(reasons))].reset_index(drop=True)


def _fault(rows: pd.DataFrame, table: TableConfig, fewest: int) -> str | None:
    """Returns what is wrong with one ticker's rows, if anything is."""
    wrong = rows["close"] <= 0
    if wrong.any():
        first = rows[wrong].iloc[0]
        return f'row {first[ROW]}: column "{table.close}" is {first["close"]:g}, expected more than 0'
    if len(rows) < fewest:
        return f"{len(rows)} days are too few, {fewest} are needed"
    if rows["close"].nunique() == 1:
        return f"the close is {rows['close'].iloc[0]:g} on every day: there is nothing to forecast"
    return None


def _forget_impossible(frame: pd.DataFrame, table: TableConfig, source: str) -> pd.DataFrame:
    """Turns opens, highs and lows of 0 or less, and volumes below 0, into what is not known, with a warning."""
    for name in ("open", "high", "low", "volume"):
        wrong = frame[name] < 0 if name == "volume" else frame[name] <= 0
        if wrong.any():
            first = frame[wrong].iloc[0]
            logging.getLogger(__name__).warning(
                '%s, row %d: column "%s" of %s is %g; this and %d more like it count as not known.',
                source, first[ROW], getattr(table, name), first["ticker"], first[name], wrong.sum() - 1,
            )  # fmt: skip
            frame.loc[wrong, name] = np.nan
    return frame


def _warn_of_jumps(frame: pd.DataFrame, source: str) -> None:
    found = jumps(frame)
    for name, day, change in found[:LISTED]:
        logging.getLogger(__name__).warning(
            "%s: %s changes by %+.0f %% on %s. If that was a split, adjust the prices before it, or give an adjusted close.",
            source, name, 100 * change, day,
        )  # fmt: skip
    if len(found) > LISTED:
        logging.getLogger(__name__).warning("%s: %d more changes like these.", source, len(found) - LISTED)


def jumps(frame: pd.DataFrame) -> list[tuple[str, str, float]]:
    """Returns ticker, day and relative change of each close that lies more than 40 % from the one before."""
    change = frame["close"] / frame.groupby("ticker")["close"].shift() - 1
    found = np.flatnonzero(change.abs() > JUMP)
    return [(str(frame["ticker"].iloc[k]), str(frame["day"].iloc[k])[:10], float(change.iloc[k])) for k in found]
