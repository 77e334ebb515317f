"""`shared.data.month_names`: dates with names of months."""

from __future__ import annotations

import pandas as pd
import pytest

from shared.data.dates import are_times, parse_times
from shared.data.notices import collect_notices
from shared.errors import DataError


def parse(values):
    return parse_times(pd.Series(values, name="Date"), "a.csv", option="--time-format")


@pytest.mark.parametrize(
    ("cell", "time"),
    [
        ("31 oct. 2025", "2025-10-31"),
        ("31. Oktober 2025", "2025-10-31"),
        ("Freitag, den 31. Oktober 2025 16:30 Uhr", "2025-10-31 16:30"),
        ("3. Mär. 2025", "2025-03-03"),
        ("03.Ma\u0308rz.25", "2025-03-03"),
        ("1er août 2025 à 9:05", "2025-08-01 09:05"),
        ("31 de enero de 2025", "2025-01-31"),
        ("1º de março de 2025", "2025-03-01"),
        ("31st of October, 2025", "2025-10-31"),
        ("Fri, Oct 31, 2025 4:00 PM", "2025-10-31 16:00"),
        ("Fri Oct 31 16:00:05 2025", "2025-10-31 16:00:05"),
        ("31OCT2025", "2025-10-31"),
        ("31-OCT-98", "1998-10-31"),
        ("2025-Oct-31T16:00", "2025-10-31 16:00"),
        ("March 2009", "2009-03-01"),
        ("2009 mars", "2009-03-01"),
        ("déc. '24", "2024-12-01"),
        ("01-Mar-2025 12:10:56 AM", "2025-03-01 00:10:56"),
    ],
)
def test_dates_with_names_of_months(cell, time):
    assert are_times(pd.Series([cell])).tolist() == [True]
    assert parse([cell]).local.tolist() == [pd.Timestamp(time)]


@pytest.mark.parametrize(
    ("cells", "dates"),
    [
        (["Mar-09", "Apr-09"], ["2009-03-01", "2009-04-01"]),
        (["Dec 24", "Nov 24", "Oct 24"], ["2024-12-01", "2024-11-01", "2024-10-01"]),
        (["Okt-24", "Nov-24", "Dez-24", "Jan-25"], ["2024-10-01", "2024-11-01", "2024-12-01", "2025-01-01"]),
    ],
)
def test_months_with_years_of_two_digits_are_noticed(cells, dates):
    with collect_notices() as notices:
        times = parse(cells)
    assert times.local.tolist() == [pd.Timestamp(date) for date in dates]
    assert f"read as month and year: {cells[0]} is {dates[0][:7]}" in str(notices[0])
    assert times.time_format == ("%b-%y" if cells[0] == "Mar-09" else None)


@pytest.mark.parametrize("cells", [["Oct-30", "Oct-31", "Nov-01"], ["Mar-09"], ["09-Mar", "10-Mar"], ["Oct 31"]])
def test_dates_without_a_year_raise_an_error(cells):
    with pytest.raises(DataError, match=r"row 1: .* expected a date with a year.*%b-%y.*--time-format"):
        parse(cells)
    assert parse_times(pd.Series(["Mar-09"]), "a.csv", "%b-%y", option="").local[0] == pd.Timestamp("2009-03-01")


@pytest.mark.parametrize("cell", ["31. Februar 2025", "5 Mars bars 2025", "3 Oct 2025 25:00", "Source: Marketing 2024"])
def test_texts_that_are_no_dates_raise_an_error(cell):
    with pytest.raises(DataError, match="row 3"):
        parse(["30 Oct 2025", "31 Oct 2025", cell])
