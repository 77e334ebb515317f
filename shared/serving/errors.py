"""Errors of the server: a message for the client, with a gRPC status and an HTTP status."""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np
import tensorflow as tf

NODE_NAMES = re.compile(r"\{\{.*?\}\}|\[Op:[^\]]*\]|\(defined at .*?\)|\[\[.*")
"""What a message of TensorFlow says about the graph, which only its author knows."""
NODE_LINES = (
    "Graph execution error",
    "Detected at node",
    "<stack traces unavailable>",
    "File ",
    "Stack trace",
    "Errors may have",
)
INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE = "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE"
RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, INTERNAL = "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"
UNAUTHENTICATED = "UNAUTHENTICATED"
MAX_MESSAGE_LENGTH = 1000  # characters; a message may repeat input of the client
HTTP_STATUSES = {
    INVALID_ARGUMENT: 400,
    UNAUTHENTICATED: 401,
    NOT_FOUND: 404,
    UNAVAILABLE: 503,
    RESOURCE_EXHAUSTED: 503,
    DEADLINE_EXCEEDED: 504,
    INTERNAL: 500,
}
"""HTTP status of each gRPC status."""


class ServingError(Exception):
    """Error that the server reports to the client.

    Args:
        code: name of the gRPC status, a key of `HTTP_STATUSES`.
        message: message for the client.
        status: HTTP status, if it differs from `HTTP_STATUSES[code]`.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        message = message if len(message) <= MAX_MESSAGE_LENGTH else message[:MAX_MESSAGE_LENGTH] + " …"
        super().__init__(message)
        self.code, self.message, self.status = code, message, status or HTTP_STATUSES[code]


class VersionUnavailable(ServingError):
    """A version exists in the repository, but it is not loaded yet, or is already being unloaded."""


def from_tensorflow_error(error: tf.errors.OpError, request: Mapping[str, np.ndarray]) -> ServingError:
    """Converts an error inside a model to a full queue, an invalid request, or an internal error of the server.

    Args:
        error: the error.
        request: inputs of the request, which the message describes.
    """
    message = error.message.strip()
    if isinstance(error, tf.errors.UnavailableError):
        return ServingError(RESOURCE_EXHAUSTED, f"The queue is full ({message}). Try again later.")
    if "assertion failed:" in message:
        return ServingError(INVALID_ARGUMENT, _assertion_message(message))
    cause = _cause(message)
    if isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)):
        inputs = ", ".join(f"{name} {_shape(value)}" for name, value in sorted(request.items()))
        return ServingError(
            INVALID_ARGUMENT, f"The model cannot compute these inputs: {cause}. Check their shapes and values: {inputs}"
        )
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return ServingError(
            RESOURCE_EXHAUSTED,
            f"The request needs more memory than is available ({cause}). Send fewer or shorter rows.",
        )
    return ServingError(INTERNAL, cause)


def _assertion_message(message: str) -> str:
    """Returns the message of an assertion in the model, which TensorFlow puts in brackets after its own words."""
    return (
        message.split("assertion failed:", 1)[1].split("\n")[0].strip().strip("[]'\" ").replace("] [", ". Received: ")
    )


def _cause(message: str) -> str:
    """Returns the line of a message of TensorFlow that states the cause, without names of nodes in the graph."""
    for line in message.splitlines():
        text = NODE_NAMES.sub("", line).strip().rstrip(".")
        if text and not text.startswith(NODE_LINES):
            return text
    return "the graph reports no cause"


def _shape(value: np.ndarray) -> str:
    return "(" + ", ".join(map(str, value.shape)) + ")"
