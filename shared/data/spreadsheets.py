"""Spreadsheets as tables of strings: one sheet, with the header that `shared.data.header_rows` finds."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from shared.data.dialects import distinct_names, notice_duplicate_names
from shared.data.header_rows import MAX_ROWS, count_rows_before_header, find_columns
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
    sheets = {name: _to_table(frame, headerless, columns) for name, frame in cells.items()}
    used = {name: frame for name, (frame, _) in sheets.items() if len(frame)}
    if not used:
        return pd.DataFrame()
    matching = [name for name, frame in used.items() if set(columns) <= set(frame.columns)]
    chosen = (matching or list(used))[0]
    if len(used) > 1:
        add_notice(
            f'{path}: read the sheet "{chosen}" of {len(used)} ({", ".join(used)}).',
            hint="If this is wrong, save the right sheet as a file of its own.",
        )
    skipped = sheets[chosen][1]
    if skipped:
        add_notice(f'{path}: skipped rows before the header, from "{skipped[:60]}".')
    notice_duplicate_names(path, list(used[chosen].columns))
    return used[chosen].set_axis(distinct_names(used[chosen].columns), axis=1)


def _to_table(cells: pd.DataFrame, headerless: bool, columns: Sequence[str]) -> tuple[pd.DataFrame, str]:
    """Returns the table of a sheet, and the first text before its header, "" if there is none."""
    text = cells.map(_to_text)
    text = text.loc[(text != "").any(axis=1), (text != "").any(axis=0)]
    if text.empty:
        return pd.DataFrame(), ""
    if headerless:
        return text.reset_index(drop=True).set_axis(list(map(str, range(text.shape[1]))), axis=1), ""
    start = text.head(MAX_ROWS + 2).to_numpy().tolist()
    header = find_columns(start, columns)
    if header is None:
        header = count_rows_before_header(start, text.shape[1])
    table = text.iloc[header + 1 :].set_axis(text.iloc[header].tolist(), axis=1)
    return table.reset_index(drop=True), " ".join(filter(None, text.iloc[0])) if header else ""


def _to_text(cell: Any) -> str:
    if cell is None or cell is pd.NaT:
        return ""
    if isinstance(cell, float):
        return str(int(cell)) if cell.is_integer() else repr(cell)
    if isinstance(cell, datetime.datetime):
        return cell.isoformat(sep=" ").removesuffix(" 00:00:00")
    return str(cell)
