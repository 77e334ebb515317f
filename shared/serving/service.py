"""What both interfaces ask: an answer within a time, counted, from a number of requests at once that is bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.serving.errors import EXHAUSTED, INTERNAL, INVALID, TOO_LATE, UNAVAILABLE, Gone, ServingError
from shared.serving.models import AVAILABLE, Request, Version
from shared.serving.repository import Repository

METRICS = "/monitoring/prometheus/metrics"  # address of the measures, as TensorFlow Serving has it
TRIES = 3  # to find a version that is still there
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)


@dataclass(frozen=True)
class Limits:
    """What a server takes upon itself."""

    body: int = 16 * 2**20
    """Bytes of a request, unpacked."""
    requests: int = 256
    """That are answered or wait at once; more are refused."""
    seconds: float = 30.0
    """For an answer, where the caller names no shorter time."""
    workers: int = 64
    """Threads that answer."""


@dataclass
class Measures:
    """What Prometheus is told."""

    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def __post_init__(self) -> None:
        labels = ("model", "interface")
        self.requests = Counter(
            "lstm_suite_requests", "Requests by their status.", (*labels, "code"), registry=self.registry
        )
        self.seconds = Histogram(
            "lstm_suite_seconds", "Time to an answer.", labels, registry=self.registry, buckets=SECONDS
        )
        self.going = Gauge("lstm_suite_requests_going", "Requests that are answered or wait.", registry=self.registry)
        self.available = Gauge(
            "lstm_suite_version_available", "Versions that can be asked.", ("model", "version"), registry=self.registry
        )

    def tell_versions(self, repository: Repository) -> None:
        """Brings the gauge of the versions up to date."""
        self.available.clear()
        for name, versions in list(repository.models.items()):
            for number, version in versions.items():
                self.available.labels(name, number).set(version.state == AVAILABLE)


@dataclass(frozen=True)
class Asked:
    """A request for a signature's answers."""

    request_of: Callable[[Version], Request]
    """Reads it for a version."""
    until: float
    """`time.monotonic` at which nobody waits any more."""

    def request_in_time(self, version: Version) -> Request:
        """Returns the request, as that version understands it.

        Raises:
            ServingError: its time is over, or it cannot be read.
        """
        if time.monotonic() > self.until:
            raise ServingError(TOO_LATE, "The time for an answer was over before its turn came.")
        return self.request_of(version)


class Service:
    """Answers requests of any interface.

    Args:
        repository: of the models.
        limits: that hold for all of them together.
    """

    def __init__(self, repository: Repository, limits: Limits) -> None:
        self.repository, self.limits, self.measures = repository, limits, Measures()
        self.draining = False
        self._going = 0
        self._lock = threading.Lock()

    def predict(self, find: Callable[[], Version], asked: Asked) -> tuple[Version, dict[str, np.ndarray]]:
        """Returns the version that answered, and its answers (see `predict_all`).

        Raises:
            ServingError: there is no answer.
        """
        version, (answers,) = self.predict_all(find, [asked])
        if isinstance(answers, Exception):
            raise answers
        return version, answers

    def predict_all(
        self, find: Callable[[], Version], asked: Sequence[Asked]
    ) -> tuple[Version, list[dict[str, np.ndarray] | Exception]]:
        """Returns the version that answered, and for each request its answers, or why there are none.

        Args:
            find: returns the version that is asked for.
            asked: the requests.

        Raises:
            ServingError: there is no such version.
        """
        for left in reversed(range(TRIES)):
            version = find()
            try:
                with version.asked():
                    found = version.predict_all([one.request_in_time for one in asked])
                break
            except Gone:  # between the two a newer one took its place
                if not left:
                    raise
        late = ServingError(TOO_LATE, "The answer took longer than the time for it.")
        return version, [
            late if time.monotonic() > one.until and not isinstance(answers, Exception) else answers
            for one, answers in zip(asked, found, strict=True)
        ]

    def admit(self) -> Callable[[], None]:
        """Counts a request among those that are going on, and returns what to call when its work has ended.

        Raises:
            ServingError: there are too many, or the server is being stopped.
        """
        with self._lock:
            if self.draining:
                raise ServingError(UNAVAILABLE, "The server is being stopped.")
            if self._going >= self.limits.requests:
                raise ServingError(EXHAUSTED, f"{self.limits.requests} requests are going on. Try again later.")
            self._going += 1
        self.measures.going.inc()
        return self._ended

    def _ended(self) -> None:
        with self._lock:
            self._going -= 1
        self.measures.going.dec()

    @contextmanager
    def admitted(self) -> Iterator[None]:
        """Counts a request while it is answered (see `admit`)."""
        end = self.admit()
        try:
            yield
        finally:
            end()

    @contextmanager
    def measured(self, model: str, interface: str) -> Iterator[None]:
        """Counts a request and its time, and turns what nobody foresaw into an error of the server's own."""
        started, code = time.monotonic(), "OK"
        known = model if model in self.repository.models else ""  # no label for each slip of a caller
        try:
            yield
        except ServingError as error:
            code = error.code
            raise
        except Exception as error:
            code = INTERNAL
            logging.getLogger(__name__).exception("%s: a request failed", model)
            raise ServingError(INTERNAL, f"{type(error).__name__}: {error}") from error
        finally:
            self.measures.requests.labels(known, interface, code).inc()
            self.measures.seconds.labels(known, interface).observe(time.monotonic() - started)


def signature_name(value: object) -> str:
    """Returns the signature that a request names, or the usual one.

    Raises:
        ServingError: it names none.
    """
    if value is None or value == "":
        return "serving_default"
    if not isinstance(value, str):
        raise ServingError(INVALID, '"signature_name" should be a string.')
    return value
