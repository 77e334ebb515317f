"""Progress of a long computation: the code that does it reports stages and fractions, and a command may follow them."""

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


_STAGE_FOLLOWER: ContextVar[Callable[[str, float | None], None] | None] = ContextVar("stage_follower", default=None)


def report_stage(name: str, fraction: float | None = None) -> None:
    """Reports that a stage begins.

    Args:
        name: what is done, such as "Evaluating the baseline majority (1 of 4)".
        fraction: fraction of a series of stages that is complete before this one, in [0, 1); None if it is not one of a series.
    """
    follower = _STAGE_FOLLOWER.get()
    if follower is not None:
        follower(name, fraction)


@contextmanager
def follow_stages(follower: Callable[[str, float | None], None]) -> Iterator[None]:
    """Calls a function with the name and the fraction of each stage that is reported inside the context."""
    token = _STAGE_FOLLOWER.set(follower)
    try:
        yield
    finally:
        _STAGE_FOLLOWER.reset(token)
