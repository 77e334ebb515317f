"""A stamp in the state of `step`, by which a model recognizes states of another version.

A state has a meaning only for the model that made it. The server keeps no state, so a client could hand the state of one version to
the next: the outputs would be wrong without an error. The last number of an exported state is therefore a fingerprint of the model.
The check is part of the graph, so it works in every server.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from typing import Any

import keras
import tensorflow as tf

MAX_FINGERPRINT = 2**24 - 1  # float32 represents integers exactly up to here
STAMP_SIZE = 1
"""Number of columns that the stamp adds to a state."""


def fingerprint(model: keras.Model, metadata: Mapping[str, Any]) -> int:
    """Returns a number from 1 to 2^24 - 1 that depends on the weights and the metadata of a model."""
    digest = hashlib.sha256(json.dumps(metadata, sort_keys=True, default=str).encode())
    for weight in model.get_weights():
        digest.update(weight.tobytes())
    return 1 + int.from_bytes(digest.digest()[:8], "big") % MAX_FINGERPRINT


class StateStamp:
    """Adds the stamp to states, and checks it.

    Args:
        model: the exported model.
        metadata: metadata of the model.
        name: name of the state among the inputs and outputs, float32 `(batch, state size)`.
    """

    def __init__(self, model: keras.Model, metadata: Mapping[str, Any], name: str = "state") -> None:
        self.name, self.fingerprint = name, fingerprint(model, metadata)

    def step(self, function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Returns a function whose input and output state have a stamp, from a function on states without one."""

        def stamped_step(**inputs: Any) -> dict[str, Any]:
            return self.outputs(function)(**{**inputs, self.name: self._remove(inputs[self.name])})

        return stamped_step

    def outputs(self, function: Callable[..., dict[str, Any]]) -> Callable[..., dict[str, Any]]:
        """Returns a function whose output state has a stamp."""

        def stamped(**inputs: Any) -> dict[str, Any]:
            outputs = function(**inputs)
            return {**outputs, self.name: self._add(outputs[self.name])}

        return stamped

    def _add(self, state: tf.Tensor) -> tf.Tensor:
        """Returns a state with its stamp; the state of a new stream, zeros, gets the stamp 0."""
        is_new = tf.reduce_all(state == 0, axis=1, keepdims=True)
        stamp = tf.where(is_new, 0.0, tf.constant(float(self.fingerprint), tf.float32))
        return tf.concat([state, stamp], axis=1)

    def _remove(self, stamped: tf.Tensor) -> tf.Tensor:
        """Returns a state without its stamp, or raises an error in the graph."""
        state, stamp = stamped[:, :-STAMP_SIZE], stamped[:, -STAMP_SIZE:]
        is_new = tf.reduce_all(stamped == 0, axis=1, keepdims=True)
        messages = {
            f"{self.name} is from another version of this model. Send all requests of a stream to the version that made its first "
            "state (REST: /versions/N in the path; gRPC: model_spec.version), or begin again with zeros": (
                is_new | (stamp == float(self.fingerprint))
            ),
            f"{self.name} must be finite": tf.math.is_finite(state),
        }
        assertions = [tf.debugging.Assert(tf.reduce_all(valid), [message]) for message, valid in messages.items()]
        with tf.control_dependencies(assertions):
            return tf.identity(state)
