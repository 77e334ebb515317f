"""Small requests over REST are taken up together: while a thread answers some, those that come in wait for the next turn.

A thread for each would spend more time on taking turns with the others than a small model spends on an answer. Requests of one
signature share turns; each is told its answer as soon as the part of the turn that it belongs to is done.
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
from shared.serving.errors import TOO_LATE, ServingError

Answer = bytes | Exception


class Waiting:
    """A request that waits for its answer, made in the loop that waits.

    Args:
        content: what is asked, as the answering side understands it; None once it has been read, or nobody waits any more.
        until: `time.monotonic` at which nobody does.
        end: is called once, when its work has ended or will not begin.
    """

    def __init__(self, content: Any, until: float, end: Callable[[], None]) -> None:
        self.content, self.until = content, until
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.work: Future[None] | None = None
        self._ends = deque([end])

    def taken(self) -> Any:
        """Returns what is asked, once.

        Raises:
            ServingError: nobody waits for the answer any more.
        """
        content, self.content = self.content, None
        if content is None:
            raise ServingError(TOO_LATE, "Nobody waits for the answer any more.")
        return content

    def ended(self) -> None:
        """Its work has ended; told twice, the second counts for nothing."""
        try:
            end = self._ends.pop()
        except IndexError:
            return
        end()


class Gathering:
    """Hands requests to threads.

    Args:
        answer: from a key and its requests to the answers, in parts as they are ready: numbers of requests, and bodies or
            exceptions.
        workers: the threads.
        batching: how many are taken up together, and how often at once.
    """

    def __init__(
        self,
        answer: Callable[[Any, Sequence[Waiting]], Iterator[Sequence[tuple[int, Answer]]]],
        workers: ThreadPoolExecutor,
        batching: Batching | None,
    ) -> None:
        self.answer, self.workers, self.batching = answer, workers, batching
        self._waiting: dict[Hashable, deque[Waiting]] = {}
        self._turns: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def submit(self, key: Hashable, waiting: Waiting, together: bool) -> None:
        """Has a request answered; its `answer` tells. To be called in the loop that waits for it.

        Args:
            key: of what is answered together.
            waiting: the request.
            together: whether it may be taken up with others; else a thread takes it by itself.
        """
        loop = asyncio.get_running_loop()
        if not together or self.batching is None:
            try:
                waiting.work = self.workers.submit(self._answered, loop, key, [waiting])
            except RuntimeError:  # no thread can be had
                waiting.ended()
                raise
            return
        with self._lock:
            self._waiting.setdefault(key, deque()).append(waiting)
            if self._turns.get(key, 0) >= self.batching.threads:
                return
            self._turns[key] = self._turns.get(key, 0) + 1
        self.workers.submit(self._turn, loop, key)

    def leave(self, key: Hashable, waiting: Waiting) -> None:
        """Nobody waits for a request any more: where its work has not begun, it never will."""
        waiting.content = None
        with self._lock:
            queue = self._waiting.get(key, deque())
            left = waiting in queue
            if left:
                queue.remove(waiting)
        if left or (waiting.work is not None and waiting.work.cancel()):
            waiting.ended()

    def _turn(self, loop: asyncio.AbstractEventLoop, key: Hashable) -> None:
        """Answers those who wait, as many as go together; the next turn stands in line behind other work."""
        assert self.batching is not None
        try:
            with self._lock:
                queue = self._waiting[key]
                taken = [queue.popleft() for _ in range(min(self.batching.rows, len(queue)))]
            self._answered(loop, key, taken)
        finally:
            with self._lock:
                more = bool(self._waiting[key])
                if not more:
                    self._turns[key] -= 1
                    if not self._turns[key]:
                        del self._turns[key], self._waiting[key]
            if more:
                self.workers.submit(self._turn, loop, key)

    def _answered(self, loop: asyncio.AbstractEventLoop, key: Hashable, waiting: Sequence[Waiting]) -> None:
        left = dict(enumerate(waiting))
        try:
            for part in self.answer(key, waiting):
                _told(loop, [(left.pop(k), answer) for k, answer in part])
        except Exception as error:  # is told to those who wait still
            _told(loop, [(one, error) for one in left.values()])
        finally:
            for one in waiting:
                one.ended()


def _told(loop: asyncio.AbstractEventLoop, answered: Sequence[tuple[Waiting, Answer]]) -> None:
    for one, _ in answered:
        one.ended()
    try:
        loop.call_soon_threadsafe(_tell, answered)
    except RuntimeError:  # the loop is closed: the server has stopped, and its callers are gone
        logging.getLogger(__name__).warning("%d answers came after the server had stopped.", len(answered))


def _tell(answered: Sequence[tuple[Waiting, Answer]]) -> None:
    for one, answer in answered:
        if one.answer.done():  # nobody waits any more
            if isinstance(answer, Exception) and not isinstance(answer, ServingError):
                logging.getLogger(__name__).error("a request that nobody waits for failed", exc_info=answer)
        elif isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
