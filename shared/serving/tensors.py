"""Requests and answers in JSON, as TensorFlow Serving's REST interface has them.

    {"instances": [{"text": "good"}, {"text": "bad"}]}      rows, an object each, or the bare value of a single input
    {"inputs": {"text": ["good", "bad"]}}                   columns
    {"b64": "aGVsbG8="}                                     bytes, in place of a string

Numbers may be NaN, Infinity and -Infinity, which JSON proper does not know; a number too great for its kind is refused.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from shared.serving.errors import INVALID, ServingError
from shared.serving.models import check_names

ROWS, COLUMNS = "instances", "inputs"
BYTES = "_bytes"
"""What ends the name of an output that holds bytes, no text."""


class _Token(float):
    """NaN, Infinity or -Infinity, written so; a plain infinite number is one that was too great."""


def parsed(body: bytes) -> dict[str, Any]:
    """Returns a request's JSON object.

    Raises:
        ServingError: it is none.
    """
    try:
        found = json.loads(body, parse_constant=_Token)
    except (ValueError, RecursionError) as error:
        raise ServingError(INVALID, f"JSON Parse error: {str(error) or 'nested too deeply'}") from error
    if not isinstance(found, dict):
        raise ServingError(INVALID, "Request should be a JSON object.")
    return found


def request_of(body: Mapping[str, Any], inputs: Mapping[str, tf.TensorSpec]) -> tuple[dict[str, np.ndarray], bool]:
    """Returns arrays by the inputs' names, and whether the request is in rows.

    Args:
        body: from `parsed`.
        inputs: of the signature.

    Raises:
        ServingError: the request is neither in rows nor in columns, or its values do not fit.
    """
    if (ROWS in body) == (COLUMNS in body):
        raise ServingError(INVALID, f'Expected one of "{ROWS}" and "{COLUMNS}" in the request.')
    if COLUMNS in body:
        return {
            name: _array(value, name, inputs[name]) for name, value in _columns(body[COLUMNS], inputs).items()
        }, False
    rows = _rows(body[ROWS], inputs)
    return {name: _array([row[name] for row in rows], name, spec) for name, spec in inputs.items()}, True


def _columns(value: Any, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    if not isinstance(value, dict) or _is_bytes(value):
        if len(inputs) != 1:
            raise ServingError(INVALID, f'"{COLUMNS}" should be an object with {", ".join(sorted(inputs))}.')
        return {next(iter(inputs)): value}
    check_names(set(value), inputs, f'"{COLUMNS}": ')
    return value


def _rows(values: Any, inputs: Mapping[str, tf.TensorSpec]) -> list[dict[str, Any]]:
    if not isinstance(values, list) or not values:
        raise ServingError(INVALID, f'"{ROWS}" should be a list of one row at least.')
    objects = [isinstance(value, dict) and not _is_bytes(value) for value in values]
    if not any(objects):
        if len(inputs) != 1:
            raise ServingError(INVALID, f'Each of "{ROWS}" should be an object with {", ".join(sorted(inputs))}.')
        return [{next(iter(inputs)): value} for value in values]
    if not all(objects):
        raise ServingError(INVALID, f'"{ROWS}" mixes objects and bare values.')
    for k, value in enumerate(values):
        check_names(set(value), inputs, f'"{ROWS}", row {k}: ')
    return values


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _array(value: Any, name: str, spec: tf.TensorSpec) -> np.ndarray:
    """Returns a value as an array of the kind and rank of the input."""
    shape: list[int] = []
    flat = _flat(value, spec.shape.rank, shape, name)
    kind = spec.dtype.as_numpy_dtype
    if spec.dtype == tf.string:
        values = np.empty(len(flat), object)
        values[:] = [_string(item, name) for item in flat]
        return values.reshape(shape)
    wanted = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}[np.dtype(kind).kind]
    for item in flat:
        if not isinstance(item, wanted) or (isinstance(item, bool) and bool not in wanted):
            raise ServingError(INVALID, f'Input "{name}" is {spec.dtype.name}. Received: {json.dumps(item)[:60]}')
    try:
        with np.errstate(over="ignore"):
            values = np.array(flat, kind)
    except OverflowError as error:
        raise ServingError(INVALID, f'Input "{name}" holds a number that is no {spec.dtype.name}.') from error
    if spec.dtype.is_floating and any(type(flat[k]) is not _Token for k in np.flatnonzero(np.isinf(values))):
        raise ServingError(INVALID, f'Input "{name}" holds a number too great for {spec.dtype.name}.')
    return values.reshape(shape)


def _flat(value: Any, rank: int, shape: list[int], name: str) -> list[Any]:
    """Returns the items of nested lists, and appends their sizes to `shape`."""
    level = [value]
    for _ in range(rank):
        if not all(isinstance(item, list) for item in level):
            raise ServingError(INVALID, f'Input "{name}" should be lists nested {rank} deep.')
        sizes = {len(item) for item in level}
        if len(sizes) != 1:
            raise ServingError(INVALID, f'Input "{name}" holds lists of different lengths: {sorted(sizes)}.')
        shape.append(sizes.pop())
        level = [inner for item in level for inner in item]
        if not level:
            shape += [0] * (rank - len(shape))
            return []
    return level


def _string(value: Any, name: str) -> bytes:
    if _is_bytes(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise ServingError(INVALID, f'Input "{name}": "b64" is no base64 ({error}).') from error
    if not isinstance(value, str):
        raise ServingError(INVALID, f'Input "{name}" is string. Received: {json.dumps(value)[:60]}')
    return value.encode("utf-8", errors="surrogatepass")


def answer_of(outputs: Mapping[str, np.ndarray], in_rows: bool) -> bytes:
    """Returns answers as JSON, in rows or columns as they were asked for.

    Raises:
        ServingError: rows are asked for, and the outputs have different numbers of them.
    """
    columns = {name: _plain(value, name) for name, value in outputs.items()}
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if not in_rows:
        return encoded({"outputs": columns if single is None else single})
    sizes = {len(value) if isinstance(value, list) else None for value in columns.values()}
    if len(sizes) != 1 or None in sizes:
        raise ServingError(INVALID, f'The outputs differ in their number of rows: ask in columns, with "{COLUMNS}".')
    if single is not None:
        return encoded({"predictions": single})
    rows = zip(*columns.values(), strict=True)
    return encoded({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _plain(value: np.ndarray, name: str) -> Any:
    if value.dtype != object:
        return value.tolist()
    told = [_told(item, name) for item in value.ravel()]
    texts = np.empty(len(told), object)
    texts[:] = told
    return texts.reshape(value.shape).tolist()


def _told(value: bytes, name: str) -> Any:
    if name.endswith(BYTES):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode("utf-8", errors="replace")


def encoded(value: Any) -> bytes:
    """Returns JSON in UTF-8, whatever a caller's strings hold."""
    return json.dumps(value, ensure_ascii=False).encode("utf-8", errors="replace")
