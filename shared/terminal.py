"""What the command line prints: lines, tables and complaints, whatever bytes are in them."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

FEW = 5  # numbers of a list that fit into a cell


def print_line(line: str) -> None:
    """Prints a line to standard output at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_error(line: str) -> None:
    """Prints a line to standard error."""
    sys.stderr.write(printable(line) + "\n")


def printable(text: str) -> str:
    """Returns text in which bytes that were not UTF-8 (Python's surrogate escapes) are U+FFFD."""
    return text.encode(errors="surrogateescape").decode(errors="replace")


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Prints a table, 120 characters wide where there is no screen to ask."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=120)
    drawn = Table(title=title, title_justify="left")
    for column in columns:
        drawn.add_column(column, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(printable(cell)) for cell in row))
    console.print(drawn)


def print_predictions(inputs: Sequence[str], answers: Sequence[Mapping[str, Any]], title: str | None = None) -> None:
    """Prints each input beside its answer; outputs that are long lists, or lists of lists, are left out."""
    names = [name for name, value in answers[0].items() if not isinstance(value, list) or _short(value)]
    rows = [[text, *(_cell(answer[name]) for name in names)] for text, answer in zip(inputs, answers, strict=True)]
    print_table(["input", *names], rows, title)


def _short(values: list[Any]) -> bool:
    return len(values) <= FEW and all(isinstance(value, (float, str)) for value in values)


def _cell(value: Any) -> str:
    if isinstance(value, list):
        return " ".join(_cell(item) for item in value)
    return f"{value:.4f}" if isinstance(value, float) else str(value)


@contextlib.contextmanager
def suppress_native_stderr() -> Iterator[None]:
    """Keeps off the screen what TensorFlow's library says when it is loaded: it obeys no setting, and no way of Python's."""
    sys.stderr.flush()
    screen = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(screen, 2)
        os.close(screen)
        os.close(nowhere)
