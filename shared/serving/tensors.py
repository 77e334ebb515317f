"""JSON requests to arrays, and outputs to JSON responses, in the format of TensorFlow Serving's REST API.

    {"instances": [{"text": "good"}, {"text": "bad"}]}      rows: one object each, or the bare value of a single input
    {"inputs": {"text": ["good", "bad"]}}                   columns
    {"b64": "aGVsbG8="}                                     bytes, instead of a string

JSON has no NaN and no infinity. A number of a response that is not finite is null, and null in a request is NaN. Requests may also
have NaN, Infinity and -Infinity. A number outside the range of its dtype is an error.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from shared.serving.errors import INVALID_ARGUMENT, ServingError
from shared.serving.models import validate_names

ROWS, COLUMNS = "instances", "inputs"
BYTES_SUFFIX = "_bytes"
"""Suffix of the names of outputs that contain bytes, not text."""
MAX_VALUE_LENGTH = 60  # characters of a value in an error message


class _Constant(float):
    """NaN, Infinity or -Infinity, written literally; any other infinite number results from an overflow."""


NAN = _Constant("nan")


def parse_body(body: bytes) -> dict[str, Any]:
    """Returns the JSON object of a request.

    Raises:
        ServingError: the body is not a JSON object.
    """
    try:
        content = json.loads(body, parse_constant=_Constant)
    except (ValueError, RecursionError) as error:
        raise ServingError(INVALID_ARGUMENT, f"JSON Parse error: {str(error) or 'nested too deeply'}") from error
    if not isinstance(content, dict):
        raise ServingError(INVALID_ARGUMENT, "Request must be a JSON object.")
    return content


def decode_request(
    content: Mapping[str, Any], inputs: Mapping[str, tf.TensorSpec]
) -> tuple[dict[str, np.ndarray], bool]:
    """Converts a JSON request to arrays.

    Args:
        content: JSON object from `parse_body`.
        inputs: inputs of the signature.

    Returns:
        The arrays by input name, and whether the request is in rows.

    Raises:
        ServingError: the request is neither in rows nor in columns, or its values do not match the inputs.
    """
    if (ROWS in content) == (COLUMNS in content):
        raise ServingError(INVALID_ARGUMENT, f'The request must have one of "{ROWS}" and "{COLUMNS}".')
    if COLUMNS in content:
        columns = _read_columns(content[COLUMNS], inputs)
        return {name: _to_array(value, name, inputs[name]) for name, value in columns.items()}, False
    rows = _read_rows(content[ROWS], inputs)
    return {name: _to_array([row[name] for row in rows], name, spec) for name, spec in inputs.items()}, True


def _read_columns(value: Any, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    if not isinstance(value, dict) or _is_bytes(value):
        if len(inputs) != 1:
            raise ServingError(INVALID_ARGUMENT, f'"{COLUMNS}" must be an object with {", ".join(sorted(inputs))}.')
        return {next(iter(inputs)): value}
    validate_names(value, inputs, f'"{COLUMNS}": ')
    return value


def _read_rows(values: Any, inputs: Mapping[str, tf.TensorSpec]) -> list[dict[str, Any]]:
    if not isinstance(values, list) or not values:
        raise ServingError(INVALID_ARGUMENT, f'"{ROWS}" must be a list with at least one row.')
    are_objects = [isinstance(value, dict) and not _is_bytes(value) for value in values]
    if not any(are_objects):
        if len(inputs) != 1:
            raise ServingError(
                INVALID_ARGUMENT, f'Each row of "{ROWS}" must be an object with {", ".join(sorted(inputs))}.'
            )
        return [{next(iter(inputs)): value} for value in values]
    if not all(are_objects):
        raise ServingError(INVALID_ARGUMENT, f'"{ROWS}" mixes objects and bare values. Use only one of them.')
    for k, value in enumerate(values):
        validate_names(value, inputs, f'"{ROWS}", row {k}: ')
    return values


def _is_bytes(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"}


def _to_array(value: Any, name: str, spec: tf.TensorSpec) -> np.ndarray:
    """Converts a JSON value to an array with the dtype and rank of the input."""
    items, shape = _flatten(value, spec.shape.rank, name)
    if spec.dtype == tf.string:
        values = np.empty(len(items), object)
        values[:] = [_to_bytes(item, name) for item in items]
        return values.reshape(shape)
    dtype = np.dtype(spec.dtype.as_numpy_dtype)
    if dtype.kind == "f" and None in items:
        items = [NAN if item is None else item for item in items]
    python_types = {"f": (int, float), "i": (int,), "u": (int,), "b": (bool,)}[dtype.kind]
    for item in items:
        if not isinstance(item, python_types) or (isinstance(item, bool) and bool not in python_types):
            raise _wrong_type(item, name, spec.dtype.name)
    try:
        with np.errstate(over="ignore"):
            values = np.array(items, dtype)
    except OverflowError as error:
        raise _out_of_range(name, spec.dtype.name) from error
    if spec.dtype.is_floating and any(type(items[k]) is not _Constant for k in np.flatnonzero(np.isinf(values))):
        raise _out_of_range(name, spec.dtype.name)
    return values.reshape(shape)


def _wrong_type(value: Any, name: str, dtype: str) -> ServingError:
    received = json.dumps(value)[:MAX_VALUE_LENGTH]
    return ServingError(INVALID_ARGUMENT, f'Input "{name}" must be {dtype}. Received: {received}')


def _out_of_range(name: str, dtype: str) -> ServingError:
    return ServingError(INVALID_ARGUMENT, f'Input "{name}" has a number outside the range of {dtype}.')


def _flatten(value: Any, rank: int, name: str) -> tuple[list[Any], list[int]]:
    """Returns the items of nested lists, and the shape of these lists."""
    shape: list[int] = []
    items = [value]
    for _ in range(rank):
        if not all(isinstance(item, list) for item in items):
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}" must be lists nested {rank} deep.')
        sizes = {len(item) for item in items}
        if len(sizes) != 1:
            raise ServingError(
                INVALID_ARGUMENT, f'Input "{name}" has lists of different lengths: {sorted(sizes)}. Pad them.'
            )
        shape.append(sizes.pop())
        items = [inner for item in items for inner in item]
        if not items:
            return [], shape + [0] * (rank - len(shape))
    return items, shape


def _to_bytes(value: Any, name: str) -> bytes:
    if _is_bytes(value):
        try:
            return base64.b64decode(value["b64"], validate=True)
        except (binascii.Error, ValueError, TypeError) as error:
            raise ServingError(INVALID_ARGUMENT, f'Input "{name}": "b64" is not valid base64 ({error}).') from error
    if not isinstance(value, str):
        raise _wrong_type(value, name, "string")
    return value.encode("utf-8", errors="surrogatepass")


def encode_response(outputs: Mapping[str, np.ndarray], in_rows: bool) -> bytes:
    """Converts outputs to a JSON response.

    Args:
        outputs: arrays by output name.
        in_rows: whether the response is in rows, like the request, or in columns.

    Raises:
        ServingError: rows are requested, but the outputs have different numbers of rows.
    """
    columns = {name: _to_json_value(value, name) for name, value in outputs.items()}
    single = next(iter(columns.values())) if len(columns) == 1 else None
    if not in_rows:
        return encode_json({"outputs": columns if single is None else single})
    sizes = {len(value) if isinstance(value, list) else None for value in columns.values()}
    if len(sizes) != 1 or None in sizes:
        raise ServingError(
            INVALID_ARGUMENT,
            f'The outputs have different numbers of rows. Send the request in columns, with "{COLUMNS}".',
        )
    if single is not None:
        return encode_json({"predictions": single})
    rows = zip(*columns.values(), strict=True)
    return encode_json({"predictions": [dict(zip(columns, row, strict=True)) for row in rows]})


def _to_json_value(value: np.ndarray, name: str) -> Any:
    if value.dtype.kind == "f" and not np.isfinite(value).all():
        values = value.astype(object)
        values[~np.isfinite(value)] = None
        return values.tolist()
    if value.dtype != object:
        return value.tolist()
    texts = np.empty(value.size, object)
    texts[:] = [_to_text(item, name) for item in value.ravel()]
    return texts.reshape(value.shape).tolist()


def _to_text(value: bytes, name: str) -> Any:
    if name.endswith(BYTES_SUFFIX):
        return {"b64": base64.b64encode(value).decode()}
    return value.decode("utf-8", errors="replace")


def encode_json(value: Any) -> bytes:
    """Returns JSON in UTF-8; characters that UTF-8 cannot represent, such as lone surrogates, become "?"."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8", errors="replace")
