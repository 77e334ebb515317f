"""Errors of a graph name the inputs and the cause, and no node of the graph."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.serving.batching import Batcher, Batching
from shared.serving.errors import from_tensorflow_error

REQUEST = {"price": np.ones((2, 40), np.float32), "volume": np.ones((2, 39), np.float32)}
SPEC = tf.TensorSpec([None, None], tf.float32)


class Adder(tf.Module):
    @tf.function
    def add(self, price, volume):
        return {"sum": price + volume}


def graph_error(text):
    return from_tensorflow_error(tf.errors.InvalidArgumentError(None, None, text), REQUEST)


@pytest.mark.parametrize(
    "text",
    [
        "Graph execution error:\n\nDetected at node days_1/And_3 defined at (most recent call last):\n"
        "<stack traces unavailable>\nIncompatible shapes: [2,39] vs. [2,40]\n"
        "\t [[{{function_node __inference_<lambda>_5854}}{{node days_1/And_3}}]] [Op:__inference_signature_wrapper_5889]",
        "{{function_node __wrapped__AddV2_device_/job:localhost}} Incompatible shapes: [2,39] vs. [2,40] [Op:AddV2] name: ",
    ],
)
def test_the_message_has_the_cause_and_the_shapes_of_the_inputs(text):
    error = graph_error(text)
    assert error.status == 400
    assert "Incompatible shapes: [2,39] vs. [2,40]" in error.message
    assert "price (2, 40), volume (2, 39)" in error.message
    for word in ("node", "[[", "Op:", "Graph execution", "lambda"):
        assert word not in error.message


def test_an_assertion_of_the_model_is_the_whole_message():
    text = "Graph execution error:\n\nx\nassertion failed: [price must be above 0] [0]\n\t [[{{node Assert}}]]"
    assert graph_error(text).message == "price must be above 0. Received: 0"


def test_shapes_that_cannot_be_traced_are_errors_of_the_request(tmp_path):
    """The second request of a shape builds its queue, which fails if the shapes do not fit together."""
    module = Adder()
    signature = module.add.get_concrete_function(price=SPEC, volume=SPEC)
    tf.saved_model.save(module, str(tmp_path), signatures={"serving_default": signature})
    loaded = tf.saved_model.load(str(tmp_path))
    batcher = Batcher(loaded.signatures["serving_default"], Batching())
    if not batcher.is_batched:  # its outputs have a variable size
        batcher.is_batched = True
    for _ in range(3):
        with pytest.raises(tf.errors.InvalidArgumentError):
            batcher(REQUEST)
    valid = {"price": REQUEST["price"], "volume": REQUEST["price"]}
    for _ in range(3):
        assert (batcher(valid)["sum"] == 2).all()
