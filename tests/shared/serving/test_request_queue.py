"""Requests that wait are taken up together, each is told what is its own, and who leaves takes no place."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.batching import Batching
from shared.serving.errors import ServingError
from shared.serving.request_queue import Gathering, Waiting

SOON = 60.0


class Answering:
    """Answers in capitals, one part a request; refuses "bad", fails for good at "broken", waits for `go_on` the first time."""

    def __init__(self) -> None:
        self.taken: list[list[str]] = []
        self.begun, self.go_on = threading.Event(), threading.Event()

    def __call__(self, key, waiting):
        contents = [one.content for one in waiting]
        self.taken.append(contents)
        if not self.begun.is_set():
            self.begun.set()
            assert self.go_on.wait(SOON)
        for k, content in enumerate(contents):
            if content == "broken":
                raise OSError("broken")
            yield [(k, ValueError("bad") if content == "bad" else content.upper())]


class Tried:
    """Requests of one loop, how many of them have ended, and how often each."""

    def __init__(self, answering, workers, batching) -> None:
        self.ended: list[str] = []
        self.gathering = Gathering(answering, workers, batching)

    def waiting(self, content):
        return Waiting(content, time.monotonic() + SOON, lambda: self.ended.append(content))


def gathered(batching, first, *others, keys=None, together=True):
    """Returns what was taken up together, the answers, and whose work has ended: `first` is being answered while the others come
    in."""
    answering = Answering()

    async def ask():
        with ThreadPoolExecutor(4) as workers:
            tried = Tried(answering, workers, batching)
            asked = [tried.waiting(content) for content in (first, *others)]
            tried.gathering.submit("a", asked[0], together)
            await asyncio.to_thread(answering.begun.wait, SOON)
            for one, key in zip(asked[1:], keys or "a" * len(others), strict=True):
                tried.gathering.submit(key, one, together)
            answering.go_on.set()
            return await asyncio.gather(*(one.answer for one in asked), return_exceptions=True), tried

    answers, tried = asyncio.run(ask())
    assert not tried.gathering._waiting
    assert not tried.gathering._turns
    return answering.taken, [str(one) for one in answers], tried.ended


def test_what_comes_in_meanwhile_is_taken_up_at_the_next_turn_in_parts_of_a_batch():
    taken, answers, ended = gathered(Batching(rows=3, threads=1), *"abcde")
    assert taken == [["a"], ["b", "c", "d"], ["e"]]
    assert (answers, ended) == (list("ABCDE"), list("abcde"))


def test_each_is_told_what_is_its_own():
    """Of a turn that breaks off, those who were told before it did have their answers; and the next turn comes."""
    _, answers, ended = gathered(Batching(threads=1), "a", "bad", "c")
    assert (answers, ended) == (["A", "bad", "C"], ["a", "bad", "c"])
    _, answers, ended = gathered(Batching(rows=3, threads=1), "a", "b", "broken", "c", "d")
    assert (answers, ended) == (["A", "B", "broken", "broken", "D"], ["a", "b", "broken", "c", "d"])


def test_an_answer_is_told_before_the_turn_is_over():
    answering = Answering()

    def slowly(key, waiting):
        yield [(1, "first")]
        answering.begun.set()
        assert answering.go_on.wait(SOON)
        yield [(0, "last")]

    async def ask():
        with ThreadPoolExecutor(1) as workers:
            tried = Tried(slowly, workers, Batching(threads=1))
            slow, quick = (tried.waiting(content) for content in "ab")
            workers.submit(answering.go_on.wait, SOON)  # so that both are taken up together
            for one in (slow, quick):
                tried.gathering.submit("a", one, True)
            answering.go_on.set()
            answering.go_on.clear()
            found = await asyncio.wait_for(quick.answer, SOON), slow.answer.done()
            answering.go_on.set()
            return *found, await slow.answer

    assert asyncio.run(ask()) == ("first", False, "last")


def test_keys_take_turns_of_their_own():
    taken, answers, _ = gathered(Batching(threads=1), *"abcd", keys="aba")
    assert sorted(taken) == [["a"], ["b", "d"], ["c"]]
    assert answers == list("ABCD")


@pytest.mark.parametrize(("batching", "together"), [(None, True), (Batching(threads=1), False)])
def test_what_goes_by_itself_waits_for_nobody(batching, together):
    taken, answers, ended = gathered(batching, *"abc", together=together)
    assert sorted(taken) == [["a"], ["b"], ["c"]]
    assert (answers, sorted(ended)) == (list("ABC"), list("abc"))


@pytest.mark.parametrize("together", [True, False])
def test_who_leaves_before_a_turn_is_ended_at_once_and_never_begun(together):
    answering = Answering()

    async def ask():
        with ThreadPoolExecutor(1) as workers:
            tried = Tried(answering, workers, Batching(threads=1))
            first, gone, there = (tried.waiting(content) for content in "abc")
            tried.gathering.submit("a", first, together)
            await asyncio.to_thread(answering.begun.wait, SOON)
            for one in (gone, there):
                tried.gathering.submit("a", one, together)
            tried.gathering.leave("a", gone)
            before = list(tried.ended)
            tried.gathering.leave("a", first)  # whose work has begun
            first.answer.cancel()
            answering.go_on.set()
            return await there.answer, before, tried.ended

    assert asyncio.run(ask()) == ("C", ["b"], ["b", "a", "c"])
    assert answering.taken == [["a"], ["c"]]


def test_what_no_thread_can_be_had_for_is_ended():
    async def ask():
        workers = ThreadPoolExecutor(1)
        workers.shutdown()
        tried = Tried(Answering(), workers, None)
        with pytest.raises(RuntimeError):
            tried.gathering.submit("a", tried.waiting("a"), False)
        return tried.ended

    assert asyncio.run(ask()) == ["a"]


def test_an_end_is_told_once_and_what_is_asked_is_taken_once():
    async def ask():
        ended = []
        one = Waiting("a", 0.0, lambda: ended.append(1))
        one.ended()
        one.ended()
        assert one.taken() == "a"
        with pytest.raises(ServingError, match="Nobody waits"):
            one.taken()
        return ended

    assert asyncio.run(ask()) == [1]


def test_what_fails_after_all_have_left_is_logged(caplog):
    """And answers to a loop that is closed are none of anybody's."""
    answering = Answering()

    async def ask(workers):
        tried = Tried(answering, workers, Batching(threads=1))
        one = tried.waiting("broken")
        tried.gathering.submit("a", one, True)
        await asyncio.to_thread(answering.begun.wait, SOON)
        one.answer.cancel()
        return tried

    async def ask_and_wait(workers):
        tried = await ask(workers)
        answering.go_on.set()
        while not tried.ended:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)

    with ThreadPoolExecutor(1) as workers:
        asyncio.run(ask_and_wait(workers))
        assert "a request that nobody waits for failed" in caplog.text
        answering = Answering()
        tried = asyncio.run(ask(workers))
        answering.go_on.set()
    assert tried.ended == ["broken"]
    assert not tried.gathering._turns
    assert "after the server had stopped" in caplog.text
