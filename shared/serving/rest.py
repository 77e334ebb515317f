"""The REST API: paths, responses and statuses of TensorFlow Serving, implemented with Starlette.

POST /v1/models/NAME[/versions/N|/labels/L]:predict        GET /v1/models/NAME[/versions/N|/labels/L][/metadata]
GET  /livez  /readyz  /monitoring/prometheus/metrics
"""

from __future__ import annotations

import asyncio
import functools
import json
import re
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from google.protobuf import json_format
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from shared.serving.errors import DEADLINE_EXCEEDED, INVALID_ARGUMENT, NOT_FOUND, UNAVAILABLE, ServingError
from shared.serving.models import ModelVersion
from shared.serving.request_queue import PendingRequest, RequestQueue
from shared.serving.rpc import metadata_response, status_response
from shared.serving.service import METRICS_PATH, PredictionCall, Service, parse_signature_name
from shared.serving.tensors import decode_request, encode_json, encode_response, parse_body

PATH = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?(?P<action>:predict|:classify|:regress|/metadata)?"
)
MAX_VERSION = 2**63 - 1
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
MAX_INLINE_BODY_SIZE = (
    16 * 2**10
)  # bytes; a worker thread parses larger bodies, so that they do not block the event loop
INCOMPLETE_BODY_STATUSES = {408, 413}  # of requests whose body was not read to its end


@dataclass(frozen=True)
class Target:
    """Model, version and action that a path names."""

    name: str
    version: int | None
    label: str | None
    action: str


Key = tuple[Target, str | None]
"""Key of the request queue: target and signature name. The name is None as long as the body is not parsed."""


def create_app(service: Service, workers: ThreadPoolExecutor) -> Starlette:
    """Returns the application.

    Args:
        service: the service behind both APIs.
        workers: threads that run the predictions.
    """
    queue = RequestQueue(functools.partial(_handle_pending, service), workers, service.repository.batching)

    async def models(request: Request) -> Response:
        try:
            target = parse_path(request.url.path)
            with service.record_metrics(target.name, "REST"):
                return await _respond(service, queue, target, request)
        except ServingError as error:
            headers = {"Connection": "close"} if error.status in INCOMPLETE_BODY_STATUSES else None
            return Response(encode_json({"error": error.message}), error.status, headers, "application/json")

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        is_ready = service.repository.is_ready and not service.is_draining
        return JSONResponse({"ready": is_ready}, 200 if is_ready else 503)

    async def metrics(request: Request) -> Response:
        service.metrics.update_version_gauge(service.repository)
        return Response(generate_latest(service.metrics.registry), media_type=CONTENT_TYPE_LATEST)

    async def not_found(request: Request) -> Response:
        return JSONResponse({"error": f"{request.url.path}: not found. Models are at /v1/models/NAME."}, 404)

    return Starlette(
        routes=[
            Route("/v1/{rest:path}", models, methods=METHODS),  # first, because it has the most requests
            Route("/livez", live),
            Route("/readyz", ready),
            Route(METRICS_PATH, metrics),
            Route("/{rest:path}", not_found, methods=METHODS),
        ]
    )


