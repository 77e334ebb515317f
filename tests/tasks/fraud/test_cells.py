"""Times of all kinds become seconds since 1970; a time that is not clear names its row."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.errors import DataError
from tasks.fraud.cells import parse_seconds

NOON = 1_532_520_000  # 2018-07-25 12:00:00 UTC


@pytest.mark.parametrize(
    ("values", "time_format"),
    [
        (["2018-07-25 12:00:00", "2018-07-25T12:00"], None),
        (["2018-07-25 14:00:00+02:00", "2018-07-25 12:00:00Z"], None),
        (["25.07.2018 12:00", "25.07.2018 12:00"], "%d.%m.%Y %H:%M"),
        ([NOON, float(NOON)], None),
        ([str(NOON), f" {NOON} "], None),
        (pd.to_datetime(["2018-07-25 12:00"] * 2), None),
        (pd.to_datetime(["2018-07-25 14:00+02:00"] * 2), None),
    ],
)
def test_times_become_seconds_in_utc(values, time_format):
    seconds = parse_seconds(pd.Series(values, name="time"), "x.csv", time_format)
    assert seconds.tolist() == [NOON, NOON]
    assert seconds.dtype == np.int64


@pytest.mark.parametrize(
    ("values", "time_format", "problem"),
    [
        (["2018-07-25", ""], None, 'row 2: column "time" is empty'),
        (
            ["2018-07-25", "yesterday"],
            None,
            r'row 2: column "time" is "yesterday": expected a time such as .*--columns\.time-format',
        ),
        (["25.07.2018"], "%Y", "expected a time in the format %Y"),
        ([NOON * 1000], None, "Divide milliseconds by 1000"),
        (["2018-07-25 12:00Z", "2018-07-25 12:00"], None, "row 2: .*no time zone, but other rows have one"),
    ],
)
def test_an_unclear_time_raises_an_error_with_its_row(values, time_format, problem):
    with pytest.raises(DataError, match=problem):
        parse_seconds(pd.Series(values, name="time"), "x.csv", time_format)
