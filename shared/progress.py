"""Progress of a long computation: the code that does it reports a fraction, and a command may follow it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_FOLLOWER: ContextVar[Callable[[float], None] | None] = ContextVar("progress_follower", default=None)


def report_progress(fraction: float) -> None:
    """Reports which fraction of the current computation is complete, from 0 to 1."""
    follower = _FOLLOWER.get()
    if follower is not None:
        follower(fraction)


@contextmanager
def follow_progress(follower: Callable[[float], None]) -> Iterator[None]:
    """Calls a function with each fraction that is reported inside the context."""
    token = _FOLLOWER.set(follower)
    try:
        yield
    finally:
        _FOLLOWER.reset(token)
