"""What a signature takes, by the request that shows its form."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from shared.task import Signature


def make_signature(function: Any, request: Mapping[str, np.ndarray], fixed: Sequence[str] = ()) -> Signature:
    """Returns an signature whose inputs have the kinds and ranks of a request, and any size along each axis.

    Args:
        function: from tensors, by name, to named outputs.
        request: arrays by the inputs' names; objects are strings.
        fixed: inputs whose last axis has the request's size, such as a state.
    """
    inputs = {}
    for name, value in request.items():
        shape = [None] * (value.ndim - 1) + [value.shape[-1]] if name in fixed else [None] * value.ndim
        kind = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        inputs[name] = tf.TensorSpec(shape, kind, name=name)
    return Signature(function, inputs, dict(request))


def has_uniform_rows(function: Any) -> bool:
    """Tells whether all rows of a function's inputs have one shape, and all of its answers: then any requests can be joined, and
    none can tell its neighbours.

    Args:
        function: a concrete function of TensorFlow's, from tensors to outputs by name.
    """
    specs = [*function.inputs[: len(function.structured_input_signature[0])], *function.structured_outputs.values()]
    return all(map(has_fixed_row_shape, specs))


def has_fixed_row_shape(spec: Any) -> bool:
    """Tells whether all rows of a tensor of this form have one shape."""
    return spec.shape.rank is not None and None not in spec.shape.as_list()[1:]
