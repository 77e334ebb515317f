"""Requests whose body is a file, such as a recording: the task of the model reads it, and the response is what `predict` gives.

A task that takes files has `tasks/NAME/media.py` with `MEDIA_TYPES`, the beginnings of the content types, and `respond` (see
`shared.task.load_media`). TensorFlow Serving has no such requests.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import tensorflow as tf

from shared.errors import SuiteError
from shared.serving.errors import (
    DEADLINE_EXCEEDED,
    INVALID_ARGUMENT,
    ServingError,
    VersionUnavailable,
    from_tensorflow_error,
)
from shared.serving.models import ModelVersion
from shared.serving.service import MAX_ATTEMPTS
from shared.task import load_media

MEDIA_TYPES = ("audio/", "video/", "image/", "application/ogg")
"""Beginnings of the content types of files; a body with any other one is JSON."""


def is_media_type(content_type: str) -> bool:
    """Returns whether a body with this content type is a file, not JSON."""
    return content_type.strip().lower().startswith(MEDIA_TYPES)


async def respond(
    workers: ThreadPoolExecutor,
    find_version: Callable[[], ModelVersion],
    body: bytes,
    content_type: str,
    query: Mapping[str, str],
    deadline: float,
    on_version: Callable[[int], None],
    release: Callable[[], None],
) -> tuple[bytes, str]:
    """Returns the body and the content type of the response to a file.

    Args:
        workers: the worker threads.
        find_version: returns the requested version.
        body: the file.
        content_type: content type of the body.
        query: options in the query of the path.
        deadline: value of `time.monotonic` at which the client stops waiting.
        on_version: called with the number of the version that computes the response.
        release: called exactly once, when the work for the request has ended.

    Raises:
        ServingError: the model takes no such file, the file or an option is invalid, or the deadline has passed.
    """

    def run() -> tuple[bytes, str]:
        try:
            return _run(find_version, body, content_type, query, deadline, on_version)
        finally:
            release()

    try:
        future = asyncio.get_running_loop().run_in_executor(workers, run)
    except BaseException:
        release()
        raise
    seconds = deadline - time.monotonic()
    try:
        return await asyncio.wait_for(asyncio.shield(future), seconds)
    except TimeoutError as error:
        message = f"The response was not ready before its deadline, {seconds:.3g} seconds."
        raise ServingError(DEADLINE_EXCEEDED, message) from error


def _run(
    find_version: Callable[[], ModelVersion],
    body: bytes,
    content_type: str,
    query: Mapping[str, str],
    deadline: float,
    on_version: Callable[[int], None],
) -> tuple[bytes, str]:
    """Returns the response of the requested version; tries again if a newer one has replaced it in the meantime."""
    for attempts_left in reversed(range(MAX_ATTEMPTS)):
        version = find_version()
        try:
            with version.in_use():
                on_version(version.version)
                return _respond(version, body, content_type, query, deadline)
        except VersionUnavailable:
            if not attempts_left:
                raise
    raise AssertionError("unreachable")


def _respond(
    version: ModelVersion, body: bytes, content_type: str, query: Mapping[str, str], deadline: float
) -> tuple[bytes, str]:
    metadata = version.metadata
    media = load_media(metadata["task"]) if "task" in metadata else None
    if media is None or not content_type.lower().startswith(media.MEDIA_TYPES):
        takes = f" It takes {', '.join(media.MEDIA_TYPES)}*." if media else ""
        raise ServingError(
            INVALID_ARGUMENT, f"{version.name} does not take a body of the type {content_type}.{takes} Send JSON."
        )

    def call(signature: str, request: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
        if time.monotonic() > deadline:
            raise ServingError(DEADLINE_EXCEEDED, "The deadline passed before the response was ready.")
        try:
            return version.get_signature(signature)(request)
        except tf.errors.OpError as error:
            raise from_tensorflow_error(error, request) from error

    try:
        return media.respond(call, metadata, body, query)
    except SuiteError as error:
        raise ServingError(INVALID_ARGUMENT, str(error)) from error
