"""Text tables as tables of strings, with or without a header (see `shared.data.dialects`)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from shared.data import files
from shared.data.dialects import Dialect, find_dialect, notice_duplicate_names, read_records
from shared.data.notices import add_notice

HEADER_NAMES = frozenset(
    "id text label labels class category categories target sentiment polarity intent topic tag tags stars rating score title "
    "review reviews sentence comment comments content message body tweet question answer v1 v2 "
    "date time timestamp day datetime ticker symbol open high low close volume price amount "
    "card customer account terminal merchant fraud isfraud is_fraud file path speaker".split()
)
"""Names of columns, in lower case, that a record hardly contains as values."""
MAX_NAME_LENGTH = 40
NUMBER = re.compile(r"[+-]?\d+([.,]\d+)?([eE][+-]?\d+)?")


def read_delimited(
    path: Path,
    suffix: str,
    headerless: bool,
    columns: Sequence[str] = (),
    skips_titles: bool = False,
    repeats_names: bool = False,
) -> pd.DataFrame:
    """Reads all fields of a text table as strings.

    Args:
        path: file, compressed or not.
        suffix: one of `shared.data.dialects.DEFAULT_SEPARATORS`.
        headerless: True if the file has no header; the columns are then named "0", "1" and so on. A first line that looks like a
            header is left out with a notice.
        columns: names of the columns that are needed, which show the header.
        skips_titles: True to recognize titles before the header without the names of columns (see `shared.data.preambles`).
        repeats_names: True if names may occur more than once, as in a header of several lines; otherwise a notice names them.

    Returns:
        Table of strings; fields that a short record lacks are NaN.

    Raises:
        ValueError: a record has more fields than the header, or a quote is never closed.
        DataError: the file is not text, or its encoding cannot be decided.
    """
    dialect = find_dialect(path, suffix, () if headerless else columns, skips_titles)
    if not headerless and not repeats_names:
        notice_duplicate_names(path, next(read_records(path, dialect), (0, []))[1])
    frame = _read(path, dialect, headerless)
    if not isinstance(frame.index, pd.RangeIndex):  # pandas would use the first field as the index
        if frame.index.nlevels > 1 or not (frame.iloc[:, -1].fillna("") == "").all():
            raise _too_many_fields(path, dialect)
        names = [*map(str, frame.columns), "empty"]  # a separator ends each record
        frame = _read(path, dialect, headerless, names).drop(columns="empty")
    frame.columns = frame.columns.map(str)
    if headerless and has_header(frame):
        header = ", ".join(frame.iloc[0].astype(str))
        add_notice(
            f"{path}: the first line ({header}) looks like a header and is not a record; it was left out.",
            hint="Name the columns by these names instead of positions.",
        )
        frame = frame.iloc[1:].reset_index(drop=True)
    return frame


def has_header(frame: pd.DataFrame) -> bool:
    """Returns True if the first row of a table without a header looks like one.

    Its cells are short and different. One is a usual name of a column that does not occur again, or one stands above numbers only
    and none occurs again; or the cells are 0, 1, 2, as pandas writes them, above other values.

    Args:
        frame: strings, as from `read_delimited`.
    """
    if len(frame) < 2:
        return False
    first, rest = frame.iloc[0].fillna("").astype(str).str.strip(), frame.iloc[1:].fillna("").astype(str)
    is_number = [bool(rest[column].str.fullmatch(NUMBER.pattern).all()) for column in frame.columns]
    names = first.tolist()
    positions = names[1:] if names[0] == "" else names  # after the index of a pandas table
    if len(names) > 1 and positions == [str(k) for k in range(len(positions))]:
        return not all(is_number)
    if not first.is_unique or (first == "").any() or (first.str.len() > MAX_NAME_LENGTH).any():
        return False
    if any(NUMBER.fullmatch(cell) for cell in first):
        return False
    occurs_again = [bool((rest[column] == cell).any()) for column, cell in first.items()]
    if any(_is_usual_name(cell) and not again for cell, again in zip(first, occurs_again, strict=True)):
        return True
    return any(is_number) and not any(occurs_again)


def _is_usual_name(cell: str) -> bool:
    """Returns True for a usual name of a column, or several words joined as in review_text and reviewText that have one."""
    if cell.lower() in HEADER_NAMES:
        return True
    parts = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", cell)
    return len(parts) > 1 and cell.replace("_", "").isalnum() and any(part.lower() in HEADER_NAMES for part in parts)


def _read(path: Path, dialect: Dialect, headerless: bool, names: list[str] | None = None) -> pd.DataFrame:
    encoding = files.text_encoding(path)
    try:
        with files.open_file(path) as file:
            return pd.read_csv(
                file,
                sep=dialect.separator,
                header=None if headerless else 0,
                keep_default_na=False,
                dtype=str,
                encoding=encoding,
                quoting=dialect.quoting,
                escapechar=dialect.escape,
                skiprows=dialect.skipped_lines,
                names=names,
            )
    except pd.errors.ParserError as error:
        is_open = "EOF inside string" in str(error)
        raise (_open_quote(path, dialect) if is_open else _too_many_fields(path, dialect)) from error


def _too_many_fields(path: Path, dialect: Dialect) -> ValueError:
    """Returns the error that names the first record with more fields than the header."""
    count = 0
    for row, (line, record) in enumerate(read_records(path, dialect)):
        if row == 0:
            count = len(record)
        elif len(record) > count:
            name = "a tab" if dialect.separator == "\t" else f'"{dialect.separator}"'
            return ValueError(
                f"row {row}, line {line}: {len(record)} fields, but the header has {count}; put a field that contains {name} in double "
                "quotes"
            )
    return ValueError("a record has more fields than the header")


def _open_quote(path: Path, dialect: Dialect) -> ValueError:
    """Returns the error that names the record with a quote that is never closed."""
    row = sum(1 for _ in read_records(path, dialect)) - 1
    return ValueError(f"row {row}: a double quote begins a field and is never closed; remove it or close it")
