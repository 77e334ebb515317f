"""Values for JSON: NaN and infinity become null, arrays become lists."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np


def json_ready(value: Any) -> Any:
    """Returns a value that `json.dumps(..., allow_nan=False)` accepts.

    Args:
        value: nested mappings, lists and tuples of numbers, strings, bytes (UTF-8) and NumPy values. NaN and infinity, such as a
            metric that is not defined on the data, become None.
    """
    if isinstance(value, Mapping):
        return {key: json_ready(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [json_ready(item) for item in value]
    if isinstance(value, (np.ndarray, np.generic)):
        return json_ready(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8")
    return None if isinstance(value, float) and not math.isfinite(value) else value
