"""Pending requests share a drain cycle, each gets its own response, and a cancelled request frees its slot."""

from __future__ import annotations

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from shared.serving.batching import Batching
from shared.serving.errors import ServingError
from shared.serving.request_queue import PendingRequest, RequestQueue

TIMEOUT = 60.0


class UppercaseHandler:
    """Responds with the content in uppercase, one group per request.

    "bad" gets an error as its response, and "broken" raises an error that ends the drain cycle. The first call waits for `resume`.
    """

    def __init__(self) -> None:
        self.cycles: list[list[str]] = []
        self.started, self.resume = threading.Event(), threading.Event()

    def __call__(self, key, requests):
        contents = [request.content for request in requests]
        self.cycles.append(contents)
        if not self.started.is_set():
            self.started.set()
            assert self.resume.wait(TIMEOUT)
        for k, content in enumerate(contents):
            if content == "broken":
                raise OSError("broken")
            yield [(k, ValueError("bad") if content == "bad" else content.upper())]


class RecordingQueue:
    """A request queue, and the contents of the requests that have ended, in order."""

    def __init__(self, handler, workers, batching) -> None:
        self.ended: list[str] = []
        self.queue = RequestQueue(handler, workers, batching)

    def create_request(self, content):
        return PendingRequest(content, time.monotonic() + TIMEOUT, lambda: self.ended.append(content))


def run_requests(batching, first, *others, keys=None, is_batched=True):
    """Submits the other requests while the first is running.

    Returns:
        The contents of each drain cycle, the responses, and the contents of the requests that have ended.
    """
    handler = UppercaseHandler()

    async def submit_all():
        with ThreadPoolExecutor(4) as workers:
            recording = RecordingQueue(handler, workers, batching)
            requests = [recording.create_request(content) for content in (first, *others)]
            recording.queue.submit("a", requests[0], is_batched)
            await asyncio.to_thread(handler.started.wait, TIMEOUT)
            for request, key in zip(requests[1:], keys or "a" * len(others), strict=True):
                recording.queue.submit(key, request, is_batched)
            handler.resume.set()
            return await asyncio.gather(*(one.response for one in requests), return_exceptions=True), recording

    responses, recording = asyncio.run(submit_all())
    assert not recording.queue._pending
    assert not recording.queue._num_cycles
    return handler.cycles, [str(response) for response in responses], recording.ended


def test_requests_that_arrive_meanwhile_share_the_next_cycles_up_to_the_batch_size():
    cycles, responses, ended = run_requests(Batching(max_batch_size=3, num_threads=1), *"abcde")
    assert cycles == [["a"], ["b", "c", "d"], ["e"]]
    assert (responses, ended) == (list("ABCDE"), list("abcde"))


def test_each_request_gets_its_own_response():
    """If a cycle fails, the requests that already have a response keep it, and the next cycle runs."""
    _, responses, ended = run_requests(Batching(num_threads=1), "a", "bad", "c")
    assert (responses, ended) == (["A", "bad", "C"], ["a", "bad", "c"])
    _, responses, ended = run_requests(Batching(max_batch_size=3, num_threads=1), "a", "b", "broken", "c", "d")
    assert (responses, ended) == (["A", "B", "broken", "broken", "D"], ["a", "b", "broken", "c", "d"])


def test_a_response_is_delivered_before_the_cycle_ends():
    events = UppercaseHandler()

    def slow_handler(key, requests):
        yield [(1, "first")]
        events.started.set()
        assert events.resume.wait(TIMEOUT)
        yield [(0, "last")]

    async def submit_both():
        with ThreadPoolExecutor(1) as workers:
            recording = RecordingQueue(slow_handler, workers, Batching(num_threads=1))
            slow, quick = (recording.create_request(content) for content in "ab")
            workers.submit(events.resume.wait, TIMEOUT)  # so that both share a cycle
            for request in (slow, quick):
                recording.queue.submit("a", request, True)
            events.resume.set()
            events.resume.clear()
            results = await asyncio.wait_for(quick.response, TIMEOUT), slow.response.done()
            events.resume.set()
            return *results, await slow.response

    assert asyncio.run(submit_both()) == ("first", False, "last")


