"""Calendars that are recognized from the days of a file, and the days that are forecast."""

from __future__ import annotations

import exchange_calendars
import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.stock.trading_days import Calendar, find_calendar, require_calendar, target_days


def sessions(name, start="2022-11-01", end="2024-03-26"):
    return exchange_calendars.get_calendar(name, start=start, end=end).sessions.to_numpy().astype("datetime64[D]")


def days_of_week(mask, start="2022-11-01", end="2024-03-27"):
    days = np.arange(start, end, dtype="datetime64[D]")
    return days[np.is_busday(days, weekmask=mask)]


@pytest.mark.parametrize(
    ("exchange", "next_days"),
    [
        ("XNYS", ["2024-03-27", "2024-03-28", "2024-04-01"]),  # Good Friday
        ("XLON", ["2024-03-27", "2024-03-28", "2024-04-02"]),  # and Easter Monday
        ("XTKS", ["2024-03-27", "2024-03-28", "2024-03-29"]),
        ("XSAU", ["2024-03-27", "2024-03-28", "2024-03-31"]),  # from Sunday to Thursday
    ],
)
def test_an_exchange_is_recognized_by_its_sessions(exchange, next_days):
    days = sessions(exchange)
    calendar = find_calendar(days)
    assert calendar.exchange == exchange
    assert calendar.next_days(days[-1], 3).astype(str).tolist() == next_days


def test_an_exchange_is_recognized_although_a_few_sessions_are_missing_but_not_with_other_days():
    days = sessions("XNYS")
    assert find_calendar(np.delete(days, [40, 200])).exchange == "XNYS"
    assert find_calendar(np.delete(days, slice(40, 60))).exchange is None
    extra = np.sort(np.append(days, np.datetime64("2023-07-04")))
    assert find_calendar(extra).exchange is None


@pytest.mark.parametrize(
    ("mask", "last", "next_days"),
    [
        ("1111111", "2024-03-29", ["2024-03-30", "2024-03-31", "2024-04-01"]),
        ("1111100", "2024-03-29", ["2024-04-01", "2024-04-02", "2024-04-03"]),
        (
            "1111101",
            "2024-03-29",
            ["2024-03-31", "2024-04-01", "2024-04-02"],
        ),  # currencies, whose week begins on Sunday
    ],
)
@pytest.mark.parametrize("start", ["2022-01-03", "2024-03-04"])
def test_other_files_keep_the_days_of_the_week_on_which_they_trade(mask, last, next_days, start):
    days = days_of_week(mask, start, "2024-03-30")
    calendar = find_calendar(days)
    assert calendar.exchange is None
    assert calendar.next_days(np.datetime64(last), 3).astype(str).tolist() == next_days


def test_few_days_or_one_count_weekdays_or_all_days():
    assert find_calendar(sessions("XNYS", "2024-01-02", "2024-03-26")).exchange is None
    (friday,) = days = np.array(["2024-03-29"], "datetime64[D]")
    assert find_calendar(days).next_days(friday, 1) == np.datetime64("2024-04-01")
    assert find_calendar(friday + np.arange(-2, 2)).next_days(friday, 1) == np.datetime64("2024-03-30")


def test_days_after_the_last_known_session_are_days_of_the_week():
    bound = exchange_calendars.get_calendar("XBOM").bound_max()
    last = bound.to_numpy().astype("datetime64[D]")
    following = Calendar("XBOM", "XBOM").next_days(last, 30)
    assert (following > last).all()
    assert np.is_busday(following).all()
    with pytest.raises(DataError, match="--calendar: XBOM has no days from 1900"):
        Calendar("XBOM", "XBOM").next_days(np.datetime64("1901-01-01"), 3)


def make_records(**tickers):
    return pd.concat([pd.DataFrame({"ticker": name, "day": days}) for name, days in tickers.items()], ignore_index=True)


def test_horizons_count_rows_within_the_file_and_the_calendar_of_each_ticker_after_it():
    stock, coin = sessions("XNYS"), days_of_week("1111111")
    records = make_records(AAPL=stock, BTC=coin)
    records["day"] = records["day"].astype("datetime64[s]")
    rows = np.array([len(records) - 1, 10, len(stock) - 2, len(stock) - 1])
    with collect_notices() as notices:
        result = target_days(records, rows, (1, 4), None)
    assert result.astype(str).tolist() == [
        ["2024-03-27", "2024-03-30"],
        [str(stock[11]), str(stock[14])],
        ["2024-03-26", "2024-04-01"],
        ["2024-03-27", "2024-04-02"],
    ]
    assert "AAPL count the sessions of XNYS" in str(notices[0])
    assert "BTC count all seven days of the week" in str(notices[1])
    chosen = target_days(records, rows[:1], (4,), "XLON")
    assert chosen.astype(str).tolist() == [["2024-04-03"]]


@pytest.mark.parametrize(
    ("days", "message"),
    [
        (np.arange(5), "no dates"),
        (pd.date_range("2024-01-01 09:30", periods=5, freq="h"), "not daily"),
        (pd.date_range("2024-01-05", periods=5, freq="7D"), "not daily"),
    ],
)
def test_other_than_daily_bars_have_no_target_dates(days, message):
    with collect_notices() as notices:
        result = target_days(make_records(OAK=days), np.array([1, 4]), (1, 2), None)
    assert np.isnat(result).all()
    assert message in str(notices[0])


def test_a_calendar_is_found_in_any_case_and_an_unknown_one_is_an_error():
    assert require_calendar("xnys") == "XNYS"
    with pytest.raises(ValueError, match="--calendar must be the code of an exchange, such as XNYS"):
        require_calendar("Wall Street")
