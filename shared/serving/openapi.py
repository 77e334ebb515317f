"""The description of the REST API in OpenAPI, generated from the signatures of the loaded models, and a page that shows it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version as package_version
from pathlib import Path
from typing import Any

import tensorflow as tf

from shared.serving.models import ModelVersion
from shared.serving.repository import Repository

REQUEST_FILE = "request.json"
MAX_EXAMPLE_SIZE = 64 * 2**10  # bytes
BYTES_SCHEMA = {
    "type": "object",
    "properties": {"b64": {"type": "string", "contentEncoding": "base64"}},
    "required": ["b64"],
}
ERROR_RESPONSES = {
    "400": "The request is invalid; the message names the input.",
    "401": "The token is missing or wrong.",
    "404": "There is no such model or version.",
    "413": "The body is too large.",
    "429": "This client sends too many requests.",
    "503": "No version is loaded, or too many requests are in progress.",
    "504": "The response was not ready before the deadline.",
}
ERROR_SCHEMA = {"type": "object", "properties": {"error": {"type": "string"}}, "required": ["error"]}


def describe_api(repository: Repository, has_token: bool) -> dict[str, Any]:
    """Returns the description in OpenAPI 3.1 of the newest version of each model.

    Args:
        repository: the models.
        has_token: whether requests need a token.
    """
    paths: dict[str, Any] = {}
    for name in sorted(repository.models):
        version = repository.newest_version(name)
        if version is not None:
            paths[f"/v1/models/{name}:predict"] = {"post": _describe_predict(version)}
            paths[f"/v1/models/{name}/versions/{{version}}:predict"] = {
                "parameters": [
                    {"name": "version", "in": "path", "required": True, "schema": {"type": "integer", "minimum": 0}}
                ],
                "post": _describe_predict(version),
            }
            for suffix, summary in (("", "States of the versions"), ("/metadata", "Signatures with dtypes and shapes")):
                paths[f"/v1/models/{name}{suffix}"] = {"get": {"summary": summary, "tags": [name], **_responses({})}}
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {"title": "lstm-suite", "version": package_version("lstm-suite")},
        "paths": paths,
        "components": {"schemas": {"Error": ERROR_SCHEMA}},
    }
    if has_token:
        document["components"]["securitySchemes"] = {"bearer": {"type": "http", "scheme": "bearer"}}
        document["security"] = [{"bearer": []}]
    return document


def _describe_predict(version: ModelVersion) -> dict[str, Any]:
    signatures = sorted(version.signatures.items(), key=lambda item: (item[0] != "serving_default", item[0]))
    body: dict[str, Any] = {"schema": {"anyOf": [_request_schema(name, one.inputs) for name, one in signatures]}}
    if (example := _read_example(version.folder)) is not None:
        body["example"] = example
    outputs = [_response_schema(one.outputs) for _, one in signatures]
    return {
        "summary": f"Predict with {version.name}, version {version.version}",
        "tags": [version.name],
        "requestBody": {"required": True, "content": {"application/json": body}},
        **_responses({"anyOf": outputs}),
    }


def _responses(schema: dict[str, Any]) -> dict[str, Any]:
    error = {"application/json": {"schema": {"$ref": "#/components/schemas/Error"}}}
    return {
        "responses": {
            "200": {"description": "Success", "content": {"application/json": {"schema": schema}}},
            **{code: {"description": text, "content": error} for code, text in ERROR_RESPONSES.items()},
        }
    }


def _request_schema(name: str, inputs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    """Returns the schema of a request for one signature, in rows or in columns."""
    signature: dict[str, Any] = {"const": name, "type": "string"}
    required = ["signature_name"]
    if name == "serving_default":
        signature["default"], required = name, []
    rows, columns = (_object_schema(inputs, level) for level in (1, 0))
    return {
        "title": name,
        "type": "object",
        "properties": {"signature_name": signature, "instances": {"type": "array", "items": rows}, "inputs": columns},
        "required": required,
        "oneOf": [{"required": ["instances"]}, {"required": ["inputs"]}],
    }


def _response_schema(outputs: Mapping[str, tf.TensorSpec]) -> dict[str, Any]:
    rows, columns = (_object_schema(outputs, level) for level in (1, 0))
    if len(outputs) == 1:
        ((name, _),) = outputs.items()
        rows, columns = rows["properties"][name], columns["properties"][name]
    return {"type": "object", "properties": {"predictions": {"type": "array", "items": rows}, "outputs": columns}}


def _object_schema(specs: Mapping[str, tf.TensorSpec], level: int) -> dict[str, Any]:
    """Returns the schema of an object with one value per tensor.

    Args:
        specs: the tensors by name.
        level: number of the first axes that the values lack: 1 in rows, 0 in columns.
    """
    properties = {name: _tensor_schema(spec, level) for name, spec in specs.items()}
    return {"type": "object", "properties": properties, "required": sorted(specs), "additionalProperties": False}


def _tensor_schema(spec: tf.TensorSpec, level: int) -> dict[str, Any]:
    schema = _value_schema(spec.dtype)
    for size in reversed(spec.shape.as_list()[level:]):
        schema = {"type": "array", "items": schema}
        if size is not None:
            schema |= {"minItems": size, "maxItems": size}
    return schema


def _value_schema(dtype: tf.DType) -> dict[str, Any]:
    """Returns the schema of one value; null stands for NaN."""
    if dtype == tf.string:
        return {"anyOf": [{"type": "string"}, BYTES_SCHEMA]}
    if dtype == tf.bool:
        return {"type": "boolean"}
    if dtype.is_integer:
        return {"type": "integer", "format": dtype.name}
    return {"type": ["number", "null"], "format": dtype.name}


def _read_example(folder: Path) -> Any:
    """Returns the example request of a version; None if it has none, or a long one."""
    path = folder / REQUEST_FILE
    try:
        if path.stat().st_size <= MAX_EXAMPLE_SIZE:
            return json.loads(path.read_bytes(), parse_constant=lambda name: None)
    except (OSError, ValueError):  # an example is not necessary
        return None
    return None


PAGE = (Path(__file__).parent / "docs.html").read_text(encoding="utf-8")
"""Page that shows the description and sends requests; it needs no other server."""
