"""`shared.export.signatures`: the inputs of a signature have the dtypes and ranks of its example request."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.export.signatures import has_uniform_rows, make_signature


def test_inputs_have_variable_axes_except_the_last_axis_of_fixed_inputs():
    request = {
        "text": np.array(["a"], object),
        "price": np.zeros((2, 5), np.float32),
        "state": np.zeros((2, 7), np.float32),
    }
    signature = make_signature(dict, request, fixed=("state",))
    shapes = {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in signature.inputs.items()}
    assert shapes == {"text": ("string", [None]), "price": ("float32", [None, None]), "state": ("float32", [None, 7])}
    assert signature.example_request["price"] is request["price"]


@pytest.mark.parametrize(
    ("input_shapes", "compute_output", "expected"),
    [
        ([[None], [None, 3]], lambda k, x: x + 1, True),
        ([[None], [None, None]], lambda k, x: x[:, 0], False),  # input rows of variable length
        (
            [[None], [None, 3]],
            lambda k, x: tf.repeat(x, tf.cast(k[0], tf.int32), axis=1),
            False,
        ),  # output rows of variable length
    ],
)
def test_requests_can_be_batched_if_only_the_batch_size_is_variable(input_shapes, compute_output, expected):
    specs = [tf.TensorSpec(shape, tf.float32) for shape in input_shapes]
    function = tf.function(lambda *tensors: {"output": compute_output(*tensors)}, input_signature=specs)
    assert has_uniform_rows(function.get_concrete_function()) is expected
