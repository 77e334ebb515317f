"""Prints predictions: a table in the terminal, or JSON lines."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pandas as pd

from shared.cli.output import print_json
from shared.cli.terminal import print_line, print_table, printable
from shared.prediction_run import PredictedRows

MAX_CELL = 60  # characters of a cell that count for the width of its column
TABLE_WIDTH = 120
LEADING_COLUMNS = 2  # columns of the input that are printed before those of the predictions are counted


def print_json_lines(predicted: Iterable[PredictedRows]) -> None:
    """Prints one JSON object per row: the columns of the input, then those of the predictions."""
    for chunk in predicted:
        for row in json_rows(chunk):
            print_json(row)


def json_rows(predicted: PredictedRows) -> list[dict[str, Any]]:
    """Returns one dictionary per row; bytes that were not UTF-8 become U+FFFD."""
    table = predicted.table
    columns = {str(name): table[name].astype(object).tolist() for name in table}
    return [
        {name: printable(values[k]) if isinstance(values[k], str) else values[k] for name, values in columns.items()}
        for k in range(len(table))
    ]


def print_tables(predicted: Iterable[PredictedRows], title: str | None = None) -> None:
    """Prints a table per chunk; columns that do not fit are named below."""
    names: list[str] = []
    omitted: list[str] = []
    for chunk in predicted:
        names = names or _fitting_columns(chunk)
        table = chunk.table
        rows = zip(*([_format_cell(value) for value in table[name]] for name in names), strict=True)
        print_table(names, list(rows), title)
        omitted = [name for name in table.columns if name not in names]
    if omitted:
        print_line(f"Columns without space: {', '.join(map(str, omitted))}. Write all columns with --to FILE.csv.")


def _fitting_columns(predicted: PredictedRows) -> list[str]:
    """Returns the columns to print, in their order: the first columns of the input, the predictions, then the rest of the input."""
    first, rest = predicted.rows.columns[:LEADING_COLUMNS], predicted.rows.columns[LEADING_COLUMNS:]
    table, width, chosen = predicted.table, 1, set[str]()
    for name in (*first, *predicted.predictions.columns, *rest):
        cells = [str(name), *map(_format_cell, table[name])]
        width += 3 + min(MAX_CELL, max(map(len, cells)))
        if chosen and width > TABLE_WIDTH:
            break
        chosen.add(name)
    return [name for name in table.columns if name in chosen]


def _format_cell(value: Any) -> str:
    if isinstance(value, (list, dict)):
        return str(value)
    if pd.isna(value):
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)
