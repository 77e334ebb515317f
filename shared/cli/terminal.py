"""Lines, tables and errors on the terminal; bytes that are not UTF-8 do not raise."""

from __future__ import annotations

import contextlib
import os
import re
import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from shared.json_values import printable

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""Characters that control a terminal, except tab and line feed."""

if TYPE_CHECKING:
    from shared.data.word_contributions import Words


def print_line(line: str) -> None:
    """Prints a line to standard output and flushes it."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def print_error(line: str) -> None:
    """Prints a line to standard error."""
    sys.stderr.write(printable(line) + "\n")


def escape_controls(text: str) -> str:
    """Returns text for a terminal: control characters of the user's texts are escaped, and bytes that were not UTF-8 replaced."""
    return CONTROL.sub(lambda match: match[0].encode("unicode_escape").decode(), printable(text))


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], title: str | None = None) -> None:
    """Prints a table, as wide as the terminal, or 120 characters wide if the output is not a terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console() if sys.stdout.isatty() else Console(width=120)
    table = Table(title=None if title is None else Text(title), title_justify="left")
    for column in columns:
        table.add_column(Text(escape_controls(column)), overflow="fold")  # a string would be read as markup
    for row in rows:
        table.add_row(*(Text(escape_controls(cell)) for cell in row))
    console.print(table)


def print_marked_words(words: Words) -> None:
    """Prints a text on a line of its own, with its important words in color, or in brackets if the output is no terminal."""
    from shared.data import word_contributions

    if not sys.stdout.isatty():
        print_line(word_contributions.as_brackets(words))
        return
    from rich.console import Console

    Console().print(word_contributions.as_rich_text(words), highlight=False)


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
