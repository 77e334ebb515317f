"""Predictions of both APIs: each request waits in one request queue, so that requests of REST and gRPC run in the same batches."""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from shared.serving.errors import DEADLINE_EXCEEDED, ServingError
from shared.serving.metrics import RequestRecord
from shared.serving.models import ModelVersion
from shared.serving.request_queue import PendingRequest, RequestQueue
from shared.serving.service import Outputs, PredictionCall, Service


@dataclass(frozen=True)
class Target:
    """The model that a request names, with a version, a label or neither."""

    name: str
    version: int | None = None
    label: str | None = None


class Exchange(Protocol):
    """A request for a prediction, and its response, in the format of one API."""

    record: RequestRecord

    def parse_signature_name(self) -> str:
        """Returns the name of the signature; a worker thread calls it if the name was not known before."""

    def read(self, version: ModelVersion, signature: str) -> Mapping[str, np.ndarray]:
        """Returns the inputs by name; drops the request, so that its memory can be freed."""

    def write(self, version: ModelVersion, signature: str, outputs: Outputs) -> Any:
        """Returns the response."""


Key = tuple[Target, str | None]
"""Key of the request queue: target and signature name. The name is None as long as the request is not parsed."""


class Dispatcher:
    """Runs predictions in worker threads.

    Args:
        service: the service behind both APIs.
        workers: the worker threads.
    """

    def __init__(self, service: Service, workers: ThreadPoolExecutor) -> None:
        self.service, self.workers = service, workers
        self.queue = RequestQueue(self._handle, workers, service.repository.batching)

    def find_version(self, target: Target) -> ModelVersion:
        """Returns the version that a request names.

        Raises:
            ServingError: there is no such version.
        """
        return self.service.repository.find_version(target.name, target.version, target.label)

    async def predict(
        self, target: Target, signature: str | None, exchange: Exchange, deadline: float, release: Callable[[], None]
    ) -> Any:
        """Returns the response to a request.

        Args:
            target: the requested model.
            signature: name of the signature; None if the request is not parsed, because it is large.
            exchange: the request.
            deadline: value of `time.monotonic` at which the client stops waiting.
            release: called exactly once, when the work for the request has ended.

        Raises:
            ServingError: the request is invalid, its deadline has passed, or the server cannot run it.
        """
        key, seconds = (target, signature), deadline - time.monotonic()
        try:
            pending = PendingRequest(exchange, deadline, release)
            is_batched = signature is not None and self._is_batched(target, signature)
        except BaseException:
            release()
            raise
        try:
            self.queue.submit(key, pending, is_batched)
            return await asyncio.wait_for(pending.response, seconds)
        except BaseException as error:
            self.queue.cancel(key, pending)
            if isinstance(error, TimeoutError):
                raise ServingError(
                    DEADLINE_EXCEEDED, f"The response was not ready before its deadline, {seconds:.3g} seconds."
                ) from error
            raise

    def _is_batched(self, target: Target, signature: str) -> bool:
        batcher = self.find_version(target).signatures.get(signature)
        return batcher is not None and batcher.is_batched

    def _handle(self, key: Key, requests: Sequence[PendingRequest]) -> Iterator[list[tuple[int, Any]]]:
        """Yields the responses to requests with the same key, as they become ready."""
        target, name = key
        exchanges: list[Exchange | None] = [request.content for request in requests]
        signature = _parse_signature_name(exchanges[0]) if name is None else name

        def read(k: int, version: ModelVersion) -> Mapping[str, np.ndarray]:
            exchange: Exchange = requests[k].take_content()
            exchange.record.version, exchange.record.signature = version.version, signature
            return exchange.read(version, signature)

        calls = [PredictionCall(functools.partial(read, k), request.deadline) for k, request in enumerate(requests)]
        find_version = functools.partial(self.find_version, target)
        for group in self.service.predict_all(find_version, signature, calls):
            yield [(k, _write(exchanges[k], version, signature, outputs)) for k, version, outputs in group]


def _parse_signature_name(exchange: Exchange | None) -> str:
    if exchange is None:
        raise ServingError(DEADLINE_EXCEEDED, "The client no longer waits for the response.")
    return exchange.parse_signature_name()


def _write(exchange: Exchange | None, version: ModelVersion, signature: str, outputs: Outputs | Exception) -> Any:
    try:
        return (
            outputs
            if isinstance(outputs, Exception) or exchange is None
            else exchange.write(version, signature, outputs)
        )
    except Exception as error:  # concerns this request only
        return error
