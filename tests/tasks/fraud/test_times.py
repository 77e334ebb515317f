"""Times of all kinds become seconds; a time that is not clear names its row or its unit."""

from __future__ import annotations

import datetime

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud.times import DAY, find_relative_unit, format_day, parse_seconds, parse_times

NOON = 1_532_520_000  # 2018-07-25 12:00:00 UTC


@pytest.mark.parametrize(
    ("values", "time_format"),
    [
        (["2018-07-25 12:00:00", "2018-07-25T12:00"], None),
        (["2018-07-25 14:00:00+02:00", "2018-07-25 12:00:00Z"], None),
        (["2018-07-25 12:00:00 UTC", "2018-07-25 12:00:00.5 UTC"], None),
        (["25.07.2018 12:00", "25.07.2018 12:00"], "%d.%m.%Y %H:%M"),
        ([NOON, float(NOON)], None),
        ([str(NOON), f" {NOON} "], None),
        ([NOON * 1000, NOON * 1000 + 999], None),
        ([str(NOON * 10**6)] * 2, None),
        ([NOON * 10**9] * 2, None),
        (["201807251200"] * 2, None),
        ([20180725120000] * 2, None),
        (pd.to_datetime(["2018-07-25 12:00"] * 2), None),
        (pd.to_datetime(["2018-07-25 14:00+02:00"] * 2), None),
    ],
)
def test_times_become_seconds_in_utc(values, time_format):
    seconds = parse_seconds(pd.Series(values, name="time"), "x.csv", time_format)
    assert seconds.tolist() == [NOON, NOON]
    assert seconds.dtype == np.int64


@pytest.mark.parametrize(
    ("factor", "unit"), [(1, "seconds"), (10**3, "milliseconds"), (10**6, "microseconds"), (10**9, "nanoseconds")]
)
def test_the_unit_of_numbers_since_1970_is_noticed(factor, unit):
    with collect_notices() as notices:
        parse_seconds(pd.Series([NOON * factor] * 2, name="when"), "x.csv", None)
    assert [str(notice) for notice in notices] == [f'x.csv: column "when" is read as {unit} since 1970, in UTC.']


@pytest.mark.parametrize(
    ("unit", "values", "expected"),
    [
        ("days", [0, "1", 59.0], [0, DAY, 59 * DAY]),
        ("hours", [1, 24], [3600, DAY]),
        ("minutes", ["1441"], [DAY + 60]),
        ("seconds", [0.0, 172_792.0], [0, 172_792]),
        ("milliseconds", [1_500], [1]),
        ("microseconds", [2_500_000], [2]),
    ],
)
def test_numbers_in_a_named_unit_count_from_day_0(unit, values, expected):
    assert parse_seconds(pd.Series(values, name="step"), "x.csv", None, unit).tolist() == expected


@pytest.mark.parametrize(
    ("values", "time_format", "unit", "problem"),
    [
        (["2018-07-25", ""], None, None, 'row 2: column "time" is empty'),
        (["2018-07-25", "null"], None, None, 'row 2: column "time" is "null", which counts as empty'),
        (
            ["2018-07-25", "yesterday"],
            None,
            None,
            r'row 2: column "time" is "yesterday": expected a time such as .*--columns\.time-format',
        ),
        (["25.07.2018"], "%Y", None, "expected a time in the format %Y"),
        (["2018-07-25 12:00Z", "2018-07-25 12:00"], None, None, "row 2: .*no time zone, but other rows have one"),
        ([NOON, NOON, NOON * 1000], None, None, "row 3: .*the same size as in the other rows, which are seconds"),
        ([NOON * 1000, NOON * 1000, 0], None, None, "row 3: .*which are milliseconds since 1970"),
        ([1, 2, 743], None, None, r"too small for seconds since 1970. Name their unit with --columns\.time-unit"),
        (["2018-07-25"], None, "days", r"row 1: .*expected a number of days.*set it to None"),
        ([NOON * 1000], None, "hours", "too large for a number of hours"),
    ],
)
def test_an_unclear_time_raises_an_error_with_its_row(values, time_format, unit, problem):
    with pytest.raises(DataError, match=problem):
        parse_seconds(pd.Series(values, name="time"), "x.csv", time_format, unit)


def test_small_numbers_are_seconds_only_if_they_cover_a_day():
    with collect_notices() as notices:
        assert find_relative_unit(pd.Series([0, 172_792], name="Time"), "x.csv", None) == "seconds"
    assert "are read as seconds since the start of day 0: 2.0 days. If they have another unit" in str(notices[0])
    with pytest.raises(DataError, match=r"They cover 0.00859 days as seconds, .* 30.9 days as hours, 742 days as days"):
        find_relative_unit(pd.Series([1, 743], name="step"), "x.csv", None)
    for values in ([NOON, NOON + 5], ["2018-07-25"], [20180725, 20180726]):
        assert find_relative_unit(pd.Series(values), "x.csv", None) is None


