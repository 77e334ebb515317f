"""Notices: what a reader of data noticed and did about it, such as dropped rows, which is no error but must not stay silent.

A reader calls `add_notice`. A command collects the notices with `collect_notices`, prints them, and `train` writes them to the
report. Without a collector, a notice is logged as a warning.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field

MAX_LISTED_ROWS = 3


@dataclass(frozen=True)
class Notice:
    """One observation about the data.

    Attributes:
        message: sentence that names the file and column, says what was noticed, how often, and what the reader did.
        rows: rows of the first instances, counted from 1; empty if the notice is not about rows.
        hint: sentence that says what the user can do; "" if there is nothing to do.
    """

    message: str
    rows: tuple[int, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        listed = ", ".join(map(str, self.rows))
        where = f" First rows: {listed}." if len(self.rows) > 1 else f" Row: {listed}." if self.rows else ""
        return f"{self.message}{where}{' ' + self.hint if self.hint else ''}"


def add_notice(message: str, rows: Iterable[int] = (), hint: str = "") -> None:
    """Adds a notice; the same notice twice is one notice.

    Args:
        message: sentence as in `Notice.message`.
        rows: rows counted from 1; the first `MAX_LISTED_ROWS` are kept.
        hint: sentence as in `Notice.hint`.
    """
    first_rows = tuple(int(row) for _, row in zip(range(MAX_LISTED_ROWS), rows, strict=False))
    notice = Notice(message, first_rows, hint)
    collectors = _COLLECTORS.get()
    if not collectors:
        logging.getLogger(__name__).warning("%s", notice)
    for collector in collectors:
        collector.add(notice)


def count_noun(count: int, noun: str, plural: str = "") -> str:
    """Returns a count with its noun, such as "1 file" or "1,200 files"; the plural ends in "s" unless it is given."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


@dataclass(frozen=True)
class _Collector:
    show: Callable[[Notice], None] | None
    notices: list[Notice] = field(default_factory=list)

    def add(self, notice: Notice) -> None:
        if notice in self.notices:
            return
        self.notices.append(notice)
        if self.show is not None:
            self.show(notice)


_COLLECTORS: ContextVar[tuple[_Collector, ...]] = ContextVar("notice_collectors", default=())


@contextmanager
def collect_notices(show: Callable[[Notice], None] | None = None) -> Iterator[list[Notice]]:
    """Collects the notices that are added inside the context, in a list that grows; an outer context collects them too.

    Args:
        show: function that is called with each new notice immediately, for example to print it.
    """
    collector = _Collector(show)
    token = _COLLECTORS.set((*_COLLECTORS.get(), collector))
    try:
        yield collector.notices
    finally:
        _COLLECTORS.reset(token)


@contextmanager
def mute_notices() -> Iterator[None]:
    """Drops the notices that are added inside the context, such as those of each batch of a file that is read in parts."""
    token = _COLLECTORS.set((_Collector(None),))
    try:
        yield
    finally:
        _COLLECTORS.reset(token)
