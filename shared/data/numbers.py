"""Numbers as people and spreadsheets write them: thousands separators, decimal commas, currencies, 1.25M, (12.50), 5 %.

`to_plain_text` turns a column into Python's notation. A single separator before three digits, as in 1,234, means what the other numbers of the
column show, or else the other columns of the file (`find_decimal_mark`). It separates thousands in a column that also has numbers such as 987,
because decimals would have the same number of digits in all cells.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

import pandas as pd

MISSING_NUMBERS = (
    *"null (null) nan na n/a n.a. n.v. k.a. #n/a #nv <na> none nil - -- --- – — − . .. … \\n".split(),
    *"#value! #wert! #ref! #div/0! #num! #name? #null!".split(),
    "#n/a n/a",
)
"""Texts that stand for a missing number, like an empty cell; upper and lower case are equal."""
CURRENCIES = "$€£¥₹₽₩₺₫₪₴₦₱฿₿¢₡₲₵₸₼₾"
CURRENCY_CODES = (
    "USD EUR GBP JPY CNY RMB INR PKR CHF CAD AUD NZD HKD SGD KRW TWD BRL MXN ZAR RUB TRY PLN CZK HUF SEK NOK DKK ILS THB IDR MYR PHP VND AED "
    "SAR EGP NGN ARS CLP COP UAH BTC ETH USDT"
).split()
MAGNITUDES = {
    "k": 1e3,
    "tsd": 1e3,
    "m": 1e6,
    "mn": 1e6,
    "mio": 1e6,
    "mi": 1e6,
    "mln": 1e6,
    "b": 1e9,
    "bn": 1e9,
    "bi": 1e9,
    "mrd": 1e9,
    "bln": 1e9,
    "t": 1e12,
    "tn": 1e12,
    "万": 1e4,
    "만": 1e4,
    "亿": 1e8,
    "億": 1e8,
    "억": 1e8,
    "%": 0.01,
}
"""Factor by the suffix of a number, in lower case without a final point."""
CURRENCY = re.compile(
    rf"^(?P<sign>[+-]?)\s*(?:[A-Za-z]{{0,3}}[{CURRENCIES}]|(?:Rs|R|kr|zł|Kč|{'|'.join(CURRENCY_CODES)})\b\.?)\s*(?=[+\-.\d(])"
    rf"|(?<=[\d.)A-Za-z])\s*(?:[A-Z]{{0,2}}[{CURRENCIES}]|(?<![A-Za-z])(?:{'|'.join(CURRENCY_CODES)}|kr|zł|Kč)\.?)$"
)
SUFFIX = re.compile(
    rf"(?<=[\d.,])\s*({'|'.join(sorted(map(re.escape, MAGNITUDES), key=len, reverse=True))})\.?$", re.IGNORECASE
)
GROUP_SPACE = re.compile(r"(?<=\d)[\s\u00a0\u202f\u2009\u2007'’`´](?=\d{3}(?!\d))")
WITH_POINT = re.compile(r"[+-]?(?=[\d.])(\d+|[1-9]\d{0,2}(,\d{2,3})*,\d{3})?(\.\d*)?([eE][+-]?\d+)?")
WITH_COMMA = re.compile(r"[+-]?(?=[\d,])(\d+|[1-9]\d{0,2}(\.\d{3})+)?(,\d*)?([eE][+-]?\d+)?")
EVIDENCE_ROWS = 1000
MIN_GROUPED = 10  # numbers such as 1.234 in a column that show that the point separates thousands
AMBIGUOUS = re.compile(r"[+-]?[1-9]\d{0,2}[.,]\d{3}")
WHOLE_BELOW_1000 = re.compile(r"[+-]?\d{1,3}")
HUNDREDS = re.compile(r"[+-]?[1-9]\d\d")


def clean_cells(values: pd.Series) -> pd.Series:
    """Returns the cells of a column as text without surrounding whitespace; a missing number is ""."""
    text = values.astype(object).where(values.notna(), "").astype(str).str.strip()
    return text.where(~text.str.lower().isin(MISSING_NUMBERS), "")


def find_decimal_mark(columns: Iterable[pd.Series]) -> str | None:
    """Returns "." or "," if numbers of these columns show that it separates decimals, and none shows the opposite; None otherwise.

    The first `EVIDENCE_ROWS` cells of each column count.
    """
    marks: set[str] = set()
    for values in columns:
        if not pd.api.types.is_numeric_dtype(values):
            text = clean_cells(values.head(EVIDENCE_ROWS))
            marks |= _marks(_strip_signs(text[text != ""])[0])
    return marks.pop() if len(marks) == 1 else None


def to_plain_text(values: pd.Series, decimal_mark: str | None) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Returns a column in Python's notation, a factor for each number, and a mask of numbers whose separator is ambiguous.

    A currency and thousands separators are removed. Parentheses and a trailing minus sign make a number negative. A suffix such as K, M, B
    or % is the factor.

    Args:
        values: column of a table.
        decimal_mark: decimal mark of the file, from `find_decimal_mark`; it counts where the column itself shows none.
    """
    text = clean_cells(values)
    numbers = pd.to_numeric(text, errors="coerce")
    if decimal_mark != "," and (numbers.notna() | (text == "")).all() and not shows_thousands(text[text != ""]):
        return text, pd.Series(1.0, text.index), pd.Series(False, text.index)
    codes, unique = pd.factorize(text)
    cells, factor = _strip_signs(pd.Series(unique, dtype=object))
    cells, is_ambiguous = _without_separators(cells, decimal_mark)
    return tuple(pd.Series(part.to_numpy()[codes], text.index) for part in (cells, factor, is_ambiguous))


