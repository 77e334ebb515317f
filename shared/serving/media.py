"""Requests whose body is a file, such as a recording: the task of the model reads it, and the answer is what `predict` gives.

A task that takes files has `tasks/NAME/media.py` with `MEDIA_TYPES`, the beginnings of the content types, and `answer` (see
`shared.task.load_media`). TensorFlow Serving has no such requests.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from shared.errors import SuiteError
from shared.serving.errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, ServingError, from_tensorflow_error
from shared.serving.models import ModelVersion
from shared.task import load_media

MAX_CACHED_VERSIONS = 16
MEDIA_TYPES = ("audio/", "video/", "image/", "application/ogg")
"""Beginnings of the content types of files; a body with any other one is JSON."""


def is_media_type(content_type: str) -> bool:
    """Returns whether a body with this content type is a file, not JSON."""
    return content_type.strip().lower().startswith(MEDIA_TYPES)


async def answer(
    workers: ThreadPoolExecutor,
    version: ModelVersion,
    body: bytes,
    content_type: str,
    query: Mapping[str, str],
    deadline: float,
    release: Callable[[], None],
) -> tuple[bytes, str]:
    """Returns the body and the content type of the response to a file.

    Args:
        workers: the worker threads.
        version: version of the model.
        body: the file.
        content_type: content type of the body.
        query: options in the query of the path.
        deadline: value of `time.monotonic` at which the client stops waiting.
        release: called exactly once, when the work for the request has ended.

    Raises:
        ServingError: the model takes no such file, the file or an option is invalid, or the deadline has passed.
    """

    def run() -> tuple[bytes, str]:
        try:
            return _answer(version, body, content_type, query)
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


def _answer(version: ModelVersion, body: bytes, content_type: str, query: Mapping[str, str]) -> tuple[bytes, str]:
    with version.in_use():
        metadata = _read_metadata(version.folder)
        media = load_media(metadata["task"]) if "task" in metadata else None
        if media is None or not content_type.lower().startswith(media.MEDIA_TYPES):
            takes = f" It takes {', '.join(media.MEDIA_TYPES)}*." if media else ""
            raise ServingError(
                INVALID_ARGUMENT, f"{version.name} does not take a body of the type {content_type}.{takes} Send JSON."
            )

        def call(signature: str, request: Mapping[str, np.ndarray]) -> Mapping[str, np.ndarray]:
            try:
                return version.get_signature(signature)(request)
            except tf.errors.OpError as error:
                raise from_tensorflow_error(error, request) from error

        try:
            return media.answer(call, metadata, body, query)
        except SuiteError as error:
            raise ServingError(INVALID_ARGUMENT, str(error)) from error


@lru_cache(maxsize=MAX_CACHED_VERSIONS)
def _read_metadata(folder: Path) -> dict[str, Any]:
    """Returns the metadata of a version; empty if it has none."""
    path = folder / "task.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
