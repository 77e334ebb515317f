"""The REST API: paths, responses and statuses of TensorFlow Serving, implemented with Starlette.

POST /v1/models/NAME[/versions/N|/labels/L]:predict        GET /v1/models/NAME[/versions/N|/labels/L][/metadata]
GET  /livez  /readyz  /monitoring/prometheus/metrics  /openapi.json  /docs
"""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import Any

import numpy as np
from google.protobuf import json_format
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.serving import media
from shared.serving.bodies import read_body
from shared.serving.dispatch import Dispatcher, Target
from shared.serving.errors import INVALID_ARGUMENT, NOT_FOUND, ServingError
from shared.serving.media import is_media_type
from shared.serving.metrics import METRICS_PATH, RequestRecord
from shared.serving.models import ModelVersion
from shared.serving.openapi import PAGE, describe_api
from shared.serving.rpc import metadata_response, status_response
from shared.serving.service import Outputs, parse_signature_name
from shared.serving.tensors import decode_request, encode_json, encode_response, parse_body

VERSION_HEADER = "x-model-version"
"""Header of a response: the version that computed it, for clients that pin a version."""
PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?(?P<action>:predict|:classify|:regress|/metadata)?"
)
MAX_VERSION = 2**63 - 1
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
MAX_INLINE_BODY_SIZE = (
    16 * 2**10
)  # bytes; a worker thread parses larger bodies, so that they do not block the event loop
PAGE_POLICY = "default-src 'self'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; frame-ancestors 'none'"
INCOMPLETE_BODY_STATUSES = {408, 413}  # of requests whose body was not read to its end


def create_routes(dispatcher: Dispatcher, has_token: bool = False) -> Starlette:
    """Returns the application without middleware.

    Args:
        dispatcher: runs the predictions.
        has_token: whether requests need a token.
    """
    service = dispatcher.service

    async def models(request: Request) -> Response:
        try:
            target, action = parse_path(request.url.path)
            with service.record_metrics(target.name, "REST") as record:
                return await _respond(dispatcher, target, action, request, record)
        except ServingError as error:
            headers = {"Connection": "close"} if error.status in INCOMPLETE_BODY_STATUSES else None
            return Response(encode_json({"error": error.message}), error.status, headers, "application/json")

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        is_ready = service.is_ready
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        service.metrics.update_version_gauge(service.repository)
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def openapi(request: Request) -> Response:
        return Response(encode_json(describe_api(service.repository, has_token)), media_type="application/json")

    async def docs(request: Request) -> Response:
        return Response(PAGE, headers={"Content-Security-Policy": PAGE_POLICY}, media_type="text/html")

    async def not_found(request: Request) -> Response:
        return JSONResponse({"error": f"{request.url.path}: not found. Models are at /v1/models/NAME."}, 404)

    return Starlette(
        routes=[
            Route("/v1/{rest:path}", models, methods=METHODS),  # first, because it has the most requests
            Route("/livez", live),
            Route("/readyz", ready),
            Route(METRICS_PATH, metrics),
            Route("/openapi.json", openapi),
            Route("/docs", docs),
            Route("/{rest:path}", not_found, methods=METHODS),
        ]
    )


def parse_path(path: str) -> tuple[Target, str]:
    """Parses the path of a request under /v1.

    Returns:
        The requested model, and the action: `:predict`, `/metadata`, or "" for the states of the versions.

    Raises:
        ServingError: the API has no such path, or the version is not a valid number.
    """
    match = PATH.fullmatch(path)
    if match is None:
        raise ServingError(INVALID_ARGUMENT, f"Malformed request: {path}. Models are at /v1/models/NAME:predict.")
    version = None
    if match["version"] is not None:
        if not re.fullmatch("[0-9]{1,19}", match["version"]) or int(match["version"]) > MAX_VERSION:
            raise ServingError(
                INVALID_ARGUMENT,
                f"Version must be an integer from 0 to {MAX_VERSION}. Received: {match['version'][:40]}",
            )
        version = int(match["version"])
    return Target(match["name"], version, match["label"]), match["action"] or ""