def shows_thousands(text: pd.Series) -> bool:
    """Returns True if all numbers of a column are like 987 or like 1.234, and both occur: the separator then separates thousands.

    Points need `MIN_GROUPED` different numbers, because few decimal numbers may have three digits after the point by chance.
    """
    for cells in (text.head(EVIDENCE_ROWS), text):
        is_grouped = cells.str.fullmatch(AMBIGUOUS)
        if not (is_grouped | cells.str.fullmatch(WHOLE_BELOW_1000)).all():
            return False
    grouped = cells[is_grouped]
    is_enough = grouped.nunique() >= MIN_GROUPED or not grouped.str.contains(".", regex=False).any()
    return bool(len(grouped) and is_enough and cells.str.fullmatch(HUNDREDS).any())


def count_currencies(values: pd.Series) -> dict[str, int]:
    """Returns the number of cells with each currency sign or code, the most frequent first."""
    if pd.api.types.is_numeric_dtype(values):
        return {}
    pattern = rf"([{CURRENCIES}]|(?<![A-Za-z])(?:{'|'.join(CURRENCY_CODES)})(?![A-Za-z]))"
    return values.astype(str).str.extract(pattern, expand=False).value_counts().to_dict()


def _without_separators(text: pd.Series, decimal_mark: str | None) -> tuple[pd.Series, pd.Series]:
    """Returns numbers without thousands separators and with a decimal point, and a mask of ambiguous ones."""
    marks = _marks(text[text != ""])
    none = pd.Series(False, index=text.index)
    if not marks and not decimal_mark:  # 1.234 is a decimal number in most files; 1,234 is ambiguous
        return text, text.str.fullmatch(AMBIGUOUS) & text.str.contains(",", regex=False)
    mark = marks.pop() if len(marks) == 1 else "." if marks else decimal_mark
    pattern, group = (WITH_POINT, ",") if mark == "." else (WITH_COMMA, ".")
    is_number = text.str.fullmatch(pattern) | (text == "")
    plain = text.str.replace(group, "", regex=False).str.replace(str(mark), ".", regex=False)
    return plain.where(is_number, "not a number"), none


def _strip_signs(text: pd.Series) -> tuple[pd.Series, pd.Series]:
    """Returns numbers with at most a leading sign, digits, points and commas, and the factor of each."""
    text = text.str.replace("[−–—](?=[^\\s])", "-", regex=True)
    is_negative = text.str.fullmatch(r"\(.*\d.*\)|[^-]*\d[^-]*-")
    text = text.where(~is_negative, text.str.replace(r"^\(|\)$|-$", "", regex=True).str.strip())
    text = text.str.replace(CURRENCY, lambda match: match["sign"] or "", regex=True).str.strip()
    suffix = text.str.extract(SUFFIX, expand=False)
    factor = suffix.str.lower().map(MAGNITUDES).fillna(1.0).astype(float)
    text = text.where(suffix.isna(), text.str.replace(SUFFIX, "", regex=True)).str.strip()
    return text.str.replace(GROUP_SPACE, "", regex=True), factor.where(~is_negative, -factor)


def _marks(text: pd.Series) -> set[str]:
    """Returns the decimal marks that numbers show without doubt: "." for 1.5, 1,234.50 and 1,234,567, or for 1,234 next to 987; "," for
    the opposite."""
    marks: set[str] = set()
    if shows_thousands(text):
        return {"," if mark == "." else "." for mark in {".", ","} & set("".join(text))}
    cells = text[~text.str.fullmatch(AMBIGUOUS)]
    only_point = cells.str.fullmatch(WITH_POINT)
    only_comma = cells.str.fullmatch(WITH_COMMA)
    if (only_point & ~only_comma).any():
        marks.add(".")
    if (only_comma & ~only_point).any():
        marks.add(",")
    return marks
