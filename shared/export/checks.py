"""Checks of inputs in the graph of a signature: they hold in every server, and their errors name the input.

make_signature(checked(forecast, same_shape("open", "close"), finite("close")), request)
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import tensorflow as tf

MAX_SHOWN_VALUES = 3
Tensors = Mapping[str, tf.Tensor]
Check = Callable[[Tensors], Iterator[tuple[tf.Tensor, str, tf.Tensor]]]
"""From the inputs to triples: whether an input is valid, the message if not, and the received value that the message shows."""


def require(value: tf.Tensor, is_valid: tf.Tensor, message: str) -> tf.Tensor:
    """Returns the value if all of `is_valid` is True, or else raises an error with the message and the value."""
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(is_valid), [message, value])]):
        return tf.identity(value)


def checked(function: Callable[..., Any], *checks: Check) -> Callable[..., Any]:
    """Returns a function that checks its inputs, given by name, before it calls `function`.

    Args:
        function: from inputs by name to outputs by name.
        checks: the checks, in the order of their errors: each runs only after the ones before.
    """

    def run(**inputs: tf.Tensor) -> Any:
        for check in checks:
            assertions = [
                tf.debugging.Assert(tf.reduce_all(is_valid), [message, value])
                for is_valid, message, value in check(inputs)
            ]
            with tf.control_dependencies(assertions):
                inputs = {name: tf.identity(value) for name, value in inputs.items()}
        return function(**inputs)

    return run


def same_shape(first: str, *names: str) -> Check:
    """Returns a check that inputs have the shape of the first one."""

    def check(inputs: Tensors) -> Iterator[tuple[tf.Tensor, str, tf.Tensor]]:
        expected = tf.shape(inputs[first])
        for name in names:
            received = tf.shape(inputs[name])
            yield received == expected, f"{name} must have the same shape as {first}", received

    return check


def finite(*names: str) -> Check:
    """Returns a check that inputs have no NaN and no infinite number."""
    return _each(names, lambda values: tf.math.is_finite(values), "must be finite")


def not_infinite(*names: str) -> Check:
    """Returns a check that inputs have no infinite number; NaN stands for an unknown value."""
    return _each(names, lambda values: ~tf.math.is_inf(values), "must be finite, or NaN if it is unknown")


def between(name: str, minimum: int, maximum_of: str) -> Check:
    """Returns a check that the integers of an input are from a minimum to the size of the second axis of another input."""

    def check(inputs: Tensors) -> Iterator[tuple[tf.Tensor, str, tf.Tensor]]:
        values = inputs[name]
        is_valid = (values >= minimum) & (values <= tf.shape(inputs[maximum_of], values.dtype)[1])
        message = f"{name} must be from {minimum} to the size of the second axis of {maximum_of}"
        yield is_valid, message, invalid_values(values, is_valid)

    return check


def above_zero(name: str, length: str | None = None) -> Check:
    """Returns a check that the numbers of an input are finite and above 0.

    Args:
        name: name of the input.
        length: name of the input with the number of real steps of each row; later steps are not checked. None checks all.
    """

    def check(inputs: Tensors) -> Iterator[tuple[tf.Tensor, str, tf.Tensor]]:
        values = inputs[name]
        is_valid = tf.math.is_finite(values) & (values > 0)
        if length is not None:
            is_valid |= ~tf.sequence_mask(inputs[length], tf.shape(values)[1])
        yield is_valid, f"{name} must be finite and above 0", invalid_values(values, is_valid)

    return check


def invalid_values(values: tf.Tensor, is_valid: tf.Tensor) -> tf.Tensor:
    """Returns the first invalid values, for a message."""
    return tf.boolean_mask(values, ~is_valid)[:MAX_SHOWN_VALUES]


def _each(names: tuple[str, ...], is_valid_value: Callable[[tf.Tensor], tf.Tensor], rule: str) -> Check:
    def check(inputs: Tensors) -> Iterator[tuple[tf.Tensor, str, tf.Tensor]]:
        for name in names:
            if name in inputs:
                is_valid = is_valid_value(inputs[name])
                yield is_valid, f"{name} {rule}", invalid_values(inputs[name], is_valid)

    return check
