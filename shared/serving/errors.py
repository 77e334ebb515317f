"""Errors of the server: a message for the client, with a gRPC status and an HTTP status."""

from __future__ import annotations

import tensorflow as tf

INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE = "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE"
RESOURCE_EXHAUSTED, DEADLINE_EXCEEDED, INTERNAL = "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"
MAX_MESSAGE_LENGTH = 1000  # characters; a message may repeat input of the client
HTTP_STATUSES = {
    INVALID_ARGUMENT: 400,
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


def from_tensorflow_error(error: tf.errors.OpError) -> ServingError:
    """Converts an error inside a model to a full queue, an invalid request, or an internal error of the server."""
    message = error.message.strip()
    if isinstance(error, tf.errors.UnavailableError):
        return ServingError(RESOURCE_EXHAUSTED, f"The queue is full ({message}). Try again later.")
    if isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)):
        return ServingError(INVALID_ARGUMENT, _assertion_message(message))
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return ServingError(
            RESOURCE_EXHAUSTED,
            f"The request needs more memory than is available ({message.splitlines()[0]}). Send fewer or shorter rows.",
        )
    return ServingError(INTERNAL, message.splitlines()[0])


def _assertion_message(message: str) -> str:
    """Returns the message of an assertion in the model, which TensorFlow puts in brackets after its own words."""
    if "assertion failed:" not in message:
        return message.splitlines()[0]
    return message.split("assertion failed:", 1)[1].split("\n")[0].strip().strip("[]'\" ").replace("] [", " Received: ")
