"""Lines, tables and errors on the terminal; bytes that are not UTF-8 do not raise."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

MAX_LISTED = 5  # values of a list that are printed in one cell


def print_line(line: str) -> None:
    """Prints a line to standard output and flushes it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_error(line: str) -> None:
    """Prints a line to standard error."""
    sys.stderr.write(printable(line) + "\n")


def printable(text: str) -> str:
    """Returns text with U+FFFD in place of bytes that were not UTF-8 (Python's surrogate escapes)."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Prints a table, as wide as the terminal, or 120 characters wide if the output is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=120)
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in rows:
        table.add_row(*(Text(printable(cell)) for cell in row))
    console.print(table)


def print_predictions(
    inputs: Sequence[str], predictions: Sequence[Mapping[str, Any]], title: str | None = None
) -> None:
    """Prints a table of inputs and predictions; outputs that are long or nested lists are omitted.

    Args:
        inputs: one string per record.
        predictions: outputs by name for each input.
        title: title of the table.
    """
    names = [name for name, value in predictions[0].items() if not isinstance(value, list) or _is_short(value)]
    rows = [
        [text, *(_format_cell(prediction[name]) for name in names)]
        for text, prediction in zip(inputs, predictions, strict=True)
    ]
    print_table(["input", *names], rows, title)


def _is_short(values: list[Any]) -> bool:
    return len(values) <= MAX_LISTED and all(isinstance(value, (float, str)) for value in values)


def _format_cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_format_cell(item) for item in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Hides standard error, including the messages of native libraries such as TensorFlow, which do not use `sys.stderr`."""
    sys.stderr.flush()
    original = os.dup(2)
    null = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(null, 2)
        yield
    finally:
        os.dup2(original, 2)
        os.close(original)
        os.close(null)
