"""Spreadsheets as tables of strings: one sheet, with its first row that is not empty and no title as the header."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shared.data.header_rows import MAX_ROWS, count_rows_before_header
from shared.data.notices import add_notice

SUFFIXES = (".xlsx", ".xlsm", ".xlsb", ".xls", ".ods")


def read_spreadsheet(path: Path, headerless: bool, columns: Sequence[str] = ()) -> pd.DataFrame:
    """Reads a sheet: the first one that has all columns, or else the first one that is not empty; a notice names it if there are several.

    Args:
        path: file of a spreadsheet program.
        headerless: True if the sheet has no header; its columns are then named "0", "1" and so on.
        columns: names of the columns that are needed.

    Returns:
        Table of strings: a whole number without ".0", a day as YYYY-MM-DD, an empty cell as "".

    Raises:
        ValueError: the file is damaged, encrypted or not a spreadsheet.
    """
    from python_calamine import CalamineError

    try:
        cells = pd.read_excel(path, sheet_name=None, header=None, engine="calamine", dtype=object, na_filter=False)
    except CalamineError as error:
        raise ValueError(str(error)) from error
    titles: dict[str, str] = {}
    sheets = {name: _to_table(frame, headerless, str(name), titles) for name, frame in cells.items()}
    used = {name: frame for name, frame in sheets.items() if len(frame)}
    if not used:
        return pd.DataFrame()
    matching = [name for name, frame in used.items() if set(columns) <= set(frame.columns)]
    chosen = (matching or list(used))[0]
    if len(used) > 1:
        add_notice(
            f'{path}: read the sheet "{chosen}" of {len(used)} ({", ".join(used)}).',
            hint="If this is wrong, save the right sheet as a file of its own.",
        )
    if chosen in titles:
        add_notice(f'{path}: skipped rows before the header, from "{titles[chosen][:60]}".')
    return used[chosen]


def _to_table(cells: pd.DataFrame, headerless: bool, name: str, titles: dict[str, str]) -> pd.DataFrame:
    """Returns the table of a sheet; if there are rows above its header, `titles` gets the first one under the name of the sheet."""
    text = cells.map(_to_text)
    text = text.loc[(text != "").any(axis=1), (text != "").any(axis=0)]
    if text.empty:
        return pd.DataFrame()
    if headerless:
        text.columns = [str(k) for k in range(text.shape[1])]
        return text.reset_index(drop=True)
    count = count_rows_before_header(text.head(MAX_ROWS + 2).to_numpy().tolist(), text.shape[1])
    if count:
        titles[name] = " ".join(cell for cell in text.iloc[0] if cell)
    text.columns = text.iloc[count].tolist()
    return text.iloc[count + 1 :].reset_index(drop=True)


def _to_text(cell: Any) -> str:
    if cell is None or cell is pd.NaT:
        return ""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ").removesuffix(" 00:00:00")
    return str(cell)