async def _respond(
    dispatcher: Dispatcher, target: Target, action: str, request: Request, record: RequestRecord
) -> Response:
    if action in (":classify", ":regress"):
        raise ServingError(INVALID_ARGUMENT, f"{action} is not supported. Use :predict.")
    method = "POST" if action == ":predict" else "GET"
    if request.method != method:
        raise ServingError(INVALID_ARGUMENT, f"Malformed request: {request.method} {request.url.path}. Use {method}.")
    if action == ":predict":
        return await _predict(dispatcher, target, request, record)
    with dispatcher.service.admission():
        return _describe_model(dispatcher, target, action)


def _describe_model(dispatcher: Dispatcher, target: Target, action: str) -> Response:
    """Returns the states of the versions of a model, or the signatures of one version."""
    versions = dispatcher.service.repository.list_versions(target.name)
    if action == "/metadata":
        return _proto_response(metadata_response(dispatcher.find_version(target)))
    if target.version is not None or target.label is not None:
        if target.version is not None and target.version not in {one.version for one in versions}:
            raise ServingError(NOT_FOUND, f"Could not find version {target.version} of model {target.name}")
        versions = [dispatcher.find_version(target)]
    return _proto_response(status_response(versions))


async def _predict(dispatcher: Dispatcher, target: Target, request: Request, record: RequestRecord) -> Response:
    service = dispatcher.service
    deadline, release = time.monotonic() + service.limits.timeout, service.admit()
    try:
        # The list gives up the only reference to the body, so that a large body is not in memory twice.
        body = [await read_body(request, service.limits.max_body_size, deadline)]
        is_media = is_media_type(request.headers.get("content-type", ""))
        if not is_media:
            is_large = len(body[0]) > MAX_INLINE_BODY_SIZE
            exchange = JsonExchange(body.pop(), record)
            signature = None if is_large else exchange.parse_signature_name()
    except BaseException:
        release()
        raise
    if is_media:
        record.signature = "media"
        content, media_type = await media.respond(
            dispatcher.workers,
            partial(dispatcher.find_version, target),
            body.pop(),
            request.headers["content-type"],
            request.query_params,
            deadline,
            partial(setattr, record, "version"),
            release,
        )
        return Response(content, headers={VERSION_HEADER: str(record.version)}, media_type=media_type)
    response = await dispatcher.predict(target, signature, exchange, deadline, release)
    return Response(response, headers={VERSION_HEADER: str(record.version)}, media_type="application/json")


class JsonExchange:
    """A request in JSON, and its response.

    Args:
        body: the body of the request.
        record: what is known about the request.
    """

    def __init__(self, body: bytes, record: RequestRecord) -> None:
        self.record = record
        self._content: bytes | dict[str, Any] = body
        self._in_rows = False

    def parse_signature_name(self) -> str:
        """Parses the body and returns the name of the signature."""
        assert isinstance(self._content, bytes)
        self._content = parse_body(self._content)
        return parse_signature_name(self._content.get("signature_name"))

    def read(self, version: ModelVersion, signature: str) -> dict[str, np.ndarray]:
        """Returns the inputs by name."""
        assert isinstance(self._content, dict)
        content, self._content = self._content, b""  # can be freed as soon as its values are converted
        values, self._in_rows = decode_request(content, version.get_signature(signature).inputs)
        return values

    def write(self, version: ModelVersion, signature: str, outputs: Outputs) -> bytes:
        """Returns the body of the response."""
        return encode_response(outputs, self._in_rows)


def _proto_response(message: Any) -> Response:
    content = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    content.get("metadata", {}).get("signature_def", {}).pop("@type", None)  # TensorFlow Serving omits it, too
    return Response(json.dumps(content).encode(), media_type="application/json")
