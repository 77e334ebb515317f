"""A signature's inputs have the kinds and ranks of the request that shows its form."""

from __future__ import annotations

import numpy as np

from shared.signatures import endpoint_of


def test_inputs_are_of_any_size_but_for_those_that_are_fixed():
    request = {
        "text": np.array(["a"], object),
        "price": np.zeros((2, 5), np.float32),
        "memory": np.zeros((2, 7), np.float32),
    }
    endpoint = endpoint_of(dict, request, fixed=("memory",))
    shapes = {name: (spec.dtype.name, spec.shape.as_list()) for name, spec in endpoint.inputs.items()}
    assert shapes == {"text": ("string", [None]), "price": ("float32", [None, None]), "memory": ("float32", [None, 7])}
    assert endpoint.request["price"] is request["price"]