def parse_path(path: str) -> Target:
    """Parses the path of a request under /v1.

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
    return Target(match["name"], version, match["label"], match["action"] or "")


async def _respond(service: Service, queue: RequestQueue, target: Target, request: Request) -> Response:
    if target.action in (":classify", ":regress"):
        raise ServingError(INVALID_ARGUMENT, f"{target.action} is not supported. Use :predict.")
    method = "POST" if target.action == ":predict" else "GET"
    if request.method != method:
        raise ServingError(INVALID_ARGUMENT, f"Malformed request: {request.method} {request.url.path}. Use {method}.")
    if target.action == ":predict":
        return await _predict(service, queue, target, request)
    with service.admission():
        return _describe_model(service, target)


def _describe_model(service: Service, target: Target) -> Response:
    """Returns the states of the versions of a model, or the signatures of one version."""
    versions = service.repository.list_versions(target.name)
    if target.action == "/metadata":
        return _proto_response(metadata_response(_find_version(service, target)))
    if target.version is not None or target.label is not None:
        if target.version is not None and target.version not in {one.version for one in versions}:
            raise ServingError(NOT_FOUND, f"Could not find version {target.version} of model {target.name}")
        versions = [_find_version(service, target)]
    return _proto_response(status_response(versions))


async def _predict(service: Service, queue: RequestQueue, target: Target, request: Request) -> Response:
    deadline, release = time.monotonic() + service.limits.timeout, service.admit()
    try:
        # The list gives up the only reference to the body, so that a large body is not in memory twice.
        body = [await _read_body(request, service.limits.max_body_size, deadline)]
        key, pending, is_batched = _prepare(service, target, body.pop(), deadline, release)
    except BaseException:
        release()
        raise
    try:
        queue.submit(key, pending, is_batched)
        response = await asyncio.wait_for(pending.response, deadline - time.monotonic())
    except BaseException as error:
        queue.cancel(key, pending)
        if isinstance(error, TimeoutError):
            raise ServingError(
                DEADLINE_EXCEEDED, f"The response was not ready within {service.limits.timeout:g} seconds."
            ) from error
        raise
    return Response(response, media_type="application/json")


def _prepare(
    service: Service, target: Target, body: bytes, deadline: float, on_end: Callable[[], None]
) -> tuple[Key, PendingRequest, bool]:
    """Returns the key of a request, the pending request, and whether it may share a drain cycle."""
    if len(body) > MAX_INLINE_BODY_SIZE:
        return (target, None), PendingRequest(body, deadline, on_end), False
    content = parse_body(body)
    signature = parse_signature_name(content.get("signature_name"))
    batcher = _find_version(service, target).signatures.get(signature)
    is_batched = batcher is not None and batcher.is_batched
    return (target, signature), PendingRequest(content, deadline, on_end), is_batched


def _find_version(service: Service, target: Target) -> ModelVersion:
    return service.repository.find_version(target.name, target.version, target.label)


def _handle_pending(
    service: Service, key: Key, requests: Sequence[PendingRequest]
) -> Iterator[list[tuple[int, bytes | Exception]]]:
    """Yields the responses to requests with the same key, as they become ready.

    Args:
        service: the service behind both APIs.
        key: key of all requests.
        requests: the requests; their content is a JSON object, or the body if `key` has no signature name.
    """
    target, signature = key
    if signature is None:
        content = parse_body(requests[0].take_content())
        signature = parse_signature_name(content.get("signature_name"))
        requests[0].content = content
        del content  # so that it can be freed as soon as its values are converted
    in_rows: dict[int, bool] = {}

    def make_reader(k: int) -> Callable[[ModelVersion], Any]:
        def read_request(version: ModelVersion) -> Any:
            inputs = version.get_signature(signature).inputs
            values, in_rows[k] = decode_request(requests[k].take_content(), inputs)
            return values

        return read_request

    calls = [PredictionCall(make_reader(k), request.deadline) for k, request in enumerate(requests)]
    for group in service.predict_all(functools.partial(_find_version, service, target), signature, calls):
        yield [(k, _to_body(outputs, in_rows.get(k, False))) for k, _, outputs in group]


def _to_body(outputs: dict[str, Any] | Exception, in_rows: bool) -> bytes | Exception:
    try:
        return outputs if isinstance(outputs, Exception) else encode_response(outputs, in_rows)
    except Exception as error:  # concerns this request only
        return error


async def _read_body(request: Request, max_size: int, deadline: float) -> bytes:
    """Reads and decompresses the body of a request; stops as soon as it is too large."""
    encoding = request.headers.get("content-encoding", "identity").lower()
    if encoding not in ("identity", "gzip"):
        raise ServingError(INVALID_ARGUMENT, f"Content-Encoding {encoding} is not supported. Use gzip, or no encoding.")
    decompressor = zlib.decompressobj(zlib.MAX_WBITS | 16) if encoding == "gzip" else None
    body, num_received = bytearray(), 0
    too_large = ServingError(
        INVALID_ARGUMENT, f"The body is longer than the limit of {max_size} bytes.", 400 if decompressor else 413
    )
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            async for chunk in request.stream():
                num_received += len(chunk)
                body += decompressor.decompress(chunk, max_size + 1 - len(body)) if decompressor else chunk
                if max(num_received, len(body)) > max_size or (decompressor and decompressor.unconsumed_tail):
                    raise too_large
                if decompressor and decompressor.unused_data:
                    raise ServingError(INVALID_ARGUMENT, "The body has more data after the end of its gzip stream.")
    except TimeoutError as error:
        raise ServingError(
            DEADLINE_EXCEEDED, "The request did not arrive completely before its deadline.", 408
        ) from error
    except zlib.error as error:
        raise ServingError(INVALID_ARGUMENT, f"The body is not valid gzip: {error}") from error
    except ClientDisconnect as error:
        raise ServingError(UNAVAILABLE, "The client has disconnected.") from error
    if decompressor and not decompressor.eof:
        raise ServingError(INVALID_ARGUMENT, "The gzip stream of the body is incomplete.")
    if not body:
        raise ServingError(INVALID_ARGUMENT, "The request has no body.")
    return bytes(body)


def _proto_response(message: Any) -> Response:
    content = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    content.get("metadata", {}).get("signature_def", {}).pop("@type", None)  # TensorFlow Serving omits it, too
    return Response(json.dumps(content).encode(), media_type="application/json")
