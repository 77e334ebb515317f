"""Small requests over REST are taken up together: while a thread answers some, those that come in wait for the next turn.

A thread for each would spend more time on taking turns with the others than a small model spends on an answer. Nobody waits
for others here: who comes alone is answered at once.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from shared.serving.batching import Batching

SMALL = 16 * 2**10  # bytes of a body; greater ones take a thread each, so that no small one waits for them


@dataclass(eq=False)
class Waiting:
    """A request that waits for its answer.

    Args:
        body: in JSON; None once it has been read, or nobody waits any more.
        until: `time.monotonic` at which nobody does.
        end: is called when its work has ended.
    """

    body: bytes | None
    until: float
    end: Callable[[], None]
    answer: asyncio.Future[bytes] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Gathering:
    """Hands requests to threads.

    Args:
        answer: from a place and its requests to an answer for each: the body, or an exception.
        workers: the threads.
        batching: how many are taken up together, and how often at once; None for each by itself.
    """

    def __init__(
        self,
        answer: Callable[[Any, Sequence[Waiting]], Sequence[bytes | Exception]],
        workers: ThreadPoolExecutor,
        batching: Batching | None,
    ) -> None:
        self.answer, self.workers, self.batching = answer, workers, batching
        self._waiting: dict[Hashable, deque[Waiting]] = {}
        self._turns: dict[Hashable, int] = {}
        self._lock = threading.Lock()

    def submit(self, place: Hashable, waiting: Waiting) -> None:
        """Has a request answered; its `answer` tells. To be called in the loop that waits for it."""
        loop = asyncio.get_running_loop()
        if self.batching is None or len(waiting.body or b"") > SMALL:
            self.workers.submit(self._answered, loop, place, [waiting])
            return
        with self._lock:
            self._waiting.setdefault(place, deque()).append(waiting)
            if self._turns.get(place, 0) >= self.batching.threads:
                return
            self._turns[place] = self._turns.get(place, 0) + 1
        self.workers.submit(self._take_turns, loop, place)

    def _take_turns(self, loop: asyncio.AbstractEventLoop, place: Hashable) -> None:
        while taken := self._taken(place):
            self._answered(loop, place, taken)

    def _taken(self, place: Hashable) -> list[Waiting]:
        """Returns whose turn it is; where it is nobody's, the turns end."""
        assert self.batching is not None
        with self._lock:
            queue = self._waiting[place]
            taken = [queue.popleft() for _ in range(min(self.batching.rows, len(queue)))]
            if not taken:
                self._turns[place] -= 1
                if not self._turns[place]:
                    del self._turns[place], self._waiting[place]
        return taken

    def _answered(self, loop: asyncio.AbstractEventLoop, place: Hashable, waiting: Sequence[Waiting]) -> None:
        try:
            answers = self.answer(place, waiting)
        except Exception as error:  # is told to those who wait
            answers = [error] * len(waiting)
        for one in waiting:
            one.end()
        loop.call_soon_threadsafe(_tell, list(zip(waiting, answers, strict=True)))


def _tell(answered: Sequence[tuple[Waiting, bytes | Exception]]) -> None:
    for one, answer in answered:
        if one.answer.done():  # nobody waits any more
            continue
        if isinstance(answer, Exception):
            one.answer.set_exception(answer)
        else:
            one.answer.set_result(answer)
