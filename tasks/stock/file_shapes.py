"""Shapes of files of prices: several header lines, dates in the index, no header, lines before and after the table.

Each becomes a table with one header, one row per bar, and the columns of the file.
"""

from __future__ import annotations

import re

import numpy as np
import pandas as pd

from shared.data.dates import are_times, are_times_of_day
from shared.data.notices import add_notice
from shared.data.numbers import clean_cells
from shared.data.tables import read_all
from shared.errors import DataError

TICKER, TIME, CLOCK = "Ticker", "Date", "Time"  # names of columns that a file does not name
OHLC = ("Open", "High", "Low", "Close")
BAR = (TIME, *OHLC, "Volume")
KLINES = (
    *BAR,
    *(
        "Close time",
        "Quote asset volume",
        "Number of trades",
        "Taker buy base volume",
        "Taker buy quote volume",
        "Ignore",
    ),
)
"""Columns of klines of Binance, whose files have no header."""
MAX_FOOTER_ROWS = 10
EVENT = re.compile(r"\b(?:dividend|split)s?\b", re.IGNORECASE)
MAX_EVENT_CELLS = 3  # of a dividend or split: date, ticker and text


def read_flat(source: str, headerless: bool) -> pd.DataFrame:
    """Reads a file of prices as a table with one header; the index is 0, 1, …

    Args:
        source: path of the file.
        headerless: True if the user names the columns by their positions.

    Raises:
        DataError: the file cannot be read.
    """
    frame = read_all(source, headerless, skips_titles=not headerless, repeats_names=True)
    if isinstance(frame.columns, pd.MultiIndex):
        return _flatten_levels(_name_index(frame))
    frame = _name_index(frame)
    frame.columns = frame.columns.map(str)
    if not headerless and all(_is_value(name) for name in frame.columns):
        frame = _name_columns(read_all(source, headerless=True, skips_titles=True), source)
    levels = _find_header_rows(frame)
    if levels:
        names = [re.sub(r"\.\d+$", "", name) if _is_repeated(name, frame.columns) else name for name in frame.columns]
        rows = [frame.iloc[k].tolist() for k in range(levels)]
        time_name = next((str(row[0]) for row in rows[::-1] if str(row[0]) and row[0] not in ("Ticker", "Price")), TIME)
        frame = frame.iloc[levels:].reset_index(drop=True)
        frame.columns = pd.MultiIndex.from_arrays([[time_name, *names[1:]], ["", *rows[0][1:]]])
        frame = _flatten_levels(frame)
        tickers = ", ".join(frame[TICKER].unique()[:5])
        add_notice(f"{source}: the header has {levels + 1} lines with the tickers {tickers}.")
        return frame
    repeated = [name for name in frame.columns if _is_repeated(name, frame.columns)]
    if repeated:
        name = re.sub(r"\.\d+$", "", repeated[0])
        add_notice(f'{source}: several columns have the name "{name}"; the first one is used.')
    return _clear_events(_clear_repeated_headers(frame, source), source)


def drop_footer(frame: pd.DataFrame, time: str, close: str, source: str) -> pd.DataFrame:
    """Returns a table without the rows at its end that are no bars, such as a source or a total, with a notice that quotes them.

    A row at the end is no bar if its time is text that is no date, or if it has neither a time nor a close.
    """
    is_time, has_close = are_times(frame[time]).to_numpy(), (clean_cells(frame[close]) != "").to_numpy()
    has_text = (clean_cells(frame[time]) != "").to_numpy()
    if is_time.mean() < 0.5:  # dates in an unusual format
        is_time = has_text
    is_footer = ~is_time & (has_text | ~has_close)
    count = 0
    while count < min(len(frame) - 1, MAX_FOOTER_ROWS) and is_footer[-1 - count]:
        count += 1
    texts = [str(value) for value in frame[time].iloc[len(frame) - count :] if clean_cells(pd.Series([value])).iloc[0]]
    if texts:
        add_notice(f'{source}: dropped rows at the end that are no prices: {count}, from "{texts[0][:60]}".')
    return frame.iloc[: len(frame) - count]