@pytest.mark.parametrize(
    "columns",
    [
        {"Year": ["2018"], "Month": ["7"], "Day": ["25"], "Time": ["12:00"]},
        {"Year": [2018], "Month": [7], "Day": [25], "Hour": [12], "Minute": [0], "Second": [0.0]},
        {"Date": ["2018-07-25"], "Time": ["12:00:00"]},
        {"Date": [datetime.date(2018, 7, 25)], "Time": [datetime.time(12)]},
        {"Date": pd.to_datetime(["2018-07-25"]), "Hour": [12]},
        {"Date": ["20180725"], "Hour": ["12"]},
        {"Date": ["2018-07-25 00:00:00"], "Time": ["12:00:00"]},
        {"Date": ["25/07/2018"], "Time": ["12:00:00"]},
        {"Date": ["07/25/2018"], "Time": ["12:00:00 PM"]},
        {"Date": ["25.7.2018"], "Time": ["12:00"]},
        {"Date": ["25-Jul-2018"], "Time": ["12:00"]},
        {"Date": ["25. Juli 2018"], "Time": ["12:00"]},
    ],
)
def test_several_columns_are_one_time(columns):
    frame = pd.DataFrame(columns)
    assert parse_times(frame, list(columns), "x.csv", None, None).tolist() == [NOON]


def test_several_columns_can_have_a_format():
    frame = pd.DataFrame({"d": ["25/07/2018"], "t": ["12.00"]})
    assert parse_times(frame, ["d", "t"], "x.csv", "%d/%m/%Y %H.%M", None).tolist() == [NOON]
    with pytest.raises(DataError, match=r'row 1: column "d t" is "25/07/2018 12.00": .*Name the format'):
        parse_times(frame, ["d", "t"], "x.csv", None, None)
    with pytest.raises(DataError, match=r"--columns\.time-unit days needs one column"):
        parse_times(frame, ["d", "t"], "x.csv", None, "days")


def test_an_hour_of_one_digit_is_the_same_hour():
    frame = pd.DataFrame({"Date": ["2018-07-25"], "Time": ["9:05"]})
    assert parse_times(frame, ["Date", "Time"], "x.csv", None, None)[0] % DAY == 9 * 3600 + 300


@pytest.mark.parametrize(
    "columns",
    [
        {"date": ["01/03/2025", "13/03/2025"], "clock": ["00:10:56", "9:00:00"]},
        {"time": ["1.3.2025 0:10:56", "13.3.2025 9:00"]},
        {"time": ["03/01/2025 12:10:56 AM", "03/13/2025 9:00:00 AM"]},
        {"time": ["01-Mar-2025 00:10:56", "13-Mar-2025 9:00"]},
    ],
)
def test_times_after_midnight_are_read_in_all_styles(columns):
    days = parse_times(pd.DataFrame(columns), list(columns), "x.csv", None, None).astype("datetime64[s]")
    assert days.astype(str).tolist() == ["2025-03-01T00:10:56", "2025-03-13T09:00:00"]


def test_two_columns_with_an_unclear_order_of_day_and_month_name_the_option():
    frame = pd.DataFrame({"date": ["01/03/2025"], "clock": ["00:10:56"]})
    with pytest.raises(DataError, match=r'column "date clock" is "01/03/2025 00:10:56".*--columns\.time-format'):
        parse_times(frame, ["date", "clock"], "x.csv", None, None)
    assert parse_times(frame, ["date", "clock"], "x.csv", "%d/%m/%Y", None)[0] == 1_740_787_856


def test_days_of_relative_times_are_numbers():
    assert format_day(12) == "day 12"
    assert format_day(NOON // DAY) == "2018-07-25"


@pytest.mark.parametrize(
    "values",
    [
        ["25.07.2018 12:00", "26.07.2018 12:00"],
        ["25/07/2018 12:00:00.000", "26/07/2018 12:00:00.000"],
        ["07/25/2018 12:00 PM", "07/26/2018 12:00 p.m."],
        ["25/07/18 12:00", "26/07/18 12:00"],
        ["7/25/2018 14:00 +02:00", "7/26/2018 12:00 UTC"],
        ["25 Jul 2018 12:00", "26 Jul 2018 12:00"],
        ["2018/07/25 12:00", "2018/07/26 12:00"],
    ],
)
def test_the_column_shows_the_order_of_day_and_month(values):
    assert parse_seconds(pd.Series(values, name="time"), "x.csv", None).tolist() == [NOON, NOON + DAY]


def test_an_ambiguous_order_of_day_and_month_names_the_option():
    values = pd.Series(["05/07/2018 12:00", "07/05/2018 12:00"], name="time")
    with pytest.raises(DataError, match=r"row 1: .*the day or the month may come first.*--columns\.time-format"):
        parse_seconds(values, "x.csv", None)
    assert parse_seconds(values, "x.csv", None, likely_format="%m/%d/%Y")[0] == NOON - 79 * DAY
