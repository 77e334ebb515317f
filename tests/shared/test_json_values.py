"""Every value of a report can be written as strict JSON."""

import json

import numpy as np

from shared.json_values import json_ready


def test_nan_and_infinity_become_null():
    ready = json_ready({"a": [float("nan"), 1.5], "b": {"c": float("inf")}, "d": (1, "x")})
    assert json.loads(json.dumps(ready, allow_nan=False)) == {"a": [None, 1.5], "b": {"c": None}, "d": [1, "x"]}


def test_arrays_and_bytes_become_lists_and_text():
    ready = json_ready({"a": np.array([1.0, np.nan], np.float32), "b": "é".encode(), "c": np.int64(3)})
    assert json.loads(json.dumps(ready, allow_nan=False)) == {"a": [1.0, None], "b": "é", "c": 3}
