"""Prints or writes predictions: a table in the terminal, JSON lines, or a file, with the progress on standard error."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from shared.cli.output import print_json
from shared.cli.terminal import escape_controls, print_error, print_line, print_marked_words, print_table
from shared.data import word_contributions
from shared.data.table_writers import json_rows, open_table_writer
from shared.errors import DataError
from shared.prediction_run import ERROR_COLUMN, PredictedRows
from shared.task import Inputs

TABLE_WIDTH = 120
MAX_CELL = 40  # characters of a cell that count for the width of its column; longer ones are folded
NARROW = 16  # characters of a cell in a narrow column


def postpone_hooks(inputs: Iterable[Inputs]) -> tuple[Iterator[Inputs], Callable[[], None]]:
    """Returns the inputs, and a function that calls `Inputs.on_written` of those that were read.

    The function is for the end of a command: a file of predictions exists only after it is closed.
    """
    hooks: list[Callable[[], None]] = []

    def read() -> Iterator[Inputs]:
        for chunk in inputs:
            if chunk.on_written is not None:
                hooks.append(chunk.on_written)
            yield chunk

    def call() -> None:
        for hook in hooks:
            hook()

    return read(), call


def print_json_lines(predicted: Iterable[PredictedRows]) -> None:
    """Prints one JSON object per row: the columns of the input, then those of the predictions."""
    for chunk in predicted:
        for row in json_rows(chunk.table):
            print_json(row)


def print_tables(predicted: Iterable[PredictedRows], title: str | None = None) -> None:
    """Prints a table per chunk, and below it the texts with marked words, if there are any; columns that do not fit are named below."""
    names: list[str] = []
    omitted: list[str] = []
    errors = 0
    for chunk in predicted:
        errors += chunk.error_count
        chunk, explanations = _separate_explanations(chunk)
        names = names or _fitting_columns(chunk)
        table = chunk.table
        rows = zip(*([_format_cell(value) for value in table[name]] for name in names), strict=True)
        print_table(names, list(rows), title)
        for words in explanations:
            print_marked_words(words)
        omitted = [name for name in table.columns if name not in names]
    if errors and ERROR_COLUMN in omitted:
        print_error(f"{errors:,} rows could not be read, see the column {ERROR_COLUMN} with --to FILE.csv.")
    if omitted:
        print_line(f"Columns without space: {', '.join(map(str, omitted))}. Write all columns with --to FILE.csv.")


def print_texts(predicted: Iterable[PredictedRows], column: str) -> None:
    """Prints the texts of one column of the predictions, with an empty line after each."""
    for chunk in predicted:
        for text in chunk.predictions[column]:
            print_line(f"{escape_controls(text)}\n")


def write_file(predicted: Iterable[PredictedRows], path: Path) -> None:
    """Writes all columns to a file, and prints how many rows it has.

    Raises:
        DataError: the file cannot be written.
    """
    rows = errors = 0
    with open_table_writer(path) as writer:
        for chunk in predicted:
            writer.write(chunk.table)
            rows += len(chunk.rows)
            errors += chunk.error_count
    skipped = f"; {errors:,} of them could not be read, see the column {ERROR_COLUMN}" if errors else ""
    print_error(f"Wrote {rows:,} rows to {path}{skipped}.")


def write_documents(predicted: Iterable[PredictedRows], target: Path, suffix: str, column: str) -> None:
    """Writes the document of each row to a file of its own, with the name of the input, and prints how many there are.

    Args:
        predicted: rows whose first column names the input, such as a path.
        target: folder for the files; if it ends in `suffix`, the file of the only row.
        suffix: suffix of the files.
        column: column of the predictions with the documents.

    Raises:
        DataError: a file cannot be written, or there are several rows for one file.
    """
    is_file, count, errors = target.name.endswith(suffix), 0, 0
    names: set[str] = set()
    for chunk in predicted:
        errors += chunk.error_count
        for name, document in zip(chunk.rows.iloc[:, 0], chunk.predictions[column], strict=True):
            if not isinstance(document, str):
                continue
            if is_file and count:
                raise DataError(f"{target}: there are several inputs. Give a folder to --to.")
            path = target if is_file else target / _free_name(Path(str(name)).stem, suffix, names)
            try:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(document, encoding="utf-8")
            except OSError as error:
                raise DataError(f"{path}: cannot be written ({error.strerror}).") from error
            count += 1
    skipped = f"; {errors:,} inputs could not be read" if errors else ""
    print_error(f"Wrote {count:,} file{'s' * (count != 1)} to {target}{skipped}.")


def _free_name(stem: str, suffix: str, names: set[str]) -> str:
    """Returns a file name that no earlier input has, and adds it to `names`."""
    name, number = f"{stem}{suffix}", 2
    while name in names:
        name, number = f"{stem}-{number}{suffix}", number + 1
    names.add(name)
    return name


@contextlib.contextmanager
def show_progress() -> Iterator[Callable[[int, float | None], None]]:
    """Shows rows, rows per second and the time left on standard error, if it is a terminal.

    The function that it gives takes the number of complete rows, and the fraction of the work that is complete, None if unknown.
    """
    if not sys.stderr.isatty():
        yield lambda rows, fraction: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TextColumn("left:"))
    started = time.monotonic()
    with Progress(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True) as progress:
        bar = progress.add_task("Predicting", total=None)

        def update(rows: int, fraction: float | None) -> None:
            speed = rows / max(time.monotonic() - started, 1e-3)
            total = None if fraction is None else 1.0
            progress.update(
                bar, total=total, completed=fraction or 0, description=f"{rows:,} rows, {speed:,.0f} rows/s"
            )

        yield update


def _separate_explanations(predicted: PredictedRows) -> tuple[PredictedRows, list[Any]]:
    """Returns the rows without the columns that explain the predictions, and their words with contributions."""
    columns = predicted.predictions
    if word_contributions.COLUMN not in columns:
        return predicted, []
    other = columns.drop(columns=[name for name in columns if word_contributions.is_column(name)])
    cells = [cell for cell in columns[word_contributions.COLUMN] if isinstance(cell, list)]
    return replace(predicted, predictions=other), cells


def _fitting_columns(predicted: PredictedRows) -> list[str]:
    """Returns the columns to print, in their order: the first column of the input, a narrow second one, such as a date, those of the
    predictions, and then the rest of the input, as long as they fit. Errors come before the predictions, so that they fit."""
    table = predicted.table
    widths = {
        name: 3 + min(MAX_CELL, max(len(str(name)), *(len(_format_cell(value)) for value in table[name])))
        for name in table.columns
    }
    first, second, rest = (list(predicted.rows.columns[part]) for part in (slice(1), slice(1, 2), slice(2, None)))
    if any(widths[name] > 3 + NARROW for name in second):
        second, rest = [], [*second, *rest]
    errors = [ERROR_COLUMN] if predicted.error_count and ERROR_COLUMN in predicted.predictions else []
    width, chosen = 1, set[str]()
    for name in dict.fromkeys((*first, *second, *errors, *predicted.predictions.columns, *rest)):
        width += widths[name]
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
