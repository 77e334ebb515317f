"""Small requests that wait are taken up together, great ones by themselves, and each is told what is its own."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.batching import Batching
from shared.serving.gathering import SMALL, Gathering, Waiting

SOON = 60.0


class Answering:
    """Answers in capitals, refuses "bad", fails at "broken"; the first turn lasts until `go_on`."""

    def __init__(self) -> None:
        self.taken: list[list[bytes]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, place, waiting):
        self.taken.append([one.body for one in waiting])
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(SOON)
        if any(one.body == b"broken" for one in waiting):
            raise OSError("broken")
        return [ValueError("bad") if one.body == b"bad" else one.body.upper() for one in waiting]


def gathered(batching, first, *others, places=None):
    """Returns what was taken up together, the answers, and how many were told that their work has ended: `first` is being
    answered while the others come in."""
    answering, ended = Answering(), []

    async def ask():
        with ThreadPoolExecutor(4) as workers:
            gathering = Gathering(answering, workers, batching)
            asked = [Waiting(body, time.monotonic() + SOON, lambda: ended.append(1)) for body in (first, *others)]
            gathering.submit("a", asked[0])
            await asyncio.to_thread(answering.begun.wait, SOON)
            for one, place in zip(asked[1:], places or "a" * len(others), strict=True):
                gathering.submit(place, one)
            answering.go_on.set()
            return await asyncio.gather(*(one.answer for one in asked), return_exceptions=True), gathering

    answers, gathering = asyncio.run(ask())
    assert not gathering._waiting
    assert not gathering._turns
    return answering.taken, [str(one) if isinstance(one, Exception) else one for one in answers], len(ended)


def test_what_comes_in_meanwhile_is_taken_up_at_the_next_turn_in_parts_of_a_batch():
    taken, answers, ended = gathered(Batching(rows=3, threads=1), b"a", b"b", b"c", b"d", b"e")
    assert taken == [[b"a"], [b"b", b"c", b"d"], [b"e"]]
    assert (answers, ended) == ([b"A", b"B", b"C", b"D", b"E"], 5)


def test_each_is_told_what_is_its_own():
    _, answers, ended = gathered(Batching(threads=1), b"a", b"bad", b"c")
    assert (answers, ended) == ([b"A", "bad", b"C"], 3)
    _, answers, ended = gathered(Batching(threads=1), b"a", b"broken", b"c")
    assert (answers, ended) == ([b"A", "broken", "broken"], 3)


def test_places_take_turns_of_their_own():
    taken, answers, _ = gathered(Batching(threads=1), b"a", b"b", b"c", b"d", places="aba")
    assert sorted(taken) == [[b"a"], [b"b", b"d"], [b"c"]]
    assert answers == [b"A", b"B", b"C", b"D"]


@pytest.mark.parametrize("batching", [None, Batching(threads=1)])
def test_great_ones_wait_for_nobody(batching):
    great = b"g" * (SMALL + 1)
    taken, answers, _ = gathered(batching, b"a", great, great)
    assert sorted(taken) == [[b"a"], [great], [great]]
    assert answers == [b"A", great.upper(), great.upper()]


def test_who_waits_no_longer_is_told_nothing_and_harms_nobody():
    async def ask():
        answering, ended = Answering(), []
        with ThreadPoolExecutor(1) as workers:
            gathering = Gathering(answering, workers, Batching(threads=1))
            gone, there = (Waiting(body, time.monotonic() + SOON, lambda: ended.append(1)) for body in (b"a", b"b"))
            gathering.submit("a", gone)
            await asyncio.to_thread(answering.begun.wait, SOON)
            gone.answer.cancel()
            gathering.submit("a", there)
            answering.go_on.set()
            return await there.answer, gone.answer.cancelled(), len(ended)

    assert asyncio.run(ask()) == (b"B", True, 2)
