"""Days on which a market trades after the last day of a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import exchange_calendars
import numpy as np
import pandas as pd

from shared.data.notices import add_notice
from shared.errors import DataError

EXCHANGES = (
    *("XNYS", "XLON", "XETR", "XPAR", "XTSE", "XTKS", "XHKG", "XSHG", "XBOM", "XASX", "XSWX", "XSTO", "XMIL", "XMAD"),
    *("XHEL", "XCSE", "XOSL", "XTAI", "XSES", "BVMF", "XMEX", "XJSE", "XNZE", "XSAU", "XBKK", "XWAR", "XWBO", "XIST"),
    *("XKRX", "CMES"),
)
"""Calendars that are compared with the days of a file, in this order."""
RECENT = np.timedelta64(730, "D")  # days before the last one that are compared with the calendars
MIN_DAYS = 200  # recent days, so that a file has enough holidays to tell exchanges apart
MIN_DAYS_OF_WEEK = 14  # recent days that show on which days of the week a market trades
MAX_MISSING = 0.01  # fraction of the sessions of a calendar that the file may lack
MAX_CLOSED = 0.12  # fraction of the weekdays on which an exchange may be closed
WEEKDAYS, ALL_DAYS = (True,) * 5 + (False,) * 2, (True,) * 7
DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MAX_LISTED = 5  # tickers in a notice


@dataclass(frozen=True)
class Calendar:
    """Days on which a market trades: the sessions of an exchange, or days of the week."""

    description: str
    exchange: str | None = None
    """Name in `exchange_calendars`; None for days of the week."""
    week: tuple[bool, ...] = WEEKDAYS
    """Whether the market trades on Monday, …, Sunday; after the last known session of an exchange, too."""

    def next_days(self, day: np.datetime64, count: int) -> np.ndarray:
        """Returns the next trading days after a day, datetime64[D] `(count,)`."""
        if self.exchange is not None:
            sessions = _sessions(self.exchange, _year(day) - 1, _year(day + 2 * count + 31))
            known = sessions[sessions > day][:count]
            if len(known) == count:
                return known
            start = known[-1] if len(known) else day
            return np.concatenate([known, self._days_of_week(start, count - len(known))])
        return self._days_of_week(day, count)

    def _days_of_week(self, day: np.datetime64, count: int) -> np.ndarray:
        before = np.busday_offset(day, 0, roll="backward", weekmask=self.week)
        return np.busday_offset(before, np.arange(1, count + 1), weekmask=self.week)


def target_days(records: pd.DataFrame, rows: np.ndarray, horizons: Sequence[int], chosen: str | None) -> np.ndarray:
    """Returns the days that are forecast, datetime64[D] `(rows, horizons)`; NaT for files without dates and for other than daily bars.

    Within a file, the horizon counts the rows of the ticker; after its last day, the trading days of its calendar. A notice names the
    calendars.

    Args:
        records: table with `ticker` and `day`, sorted by both.
        rows: positions in `records` of the days after which a forecast is made.
        horizons: trading days ahead.
        chosen: name of a calendar (see `require_calendar`), None to recognize it from the days of each ticker.
    """
    result = np.full((len(rows), len(horizons)), np.datetime64("NaT", "D"))
    if not np.issubdtype(records["day"].dtype, np.datetime64):
        add_notice("The file has no dates, so the forecasts have no target dates.")
        return result
    exact = records["day"].to_numpy()
    days, numbers = exact.astype("datetime64[D]"), records.groupby("ticker", sort=False).ngroup().to_numpy()
    begins: np.ndarray = np.r_[np.flatnonzero(np.diff(numbers, prepend=-1)), len(records)]
    is_intraday = (exact != days).any()
    used: dict[Calendar | None, list[str]] = {}
    order = np.argsort(rows, kind="stable")
    limits = np.searchsorted(rows[order], begins)
    for k, begin in enumerate(begins[:-1]):
        positions = order[limits[k] : limits[k + 1]]
        if not len(positions):
            continue
        own = days[begin : begins[k + 1]]
        calendar = None if is_intraday else find_calendar(own, chosen)
        used.setdefault(calendar, []).append(str(records["ticker"].iloc[begin]))
        if calendar is not None:
            later = np.concatenate([own, calendar.next_days(own[-1], max(horizons))])
            steps = np.asarray(rows)[positions] - begin
            result[positions] = later[steps[:, None] + np.asarray(horizons)]
    _add_notices(used, chosen is not None)
    return result


def find_calendar(days: np.ndarray, chosen: str | None = None) -> Calendar | None:
    """Returns the calendar of a ticker: the chosen one, that of the exchange whose sessions are the recent days of the ticker, or else
    the days of the week on which it trades; None if its rows are weeks or months apart.

    Args:
        days: increasing days of the ticker, datetime64[D] `(days,)`, at least one.
        chosen: name of a calendar, or None.
    """
    recent = days[days >= days[-1] - RECENT]
    if len(days) > 1 and np.median(np.diff(recent if len(recent) > 1 else days).astype(int)) >= 5:
        return None
    if chosen is not None:
        return Calendar(f"the sessions of {chosen}", chosen)
    return _recognize(recent.astype(np.int64).tobytes())


def require_calendar(name: str) -> str:
    """Returns the name of a calendar of `exchange_calendars`, such as XNYS, as the package spells it.

    Raises:
        ValueError: there is no such calendar.
    """
    names = exchange_calendars.get_calendar_names()
    spelling = {known.lower(): known for known in names}
    if name.lower() not in spelling:
        examples = ", ".join(EXCHANGES[:6])
        raise ValueError(
            f"--calendar must be the code of an exchange, such as {examples}, or 24/5, or 24/7. Received: {name}"
        )
    return spelling[name.lower()]


@lru_cache(maxsize=4096)
def _recognize(content: bytes) -> Calendar:
    recent = np.frombuffer(content, np.int64).astype("datetime64[D]")
    week = _days_of_week(recent)
    exchange = _find_exchange(recent)
    if exchange is not None:
        return Calendar(f"the sessions of {exchange}, which are those of the file", exchange, week)
    if week == WEEKDAYS and len(recent) < MIN_DAYS:
        return Calendar(f"weekdays, because an exchange is recognized only from {MIN_DAYS} days on", week=week)
    if week == WEEKDAYS:
        return Calendar("weekdays, because the days of the file are not those of a known exchange", week=week)
    names = [name for name, is_open in zip(DAY_NAMES, week, strict=True) if is_open]
    listed = "all seven days of the week" if week == ALL_DAYS else ", ".join(names)
    return Calendar(f"{listed}, like the days of the file", week=week)


def _find_exchange(recent: np.ndarray) -> str | None:
    """Returns the exchange whose sessions are the recent days of a ticker, the one with the min_missing missing days."""
    if len(recent) < MIN_DAYS:
        return None
    weekdays = int(np.busday_count(recent[0], recent[-1] + 1))
    if not weekdays * (1 - MAX_CLOSED) <= len(recent) < weekdays:  # every exchange has holidays
        return None
    best, min_missing = None, MAX_MISSING * len(recent) + 1
    for name in EXCHANGES:
        try:
            sessions = _sessions(name, _year(recent[0]), _year(recent[-1]))
        except DataError:  # the calendar does not know these years
            continue
        sessions = sessions[(sessions >= recent[0]) & (sessions <= recent[-1])]
        missing = len(np.setdiff1d(sessions, recent, assume_unique=True))
        if np.isin(recent, sessions).all() and missing < min_missing:
            best, min_missing = name, missing
        if not min_missing:
            break
    return best


def _days_of_week(recent: np.ndarray) -> tuple[bool, ...]:
    """Returns on which days of the week a ticker trades, from Monday on."""
    counts = np.bincount((recent.astype(np.int64) + 3) % 7, minlength=7)  # 1970-01-01 was a Thursday
    if len(recent) < MIN_DAYS_OF_WEEK:
        return ALL_DAYS if counts[5:].any() else WEEKDAYS
    return tuple(bool(count >= counts.max() / 2) for count in counts)


@lru_cache(maxsize=256)
def _sessions(name: str, first_year: int, last_year: int) -> np.ndarray:
    """Returns the known sessions of an exchange from one year to another, datetime64[D] `(sessions,)`.

    Raises:
        DataError: the calendar knows no session in these years, or the package cannot compute it.
    """
    first, last = pd.Timestamp(first_year, 1, 1), pd.Timestamp(last_year, 12, 31)
    try:
        try:
            calendar = exchange_calendars.get_calendar(name, start=first, end=last)
        except ValueError:  # years that the calendar does not know
            whole = exchange_calendars.get_calendar(name)
            low, high = whole.bound_min() or first, whole.bound_max() or last
            calendar = exchange_calendars.get_calendar(name, start=max(first, low), end=min(last, high))
    except (NotImplementedError, ValueError) as error:
        raise DataError(
            f"--calendar: {name} has no days from {first_year} to {last_year}. Choose another calendar."
        ) from error
    return calendar.sessions.to_numpy().astype("datetime64[D]")


def _year(day: np.datetime64) -> int:
    return int(day.astype("datetime64[Y]").astype(int)) + 1970


def _add_notices(used: dict[Calendar | None, list[str]], is_chosen: bool) -> None:
    for calendar, tickers in used.items():
        listed = ", ".join(tickers[:MAX_LISTED]) + (", …" if len(tickers) > MAX_LISTED else "")
        if calendar is None:
            add_notice(f"The forecasts of {listed} have no target dates, because the rows are not daily.")
        else:
            hint = "" if is_chosen else "To choose another calendar, add --calendar."
            add_notice(f"The target dates of {listed} count {calendar.description}.", hint=hint)