def _name_index(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a table in which the columns that were an index without names have the names of time and ticker."""
    names = {"index": TIME, "level_0": TIME, "level_1": TICKER}
    return frame.rename(columns={name: new for name, new in names.items() if new not in frame.columns})


def _flatten_levels(frame: pd.DataFrame) -> pd.DataFrame:
    """Returns a table with columns such as (Close, AAPL) in one row per ticker and day, sorted like the file within each ticker."""
    levels = [frame.columns.get_level_values(k).astype(str) for k in range(frame.columns.nlevels)]
    field = next((k for k, names in enumerate(levels) if names.str.lower().isin(["close", "adj close"]).any()), 0)
    fields, tickers = levels[field], levels[1 - field] if len(levels) > 1 else levels[0]
    is_time = (tickers == "") | (fields == "")
    times = frame.loc[:, is_time]
    times.columns = [f if f else t for f, t in zip(fields[is_time], tickers[is_time], strict=True)]
    tables = []
    for ticker in dict.fromkeys(tickers[~is_time]):
        selected = (tickers == ticker) & ~is_time
        table = frame.loc[:, selected]
        table.columns = fields[selected]
        is_filled = table.apply(clean_cells).ne("").any(axis=1)
        table = pd.concat([times, table], axis=1).assign(**{TICKER: ticker})
        tables.append(table[is_filled] if len(dict.fromkeys(tickers[~is_time])) > 1 else table)
    return pd.concat(tables, ignore_index=True)


def _find_header_rows(frame: pd.DataFrame) -> int:
    """Returns the number of records that continue the header: names of tickers or of fields, then the name of the index."""
    if len(frame) < 3 or len(frame.columns) < 2:
        return 0
    first = clean_cells(frame.iloc[0]).to_numpy()
    if first[0] not in ("Ticker", "Price", "") or any(not name or _is_value(name) for name in first[1:]):
        return 0
    names = {str(name).split(".")[0].lower() for name in [*frame.columns, *first]}
    if "close" not in names and "adj close" not in names:
        return 0
    second = clean_cells(frame.iloc[1]).to_numpy()
    return 2 if not any(second[1:]) and not _is_value(second[0]) else 1


def _is_repeated(name: str, names: pd.Index) -> bool:
    """Returns True for "Close.1" if there is "Close": pandas numbers equal names."""
    plain = re.sub(r"\.\d+$", "", name)
    return plain != name and plain in names


def _is_value(text: object) -> bool:
    """Returns True for a number or a date, which is no name of a column."""
    plain = re.sub(r"\.\d+$", "", str(text)) if str(text).count(".") > 1 else str(text)
    return bool(re.fullmatch(r"[+-]?[\d.,:/ T-]*\d[\d.,:/ TZ+-]*(?:[eE][+-]?\d+)?", plain))


def _name_columns(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Returns a table without header under the names of bars, if its values are bars.

    Raises:
        DataError: they are not.
    """
    names = _bar_names(frame)
    if not names:
        raise DataError(
            f"{source}: the file has no header. Write one, such as {','.join(BAR)}, or name the columns by their positions, such as "
            "--columns.time 0 --columns.close 4."
        )
    listed = [name for name in names if name in (*BAR, CLOCK)]
    add_notice(f"{source}: the file has no header. Its columns are read as {', '.join(listed)}.")
    return frame.iloc[:, : len(names)].set_axis(names, axis=1)


def _bar_names(frame: pd.DataFrame) -> list[str]:
    """Returns names for the first columns of a table without header: a date, with or without a time of day, the prices of bars and the
    volume, before which there may be a mean price. Returns [] if the values are no bars."""
    count = len(frame.columns)
    if count == 2:
        return [TIME, "Close"]
    if count == len(KLINES) and _are_bars(frame.iloc[:, 1:5]):
        return list(KLINES)
    for times in ([TIME], [TIME, CLOCK]):
        begin, end = len(times), len(times) + len(OHLC)
        if end > count or not _are_bars(frame.iloc[:, begin:end]):
            continue
        if times[1:] and not are_times_of_day(frame.iloc[:, 1]):
            continue
        names = [*times, *OHLC]
        if end + 1 < count and _are_between(frame.iloc[:, end], frame.iloc[:, begin + 1 : begin + 3]):
            names.append("Mean price")
        return [*names, "Volume"][:count]
    return []


def _are_bars(frame: pd.DataFrame) -> bool:
    """Returns True if four columns can be open, high, low and close: no high is below, and no low above, the other prices."""
    prices = frame.set_axis(list(OHLC), axis=1).apply(pd.to_numeric, errors="coerce")
    return bool(
        np.isclose(prices.max(axis=1), prices["High"]).all() and np.isclose(prices.min(axis=1), prices["Low"]).all()
    )


def _are_between(values: pd.Series, limits: pd.DataFrame) -> bool:
    """Returns True if all values that are not 0 lie between the two columns of limits."""
    numbers, limits = pd.to_numeric(values, errors="coerce"), limits.apply(pd.to_numeric, errors="coerce")
    is_between = (numbers <= limits.max(axis=1)) & (numbers >= limits.min(axis=1))
    return bool((is_between | (numbers == 0)).all() and is_between.any())


def _clear_events(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Empties the records of dividends and splits, which have a text such as "0.24 Dividend" instead of prices, with a notice."""
    texts = [name for name in frame.columns if not pd.api.types.is_numeric_dtype(frame[name])]
    names = [name for name in texts if frame[name].astype(str).str.contains(EVENT).any()]
    if not names:
        return frame
    cells = frame.apply(clean_cells)
    has_event = cells[names].apply(lambda column: column.str.contains(EVENT)).any(axis=1)
    is_event = (has_event & (cells.ne("").sum(axis=1) <= MAX_EVENT_CELLS)).to_numpy()
    if is_event.any():
        rows = np.flatnonzero(is_event) + 1
        add_notice(
            f"{source}: dropped {len(rows)} of {len(frame)} rows, because they are dividends or splits without prices.",
            rows=rows,
        )
        frame = frame.mask(pd.Series(is_event, frame.index), "")
    return frame


def _clear_repeated_headers(frame: pd.DataFrame, source: str) -> pd.DataFrame:
    """Empties the records that repeat the header, as in files that were joined, with a notice."""
    names = np.array(frame.columns, object)
    is_header = (frame.iloc[:, 0].astype(object) == names[0]).to_numpy(bool).copy()
    is_header[is_header] = (frame[is_header].astype(object).to_numpy() == names).all(axis=1)
    if is_header.any() and len(names) > 1:
        rows = np.flatnonzero(is_header) + 1
        add_notice(f"{source}: dropped {len(rows)} of {len(frame)} rows, because they repeat the header.", rows=rows)
        frame = frame.mask(pd.Series(is_header, frame.index), "")
    return frame
