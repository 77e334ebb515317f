"""What both interfaces ask: an answer within a time, with_cardinality, from a number of requests at once that is bounded."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import numpy as np
import tensorflow as tf
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from shared.serving.batching import Batcher
from shared.serving.errors import EXHAUSTED, INTERNAL, INVALID, TOO_LATE, UNAVAILABLE, Gone, ServingError, of_tensorflow
from shared.serving.models import AVAILABLE, Version, check
from shared.serving.repository import Repository

Answers = dict[str, np.ndarray]
METRICS = "/monitoring/prometheus/metrics"  # address of the measures, as TensorFlow Serving has it
BEFORE = "The time for an answer was over before its turn came."
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
    """Threads that answer, of each interface."""


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

    request_of: Callable[[Version], Mapping[str, np.ndarray]]
    """Reads it for a version: arrays by the inputs' names; may raise `ServingError`."""
    until: float
    """`time.monotonic` at which nobody waits any more."""


def _parts(
    batcher: Batcher, version: Version, asked: Sequence[Asked]
) -> Iterator[list[tuple[int, Answers | Exception]]]:
    """Yields what is asked as one, when it has been answered; first what cannot be asked."""
    refused: list[tuple[int, Answers | Exception]] = []
    fitting: dict[int, Mapping[str, np.ndarray]] = {}
    for k, one in enumerate(asked):
        try:
            if time.monotonic() > one.until:
                raise ServingError(TOO_LATE, BEFORE)
            request = one.request_of(version)
            check(request, batcher.inputs)
        except Exception as error:  # is this request's; the others go on
            refused.append((k, error))
        else:
            fitting[k] = request
    if refused:
        yield refused
    numbers = list(fitting)
    for part in batcher.parts(list(fitting.values())):
        yield _answered(batcher, {numbers[k]: (asked[numbers[k]], fitting[numbers[k]]) for k in part})


def _answered(
    batcher: Batcher, part: Mapping[int, tuple[Asked, Mapping[str, np.ndarray]]]
) -> list[tuple[int, Answers | Exception]]:
    due = {k: request for k, (one, request) in part.items() if time.monotonic() <= one.until}
    answers: Sequence[Answers | Exception] = []
    if due:
        try:
            answers = batcher.together(list(due.values()))
        except Exception as error:  # whatever it is, those of other parts go on
            answers = [error] * len(due)
    found: dict[int, Answers | Exception] = dict.fromkeys(part, ServingError(TOO_LATE, BEFORE))
    for k, answer in zip(due, answers, strict=True):
        late = time.monotonic() > part[k][0].until
        told = of_tensorflow(answer) if isinstance(answer, tf.errors.OpError) else answer
        found[k] = ServingError(TOO_LATE, "The answer took longer than the time for it.") if late else told
    return list(found.items())


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

    def predict(self, find: Callable[[], Version], signature: str, asked: Asked) -> tuple[Version, Answers]:
        """Returns the version that answered, and its answers (see `predict_all`).

        Raises:
            ServingError: there is no answer.
        """
        (((_, version, answers),),) = self.predict_all(find, signature, [asked])
        if isinstance(answers, Exception):
            raise answers
        return version, answers

    def predict_all(
        self, find: Callable[[], Version], signature: str, asked: Sequence[Asked]
    ) -> Iterator[list[tuple[int, Version, Answers | Exception]]]:
        """Yields, as they are ready, numbers of requests, the version that answered, and the answers, or why there are none.

        Args:
            find: returns the version that is asked for.
            signature: its name.
            asked: the requests.

        Raises:
            ServingError: there is no such version or signature.
        """
        for left in reversed(range(TRIES)):
            version = find()
            try:
                with version.asked():
                    for part in _parts(version.signature(signature), version, asked):
                        yield [(k, version, answers) for k, answers in part]
                return
            except Gone:  # between the two a newer one took its place
                if not left:
                    raise

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
