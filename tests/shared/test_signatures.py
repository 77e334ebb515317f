"""A signature's inputs have the kinds and ranks of the request that shows its form."""

from __future__ import annotations

import numpy as np

from shared.signatures import endpoint_of, rows_alike


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


def test_requests_can_be_joined_where_only_the_number_of_rows_is_free():
    rows, steps = np.zeros(2, np.int32), np.zeros((2, 3), np.float32)
    assert rows_alike(endpoint_of(None, {"k": rows, "memory": steps}, fixed=("memory",)))
    assert not rows_alike(endpoint_of(None, {"k": rows, "samples": steps}))
