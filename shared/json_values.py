"""Values for JSON: NaN and infinity become null, arrays become lists, dates become text."""

from __future__ import annotations

import datetime
import json
import math
from collections.abc import Mapping
from typing import Any

LINE_SEPARATORS = str.maketrans({"\x85": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
"""Characters that some programs take for the end of a line; JSON does not escape them."""


def to_json_line(value: Any) -> str:
    """Returns a value as one line of JSON, not escaped; NaN and infinity become null, and bytes that were not UTF-8 U+FFFD."""
    text = json.dumps(json_ready(value), ensure_ascii=False, allow_nan=False)
    return printable(text.translate(LINE_SEPARATORS))


def printable(text: str) -> str:
    """Returns text with U+FFFD in place of bytes that were not UTF-8 (Python's surrogate escapes)."""
    return text.encode(errors="surrogateescape").decode(errors="replace") if not text.isascii() else text


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
    if hasattr(value, "tolist"):
        return json_ready(value.tolist())
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, (datetime.date, datetime.time)):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value
