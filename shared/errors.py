"""Errors that the user can fix: one line that names the place and the fix, without a traceback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


class SuiteError(Exception):
    """An error that the user can fix. The command line prints it and exits with the status `EXIT_STATUS`."""

    EXIT_STATUS = 2


class DataError(SuiteError):
    """The data cannot be used: for example a missing column, an unreadable file, or an unknown data set."""


class BaselineError(SuiteError):
    """The exported model is not as good as its best baseline, although that was required."""

    EXIT_STATUS = 3


class RowError(DataError):
    """Some rows of a table cannot be used. The message names the first of them; the first record is row 1.

    Args:
        source: file, for the message.
        positions: positions of all these rows, int64 `(rows,)`, ascending, counted from 0.
        describe: function from a position to what is wrong and how to fix it.
        first_row: position in the file of the row whose position is 0.
    """

    def __init__(self, source: str, positions: Any, describe: Callable[[int], str], first_row: int = 0) -> None:
        self.source, self.positions, self.describe = source, positions, describe
        first = int(positions[0])
        super().__init__(f"{source}, row {first_row + first + 1}: {describe(first)}")

    def after(self, first_row: int) -> RowError:
        """Returns the same error for rows that begin at the position `first_row` of the file."""
        return RowError(self.source, self.positions, self.describe, first_row)


class ExportError(SuiteError):
    """A model cannot be loaded, or a version could not be written or failed its verification and was not published."""
