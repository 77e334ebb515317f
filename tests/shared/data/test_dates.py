"""`shared.data.dates`: dates and times in the styles of people and exchanges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.dates import are_times_of_day, parse_times
from shared.data.notices import collect_notices
from shared.errors import DataError


def parse(values, time_format=None, **options):
    return parse_times(pd.Series(values, name="Date"), "a.csv", time_format, option="--time-format", **options)


@pytest.mark.parametrize(
    ("values", "local"),
    [
        (["2024-01-05", "2024-01-08T09:30:00"], ["2024-01-05", "2024-01-08 09:30"]),
        (["2024-01-05 09:30:00-05:00", "2024-07-05T09:30:00.000Z"], ["2024-01-05 09:30", "2024-07-05 09:30"]),
        (["05/24/2024", "05/02/2024"], ["2024-05-24", "2024-05-02"]),
        (["24/05/24", "02/05/24"], ["2024-05-24", "2024-05-02"]),
        (["05.04.2024", "06.04.2024"], ["2024-04-05", "2024-04-06"]),
        (["05/04/2024", "05/03/2024", "05/02/2024"], ["2024-05-04", "2024-05-03", "2024-05-02"]),
        (["1/13/2024 4:00 PM", "1/14/2024 12:05 AM"], ["2024-01-13 16:00", "2024-01-14 00:05"]),
        (["4-Jan-21", "05-Feb-21"], ["2021-01-04", "2021-02-05"]),
        (["Tue, 05 Jan 2021"], ["2021-01-05"]),
        (["20210105", "20210106"], ["2021-01-05", "2021-01-06"]),
        ([1609770600, 1609857000], ["2021-01-04 14:30", "2021-01-05 14:30"]),
        (["1609770600000", "1609770600000.0"], ["2021-01-04 14:30", "2021-01-04 14:30"]),
        (["45231", "45232"], ["2023-11-01", "2023-11-02"]),
        (["2024年1月5日"], ["2024-01-05"]),
        (["2024年1月5日 16:00", "2024年11月15日 9:30"], ["2024-01-05 16:00", "2024-11-15 09:30"]),
        (["2025. 10. 31.", "2025. 1. 2."], ["2025-10-31", "2025-01-02"]),
        (["2025년 10월 31일"], ["2025-10-31"]),
        (["03/2009", "12/2010"], ["2009-03-01", "2010-12-01"]),
        (["2009-03", "2009-04"], ["2009-03-01", "2009-04-01"]),
        (["2025-10-31 16:00:00 EST", "2025-07-31 4:00 PM EDT"], ["2025-10-31 16:00", "2025-07-31 16:00"]),
    ],
)
def test_times_of_many_styles(values, local):
    assert parse(values).local.tolist() == [pd.Timestamp(text) for text in local]


def test_the_offset_gives_the_instant():
    times = parse(["2024-01-05 09:30:00-05:00", "2024-07-05 09:30:00+0200"])
    assert times.instant.tolist() == [pd.Timestamp("2024-01-05 14:30"), pd.Timestamp("2024-07-05 07:30")]
    named = parse(["2025-10-31 16:00:00 EST", "2025-10-31 22:00 MEZ", "2025-10-31 17:00 GMT-0400"])
    assert named.instant.tolist() == [pd.Timestamp("2025-10-31 21:00")] * 3
    zoned = parse(pd.to_datetime(["2024-01-05"]).tz_localize("Asia/Tokyo"))
    assert (zoned.local[0], zoned.instant[0]) == (pd.Timestamp("2024-01-05"), pd.Timestamp("2024-01-04 15:00"))


def test_a_format_may_leave_out_the_time_of_day():
    times = parse(["31/01/2020 10:30", "01/02/2020 11:00"], "%d/%m/%Y")
    assert times.local.tolist() == [pd.Timestamp("2020-01-31 10:30"), pd.Timestamp("2020-02-01 11:00")]


def test_a_likely_format_decides_what_the_dates_leave_open():
    with pytest.raises(DataError, match=r"the day or the month may come first.*--time-format"):
        parse(["05/04/2024"])
    assert parse(["05/04/2024"], likely_format="%m/%d/%Y").local[0] == pd.Timestamp("2024-05-04")
    assert parse(["25/04/2024"], likely_format="%m/%d/%Y").local[0] == pd.Timestamp("2024-04-25")


@pytest.mark.parametrize(
    ("values", "row", "problem"),
    [
        (["2024-01-05", "2024-02-30"], 2, "expected a time such as 2016-01-29"),
        (["2024-01-05", ""], 2, "is empty"),
        (
            ["1609770600", "1609857000", "n/a"],
            3,
            "expected a number of the same size as in the other rows, which are seconds since 1970",
        ),
        (["1", "2"], 1, "expected a time such as"),
        (["2024-01-05", "0001-01-01"], 2, "expected a time such as"),
        (["2025-10-31 16:00:00 XYZ"], 1, "expected a time such as .*--time-format"),
    ],
)
def test_a_cell_that_is_no_time_raises_an_error_with_its_row(values, row, problem):
    with pytest.raises(DataError, match=rf'a\.csv, row {row}: column "Date" .*{problem}'):
        parse(values)


def test_empty_cells_may_be_allowed():
    assert np.isnat(parse(["2024-01-05", None], allow_empty=True).local.to_numpy()).tolist() == [False, True]


def test_times_of_day_are_no_dates():
    assert are_times_of_day(pd.Series(["09:30", "16:00:00"]))
    assert are_times_of_day(pd.Series(["093000"]))
    assert not are_times_of_day(pd.Series(["2024-01-05", "09:30"]))


def test_the_order_of_day_and_month_is_noticed():
    with collect_notices() as notices:
        parse(["01.03.2025 00:10", "02.03.2025 23:59"])
        parse(["01/03/2025 1:05 PM", "01/31/2025 12:05 AM"])
        parse(["2025/03/01", "2025/03/02 10:00"])
    assert [str(notice) for notice in notices] == [
        'a.csv: the dates in column "Date" are read as %d.%m.%Y, with the day first. If the month comes first, name the format with '
        "--time-format.",
        'a.csv: the dates in column "Date" are read as %m/%d/%Y, with the month first.',
    ]


def test_days_that_follow_each_other_show_the_order_in_any_order_of_rows():
    assert parse(["03/03/2025", "01/03/2025", "02/03/2025", "01/03/2025"]).time_format == "%d/%m/%Y"


@pytest.mark.parametrize("cell", ["01.03.2025 25:00", "01.03.2025 10:75", "01.03.2025 10:00 tomorrow"])
def test_a_time_of_day_that_does_not_exist_raises_an_error(cell):
    with pytest.raises(DataError, match=r"row 2: .* expected a time"):
        parse(["13.03.2025 10:00", cell])


def test_a_format_may_name_the_time_zone():
    times = parse(["31/01/2020 10:30 +0200", "01/02/2020 11:00 +02:00"], "%d/%m/%Y %H:%M %z")
    assert times.instant.tolist() == [pd.Timestamp("2020-01-31 08:30"), pd.Timestamp("2020-02-01 09:00")]


def test_some_texts_may_count_as_empty():
    with pytest.raises(DataError, match='row 2: column "Date" is "NULL", which counts as empty'):
        parse(["2024-01-05", "NULL"], empty_texts=("", "null"))