def test_each_key_has_its_own_cycles():
    cycles, responses, _ = run_requests(Batching(num_threads=1), *"abcd", keys="aba")
    assert sorted(cycles) == [["a"], ["b", "d"], ["c"]]
    assert responses == list("ABCD")


@pytest.mark.parametrize(("batching", "is_batched"), [(None, True), (Batching(num_threads=1), False)])
def test_unbatched_requests_do_not_wait_for_others(batching, is_batched):
    cycles, responses, ended = run_requests(batching, *"abc", is_batched=is_batched)
    assert sorted(cycles) == [["a"], ["b"], ["c"]]
    assert (responses, sorted(ended)) == (list("ABC"), list("abc"))


@pytest.mark.parametrize("is_batched", [True, False])
def test_a_request_that_is_cancelled_before_its_cycle_ends_immediately_and_never_runs(is_batched):
    handler = UppercaseHandler()

    async def submit_three():
        with ThreadPoolExecutor(1) as workers:
            recording = RecordingQueue(handler, workers, Batching(num_threads=1))
            running, cancelled, remaining = (recording.create_request(content) for content in "abc")
            recording.queue.submit("a", running, is_batched)
            await asyncio.to_thread(handler.started.wait, TIMEOUT)
            for request in (cancelled, remaining):
                recording.queue.submit("a", request, is_batched)
            recording.queue.cancel("a", cancelled)
            ended_first = list(recording.ended)
            recording.queue.cancel("a", running)  # has already started, so it continues
            running.response.cancel()
            handler.resume.set()
            return await remaining.response, ended_first, recording.ended

    assert asyncio.run(submit_three()) == ("C", ["b"], ["b", "a", "c"])
    assert handler.cycles == [["a"], ["c"]]


def test_a_request_ends_if_the_workers_are_shut_down():
    async def submit():
        workers = ThreadPoolExecutor(1)
        workers.shutdown()
        recording = RecordingQueue(UppercaseHandler(), workers, None)
        with pytest.raises(RuntimeError):
            recording.queue.submit("a", recording.create_request("a"), False)
        return recording.ended

    assert asyncio.run(submit()) == ["a"]


def test_a_request_ends_once_and_its_content_is_taken_once():
    async def end_twice():
        ended = []
        request = PendingRequest("a", 0.0, lambda: ended.append(1))
        request.end()
        request.end()
        assert request.take_content() == "a"
        with pytest.raises(ServingError, match="no longer waits"):
            request.take_content()
        return ended

    assert asyncio.run(end_twice()) == [1]


def test_errors_and_responses_without_a_waiting_client_are_logged(caplog):
    """An error after the client has left is logged, and so are responses to an event loop that is closed."""
    handler = UppercaseHandler()

    async def submit_and_leave(workers):
        recording = RecordingQueue(handler, workers, Batching(num_threads=1))
        request = recording.create_request("broken")
        recording.queue.submit("a", request, True)
        await asyncio.to_thread(handler.started.wait, TIMEOUT)
        request.response.cancel()
        return recording

    async def submit_leave_and_wait(workers):
        recording = await submit_and_leave(workers)
        handler.resume.set()
        while not recording.ended:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.01)

    with ThreadPoolExecutor(1) as workers:
        asyncio.run(submit_leave_and_wait(workers))
        assert "a request failed after its client had stopped waiting" in caplog.text
        handler = UppercaseHandler()
        recording = asyncio.run(submit_and_leave(workers))
        handler.resume.set()
    assert recording.ended == ["broken"]
    assert not recording.queue._num_cycles
    assert "after the server had stopped" in caplog.text
