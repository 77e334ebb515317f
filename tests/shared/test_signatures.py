"""A signature's inputs have the kinds and ranks of the request that shows its form."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.signatures import has_uniform_rows, make_signature


def test_inputs_are_of_any_size_but_for_those_that_are_fixed():
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
    ("inputs", "answer", "alike"),
    [
        ([[None], [None, 3]], lambda k, x: x + 1, True),
        ([[None], [None, None]], lambda k, x: x[:, 0], False),  # rows of different lengths
        (
            [[None], [None, 3]],
            lambda k, x: tf.repeat(x, tf.cast(k[0], tf.int32), axis=1),
            False,
        ),  # answers as wide as asked for
    ],
)
def test_requests_can_be_joined_where_only_the_number_of_rows_is_free(inputs, answer, alike):
    specs = [tf.TensorSpec(shape, tf.float32) for shape in inputs]
    function = tf.function(lambda *given: {"answer": answer(*given)}, input_signature=specs)
    assert has_uniform_rows(function.get_concrete_function()) is alike
