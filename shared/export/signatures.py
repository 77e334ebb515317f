"""Signatures built from an example request, and a check whether requests to them can be batched."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from shared.task import Signature


def make_signature(function: Any, request: Mapping[str, np.ndarray], fixed: Sequence[str] = ()) -> Signature:
    """Returns a signature whose inputs have the dtypes and ranks of an example request; the size of each axis is variable.

    Args:
        function: from tensors, passed by name, to outputs by name.
        request: arrays by input name; object arrays hold strings.
        fixed: inputs whose last axis has the size in the request, such as a state.
    """
    inputs = {}
    for name, value in request.items():
        shape = [None] * (value.ndim - 1) + [value.shape[-1]] if name in fixed else [None] * value.ndim
        dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        inputs[name] = tf.TensorSpec(shape, dtype, name=name)
    return Signature(function, inputs, dict(request))


def has_uniform_rows(function: Any) -> bool:
    """Returns True if only the batch size of all inputs and outputs is variable, so that any requests can be batched.

    Args:
        function: TensorFlow concrete function from tensors to outputs by name.
    """
    specs = [*function.inputs[: len(function.structured_input_signature[0])], *function.structured_outputs.values()]
    return all(map(has_fixed_row_shape, specs))


def has_fixed_row_shape(spec: Any) -> bool:
    """Returns True if every axis of a tensor except the first has a fixed size."""
    return spec.shape.rank is not None and None not in spec.shape.as_list()[1:]
