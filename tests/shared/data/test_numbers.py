"""`shared.data.numbers`: numbers in the styles of people, banks and exchanges."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.columns import parse_numbers
from shared.data.notices import collect_notices
from shared.data.numbers import find_decimal_mark


def parse(texts, decimal_mark=None):
    return parse_numbers(pd.Series(texts, name="amount"), "a.csv", True, decimal_mark)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["1,234.50", "12"], [1234.5, 12]),
        (["1.234,50", "3"], [1234.5, 3]),
        (["1 234,50", "1\u00a0234\u202f567,5"], [1234.5, 1234567.5]),
        (["1'234.50", "1’234’567.5"], [1234.5, 1234567.5]),
        (["1,23,456.78"], [123456.78]),
        (["1.234.567", "5"], [1234567, 5]),
        (["0.61M", "12K", "1.25b", "3 Mrd", "1.2 Mio."], [610e3, 12e3, 1.25e9, 3e9, 1.2e6]),
        (["-1.53%", "50 %"], [-0.0153, 0.5]),
        (["4,30 mi", "1,2 bi", "5,5万", "2亿"], [4.3e6, 1.2e9, 55e3, 2e8]),
        (["(1,234.50)", "($5)", "5-", "−3", "-$3", "$-3"], [-1234.5, -5, -5, -3, -3, -3]),
        (["36,63 €", "12 €"], [36.63, 12]),
        (["USD 5.5", "5.5USD", "US$ 7", "R$ 8", "Rs. 500", "kr 7", "$1.2M"], [5.5, 5.5, 7, 8, 500, 7, 1.2e6]),
        (["-", "--", "N/A", "#N/A", ".", "—", ""], [np.nan] * 7),
        (["0,123", "5"], [0.123, 5]),
        ([*[f"1.{k}" for k in range(200, 210)], "987", "12"], [*range(1200, 1210), 987, 12]),
        ([*[f"1.{k}" for k in range(200, 209)], "987"], [*np.arange(1.2, 1.2089, 0.001), 987]),
        (["1,234", "987"], [1234, 987]),
        (["-1,234", "(987)"], [-1234, -987]),
        (["1.234", "98.7"], [1.234, 98.7]),
        (["1.234", "12"], [1.234, 12]),
        (["1.234", "987", "2.5"], [1.234, 987, 2.5]),
        (["#N/A N/A", "#DIV/0!", "(null)", "5"], [np.nan, np.nan, np.nan, 5]),
        (["1e5", "1.5e-05"], [1e5, 1.5e-5]),
    ],
)
def test_numbers_in_many_styles(texts, expected):
    np.testing.assert_allclose(parse(texts), expected, rtol=1e-12)


def test_the_other_columns_of_a_file_decide_what_a_single_separator_means():
    english, german = (
        [pd.Series(["1,234.50"]), pd.Series(["596,150"])],
        [pd.Series(["1.234,50"]), pd.Series(["596.150"])],
    )
    assert find_decimal_mark(english) == "."
    assert find_decimal_mark(german) == ","
    assert find_decimal_mark([*english, *german]) is None
    assert parse(["596,150"], ".").tolist() == [596150]
    assert parse(["596.150"], ",").tolist() == [596150]
    assert parse(["596.150", "2,5"], ".").tolist() == [596150, 2.5]  # the column itself counts first


def test_several_currencies_in_one_column_are_noticed():
    with collect_notices() as notices:
        parse(["€5", "$6", "€7"])
        parse(["€5", "6 €"])
        parse(["5 USD", "6 EUR", "7 EUR"])
    assert [str(notice) for notice in notices] == [
        'a.csv: column "amount" has several currencies: € (2 rows), $ (1 rows). The amounts are not converted. Convert them to one '
        "currency.",
        'a.csv: column "amount" has several currencies: EUR (2 rows), USD (1 rows). The amounts are not converted. Convert them to one '
        "currency.",
    ]
