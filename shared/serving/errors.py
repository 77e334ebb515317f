"""Requests that cannot be answered."""

from __future__ import annotations

import tensorflow as tf

INVALID, NOT_FOUND, UNAVAILABLE = "INVALID_ARGUMENT", "NOT_FOUND", "UNAVAILABLE"
EXHAUSTED, TOO_LATE, INTERNAL = "RESOURCE_EXHAUSTED", "DEADLINE_EXCEEDED", "INTERNAL"
LONGEST = 1000  # characters of a message: it may repeat what a caller sent
HTTP = {INVALID: 400, NOT_FOUND: 404, UNAVAILABLE: 503, EXHAUSTED: 503, TOO_LATE: 504, INTERNAL: 500}
"""Statuses of HTTP by gRPC's names."""


class ServingError(Exception):
    """Tells a caller why there is no answer.

    Args:
        code: gRPC's name of the status, a key of `HTTP`.
        message: for the caller.
        status: of HTTP, where it is another than the code's.
    """

    def __init__(self, code: str, message: str, status: int | None = None) -> None:
        message = message if len(message) <= LONGEST else message[:LONGEST] + " …"
        super().__init__(message)
        self.code, self.message, self.status = code, message, status or HTTP[code]


class Gone(ServingError):
    """A version that was found is not there any more, or not yet."""


def of_tensorflow(error: tf.errors.OpError) -> ServingError:
    """Returns what a failure inside a model means to the caller: a full queue, a bad request, or a fault of the server's."""
    message = error.message.strip()
    if isinstance(error, tf.errors.UnavailableError):
        return ServingError(EXHAUSTED, f"The queue is full ({message}). Try again later.")
    if isinstance(error, (tf.errors.InvalidArgumentError, tf.errors.OutOfRangeError)):
        return ServingError(INVALID, _asserted(message))
    if isinstance(error, tf.errors.ResourceExhaustedError):
        return ServingError(EXHAUSTED, f"The request needs more memory than there is ({message.splitlines()[0]}).")
    return ServingError(INTERNAL, message.splitlines()[0])


def _asserted(message: str) -> str:
    """Returns the words of a model's own assertion, which stand in brackets behind TensorFlow's."""
    if "assertion failed:" not in message:
        return message.splitlines()[0]
    return message.split("assertion failed:", 1)[1].split("\n")[0].strip().strip("[]'\" ").replace("] [", " Received: ")
