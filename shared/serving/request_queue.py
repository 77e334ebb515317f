"""The request queue of the REST API: small requests wait while a worker thread is busy, and then run together.

With one thread per request, switching between threads would cost more than a small model does. Requests of one key (model, version
and signature) share a drain cycle: a worker takes all pending requests, up to the size of a batch. Each request gets its response
as soon as its group in the cycle is finished.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from shared.serving.batching import Batching
from shared.serving.errors import DEADLINE_EXCEEDED, ServingError

Response = bytes | Exception


class PendingRequest:
    """A request that waits for its response. Create it in the event loop that awaits the response.

    Args:
        content: content of the request, in the form that the handler of the queue expects. It becomes None after
            `take_content`, and when the client no longer waits.
        deadline: value of `time.monotonic` at which the client stops waiting.
        on_end: called exactly once, when the work for this request has ended or has been cancelled.

    Attributes:
        response: future of the response.
        job: the scheduled work, for a request that does not share a drain cycle.
    """

    def __init__(self, content: Any, deadline: float, on_end: Callable[[], None]) -> None:
        self.content, self.deadline = content, deadline
        self.response: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.job: Future[None] | None = None
        self._callbacks = deque([on_end])

    def take_content(self) -> Any:
        """Returns the content and drops the reference to it, so that its memory can be freed early.

        Raises:
            ServingError: the client no longer waits for the response.
        """
        content, self.content = self.content, None
        if content is None:
            raise ServingError(DEADLINE_EXCEEDED, "The client no longer waits for the response.")
        return content

    def end(self) -> None:
        """Calls `on_end`; further calls have no effect."""
        try:
            on_end = self._callbacks.pop()
        except IndexError:
            return
        on_end()


Handler = Callable[[Any, Sequence[PendingRequest]], Iterator[Sequence[tuple[int, Response]]]]
"""From a key and its requests to groups of responses, as they become ready: index of the request, and body or exception."""


class RequestQueue:
    """Distributes requests to worker threads.

    Args:
        handler: computes the responses.
        workers: the worker threads.
        batching: number of requests per drain cycle, and of simultaneous cycles per key; None gives each request its own job.
    """

    def __init__(self, handler: Handler, workers: ThreadPoolExecutor, batching: Batching | None) -> None:
        self.handler, self.workers, self.batching = handler, workers, batching
        self._pending: dict[Hashable, deque[PendingRequest]] = {}
        self._num_cycles: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def submit(self, key: Hashable, request: PendingRequest, is_batched: bool) -> None:
        """Schedules a request. Call it in the event loop that awaits `request.response`.

        Args:
            key: requests with equal keys may share a drain cycle.
            request: the request.
            is_batched: whether the request may share a drain cycle; otherwise it gets its own job.
        """
        loop = asyncio.get_running_loop()
        if not is_batched or self.batching is None:
            try:
                request.job = self.workers.submit(self._handle, loop, key, [request])
            except RuntimeError:  # the workers are shut down
                request.end()
                raise
            return
        with self._lock:
            self._pending.setdefault(key, deque()).append(request)
            if self._num_cycles.get(key, 0) >= self.batching.num_threads:
                return
            self._num_cycles[key] = self._num_cycles.get(key, 0) + 1
        self.workers.submit(self._drain, loop, key)

    def cancel(self, key: Hashable, request: PendingRequest) -> None:
        """Cancels a request whose client no longer waits; work that has already begun continues."""
        request.content = None
        with self._lock:
            queue = self._pending.get(key, deque())
            is_queued = request in queue
            if is_queued:
                queue.remove(request)
        if is_queued or (request.job is not None and request.job.cancel()):
            request.end()

    def _drain(self, loop: asyncio.AbstractEventLoop, key: Hashable) -> None:
        """Runs one drain cycle; if requests remain, schedules the next cycle behind the other work of the threads."""
        assert self.batching is not None
        try:
            with self._lock:
                queue = self._pending[key]
                requests = [queue.popleft() for _ in range(min(self.batching.max_batch_size, len(queue)))]
            self._handle(loop, key, requests)
        finally:
            with self._lock:
                has_more = bool(self._pending[key])
                if not has_more:
                    self._num_cycles[key] -= 1
                    if not self._num_cycles[key]:
                        del self._num_cycles[key], self._pending[key]
            if has_more:
                self.workers.submit(self._drain, loop, key)

    def _handle(self, loop: asyncio.AbstractEventLoop, key: Hashable, requests: Sequence[PendingRequest]) -> None:
        unanswered = dict(enumerate(requests))
        try:
            for group in self.handler(key, requests):
                _deliver(loop, [(unanswered.pop(k), response) for k, response in group])
        except Exception as error:  # becomes the response of all remaining requests
            _deliver(loop, [(request, error) for request in unanswered.values()])
        finally:
            for request in requests:
                request.end()


def _deliver(loop: asyncio.AbstractEventLoop, responses: Sequence[tuple[PendingRequest, Response]]) -> None:
    """Hands responses from a worker thread to the event loop."""
    for request, _ in responses:
        request.end()
    try:
        loop.call_soon_threadsafe(_set_responses, responses)
    except RuntimeError:  # the loop is closed: the server has stopped, and no client is connected
        logging.getLogger(__name__).warning("%d responses were ready after the server had stopped.", len(responses))


def _set_responses(responses: Sequence[tuple[PendingRequest, Response]]) -> None:
    for request, response in responses:
        if request.response.done():  # the client no longer waits
            if isinstance(response, Exception) and not isinstance(response, ServingError):
                logging.getLogger(__name__).error(
                    "a request failed after its client had stopped waiting", exc_info=response
                )
        elif isinstance(response, Exception):
            request.response.set_exception(response)
        else:
            request.response.set_result(response)
