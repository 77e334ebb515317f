"""The service behind both APIs: predictions within a deadline, a limit on simultaneous requests, and metrics."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from shared.serving.batching import Batcher
from shared.serving.errors import (
    DEADLINE_EXCEEDED,
    INTERNAL,
    INVALID_ARGUMENT,
    RESOURCE_EXHAUSTED,
    ServingError,
    VersionUnavailable,
    from_tensorflow_error,
)
from shared.serving.metrics import Metrics, RequestRecord
from shared.serving.models import ModelVersion, validate_request
from shared.serving.repository import Repository
from shared.serving.settings import Limits

Outputs = dict[str, np.ndarray]
TIMED_OUT_IN_QUEUE = "The deadline passed while the request waited in the queue."
MAX_ATTEMPTS = 3  # to find a version that is not being unloaded


@dataclass(frozen=True)
class PredictionCall:
    """A request for the outputs of a signature."""

    read_request: Callable[[ModelVersion], Mapping[str, np.ndarray]]
    """Returns the arrays by input name, in the dtypes of this version; may raise `ServingError`."""
    deadline: float
    """Value of `time.monotonic` at which the client stops waiting."""


def _run_calls(
    batcher: Batcher, version: ModelVersion, calls: Sequence[PredictionCall]
) -> Iterator[list[tuple[int, Outputs | Exception]]]:
    """Yields one group of results at a time: first the errors of invalid requests, then the outputs of each batch."""
    errors: list[tuple[int, Outputs | Exception]] = []
    requests: dict[int, Mapping[str, np.ndarray]] = {}
    for k, call in enumerate(calls):
        try:
            if time.monotonic() > call.deadline:
                raise ServingError(DEADLINE_EXCEEDED, TIMED_OUT_IN_QUEUE)
            request = call.read_request(version)
            validate_request(request, batcher.inputs, batcher.outputs)
        except Exception as error:  # concerns this request only
            errors.append((k, error))
        else:
            requests[k] = request
    if errors:
        yield errors
    indices = list(requests)
    for group in batcher.group_requests(list(requests.values())):
        yield _run_group(batcher, {indices[k]: (calls[indices[k]], requests[indices[k]]) for k in group})


def _run_group(
    batcher: Batcher, group: Mapping[int, tuple[PredictionCall, Mapping[str, np.ndarray]]]
) -> list[tuple[int, Outputs | Exception]]:
    """Runs the requests of a group as one batch, without those whose deadline has passed."""
    requests = {k: request for k, (call, request) in group.items() if time.monotonic() <= call.deadline}
    batch_results: Sequence[Outputs | Exception] = []
    if requests:
        try:
            batch_results = batcher.run_batch(list(requests.values()))
        except Exception as error:  # concerns this group only
            batch_results = [error] * len(requests)
    results: dict[int, Outputs | Exception] = dict.fromkeys(group, ServingError(DEADLINE_EXCEEDED, TIMED_OUT_IN_QUEUE))
    for k, result in zip(requests, batch_results, strict=True):
        if time.monotonic() > group[k][0].deadline:
            results[k] = ServingError(DEADLINE_EXCEEDED, "The deadline passed before the response was ready.")
        else:
            results[k] = from_tensorflow_error(result, requests[k]) if isinstance(result, tf.errors.OpError) else result
    return list(results.items())


class Service:
    """Runs the requests of both APIs.

    Args:
        repository: the models.
        limits: limits for all requests together.

    Attributes:
        metrics: the Prometheus metrics.
        is_draining: whether the server will shut down soon; it is not ready, but still serves.
        is_closing: whether the server closes its connections after their next response.
    """

    def __init__(self, repository: Repository, limits: Limits) -> None:
        self.repository, self.limits, self.metrics = repository, limits, Metrics()
        self.is_draining = self.is_closing = False
        repository.on_load = self.metrics.record_load
        self._num_requests = 0
        self._lock = threading.Lock()

    def predict_all(
        self, find_version: Callable[[], ModelVersion], signature: str, calls: Sequence[PredictionCall]
    ) -> Iterator[list[tuple[int, ModelVersion, Outputs | Exception]]]:
        """Yields groups of results as they become ready.

        Args:
            find_version: returns the requested version.
            signature: name of the signature.
            calls: the requests.

        Yields:
            Tuples of the index of a request, the version that ran it, and its outputs or its error.

        Raises:
            ServingError: there is no such version or signature.
        """
        for attempts_left in reversed(range(MAX_ATTEMPTS)):
            version = find_version()
            try:
                with version.in_use():
                    for group in _run_calls(version.get_signature(signature), version, calls):
                        yield [(k, version, outputs) for k, outputs in group]
                return
            except VersionUnavailable:  # a newer version replaced it after `find_version`
                if not attempts_left:
                    raise

    def admit(self) -> Callable[[], None]:
        """Counts a request as in progress.

        Returns:
            A function to call when the work for the request has ended.

        Raises:
            ServingError: too many requests are in progress.
        """
        with self._lock:
            if self._num_requests >= self.limits.max_requests:
                raise ServingError(
                    RESOURCE_EXHAUSTED, f"{self.limits.max_requests} requests are in progress. Try again later."
                )
            self._num_requests += 1
        self.metrics.requests_in_progress.inc()
        return self._release

    def _release(self) -> None:
        with self._lock:
            self._num_requests -= 1
        self.metrics.requests_in_progress.dec()

    @property
    def is_ready(self) -> bool:
        """Whether load balancers should send requests: a model is loaded, and the server does not shut down."""
        return self.repository.is_ready and not self.is_draining

    @contextmanager
    def admission(self) -> Iterator[None]:
        """Counts a request as in progress inside the `with` block (see `admit`)."""
        release = self.admit()
        try:
            yield
        finally:
            release()

    @contextmanager
    def record_metrics(self, model: str, interface: str) -> Iterator[RequestRecord]:
        """Counts and times a request, and converts unexpected exceptions to internal errors.

        Args:
            model: name of the model in the request.
            interface: REST or gRPC.

        Yields:
            What is known about the request; the caller sets its version and signature.
        """
        started, code = time.monotonic(), "OK"
        record = RequestRecord(model if model in self.repository.models else "", interface)
        try:
            yield record
        except ServingError as error:
            code = error.code
            raise
        except asyncio.CancelledError:
            code = "CANCELLED"
            raise
        except Exception as error:
            code = INTERNAL
            logging.getLogger(__name__).exception("%s: a request failed", model)
            raise ServingError(INTERNAL, f"{type(error).__name__}: {error}") from error
        finally:
            self.metrics.record_request(record, code, time.monotonic() - started)


def parse_signature_name(value: object) -> str:
    """Returns the signature name of a request, or `serving_default` if the request has none.

    Raises:
        ServingError: the value is not a string.
    """
    if value is None or value == "":
        return "serving_default"
    if not isinstance(value, str):
        raise ServingError(INVALID_ARGUMENT, '"signature_name" must be a string.')
    return value
