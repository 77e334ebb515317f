"""Checks in the graph name the input and the value, before any other operation can fail."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.export.checks import above_zero, between, checked, finite, not_infinite, same_shape


def multiply(**inputs):
    return {"product": inputs["price"] * inputs["volume"]}


CHECKED = checked(
    multiply,
    same_shape("price", "volume"),
    between("length", 1, "price"),
    above_zero("price", "length"),
    finite("volume", "missing"),
)
VALID = {"price": [[1.0, 2.0, 0.0]], "volume": [[5.0, 0.0, -1.0]], "length": [2]}


def call(**changes):
    values = {name: tf.constant(value) for name, value in {**VALID, **changes}.items()}
    specs = {name: tf.TensorSpec([None] * len(value.shape), value.dtype) for name, value in values.items()}
    return tf.function(CHECKED).get_concrete_function(**specs)(**values)["product"].numpy()


def test_valid_inputs_pass_also_with_padding():
    np.testing.assert_array_equal(call(), [[5, 0, 0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"volume": [[1.0, 2.0]]}, "volume must have the same shape as price"),
        ({"length": [4]}, "length must be from 1 to the size of the second axis of price"),
        ({"length": [0]}, "length must be from 1"),
        ({"price": [[1.0, 0.0, 1.0]]}, "price must be finite and above 0"),
        ({"price": [[np.nan, 1.0, 1.0]]}, "price must be finite and above 0"),
        ({"price": [[1.0, np.inf, 1.0]]}, "price must be finite and above 0"),
        ({"volume": [[1.0, np.nan, 1.0]]}, "volume must be finite"),
    ],
)
def test_an_invalid_input_is_an_error_that_names_it(changes, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        call(**changes)


def test_nan_may_stand_for_an_unknown_value():
    function = checked(lambda **inputs: inputs["open"], not_infinite("open"))
    assert np.isnan(function(open=tf.constant([np.nan]))).all()
    with pytest.raises(tf.errors.InvalidArgumentError, match="open must be finite, or NaN if it is unknown"):
        function(open=tf.constant([-np.inf]))
