"""The REST interface: TensorFlow Serving's addresses, answers and statuses, carried by Starlette.

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

from shared.serving.errors import INVALID, NOT_FOUND, TOO_LATE, UNAVAILABLE, ServingError
from shared.serving.models import Version
from shared.serving.request_queue import Gathering, Waiting
from shared.serving.rpc import metadata_of, status_of
from shared.serving.service import METRICS, Asked, Service, signature_name
from shared.serving.tensors import answer_of, encoded, parsed, request_of

PLACE = re.compile(
    r"/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>[^/:]+)|/labels/(?P<label>[^/:]+))?(?P<what>:predict|:classify|:regress|/metadata)?"
)
GREATEST = 2**63 - 1  # number of a version
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "HEAD"]
SMALL = (
    16 * 2**10
)  # bytes of a body that the loop reads by itself; a thread takes a greater one, which may take long to read
UNREAD = {408, 413}  # statuses of a request that was not read to its end


@dataclass(frozen=True)
class Place:
    """What an address names."""

    name: str
    version: int | None
    label: str | None
    what: str


Key = tuple[Place, str | None]
"""What requests that are answered together have in common: the place and the signature's name; None for that where it stands in
a body that is not yet read."""


def app_of(service: Service, workers: ThreadPoolExecutor) -> Starlette:
    """Returns the application.

    Args:
        service: that answers.
        workers: threads in which it does.
    """
    gathering = Gathering(functools.partial(_answers, service), workers, service.repository.batching)

    async def models(request: Request) -> Response:
        try:
            place = place_of(request.url.path)
            with service.measured(place.name, "REST"):
                return await _answered(service, gathering, place, request)
        except ServingError as error:
            left = {"Connection": "close"} if error.status in UNREAD else None  # the rest of the body is not waited for
            return Response(encoded({"error": error.message}), error.status, left, "application/json")

    async def live(request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(request: Request) -> Response:
        fine = service.repository.ready and not service.draining
        return JSONResponse({"ready": fine}, 200 if fine else 503)

    async def metrics(request: Request) -> Response:
        service.measures.tell_versions(service.repository)
        return Response(generate_latest(service.measures.registry), media_type=CONTENT_TYPE_LATEST)

    async def unknown(request: Request) -> Response:
        return JSONResponse(
            {"error": f"{request.url.path}: there is nothing here. Models are at /v1/models/NAME."}, 404
        )

    return Starlette(
        routes=[
            Route("/v1/{rest:path}", models, methods=METHODS),  # first, since it is asked most
            Route("/livez", live),
            Route("/readyz", ready),
            Route(METRICS, metrics),
            Route("/{rest:path}", unknown, methods=METHODS),
        ]
    )


def place_of(path: str) -> Place:
    """Returns what an address names.

    Raises:
        ServingError: it is none of the interface's.
    """
    found = PLACE.fullmatch(path)
    if found is None:
        raise ServingError(INVALID, f"Malformed request: {path}. Models are at /v1/models/NAME:predict.")
    version = None
    if found["version"] is not None:
        if not re.fullmatch("[0-9]{1,19}", found["version"]) or int(found["version"]) > GREATEST:
            raise ServingError(INVALID, f"Version is no number from 0 to {GREATEST}: {found['version'][:40]}")
        version = int(found["version"])
    return Place(found["name"], version, found["label"], found["what"] or "")


async def _answered(service: Service, gathering: Gathering, place: Place, request: Request) -> Response:
    if place.what in (":classify", ":regress"):
        raise ServingError(INVALID, f"{place.what} is not served here: ask :predict.")
    wanted = "POST" if place.what == ":predict" else "GET"
    if request.method != wanted:
        raise ServingError(INVALID, f"Malformed request: {request.method} {request.url.path}. Use {wanted}.")
    if place.what == ":predict":
        return await _predicted(service, gathering, place, request)
    with service.admitted():
        return _told(service, place)


def _told(service: Service, place: Place) -> Response:
    """Returns the states or the signatures of a model."""
    found = service.repository.versions(place.name)
    if place.what == "/metadata":
        return _proto(metadata_of(service.repository.version(place.name, place.version, place.label)))
    if place.version is not None or place.label is not None:
        if place.version is not None and place.version not in {one.number for one in found}:
            raise ServingError(NOT_FOUND, f"Could not find version {place.version} of model {place.name}")
        found = [service.repository.version(place.name, place.version, place.label)]
    return _proto(status_of(found))


async def _predicted(service: Service, gathering: Gathering, place: Place, request: Request) -> Response:
    until, end = time.monotonic() + service.limits.seconds, service.admit()
    try:
        body = [await _body(request, service.limits.body, until)]
        key, waiting, together = _sorted(service, place, body.pop(), until, end)  # a great one is not held twice
    except BaseException:
        end()
        raise
    try:
        gathering.submit(key, waiting, together)
        answer = await asyncio.wait_for(waiting.answer, until - time.monotonic())
    except BaseException as error:
        gathering.leave(key, waiting)
        if isinstance(error, TimeoutError):
            raise ServingError(TOO_LATE, f"There was no answer within {service.limits.seconds:g} seconds.") from error
        raise
    return Response(answer, media_type="application/json")


def _sorted(
    service: Service, place: Place, body: bytes, until: float, end: Callable[[], None]
) -> tuple[Key, Waiting, bool]:
    """Returns with whom a request may be answered, the request, and whether with others at all."""
    if len(body) > SMALL:
        return (place, None), Waiting(body, until, end), False
    content = parsed(body)
    name = signature_name(content.get("signature_name"))
    batcher = _version(service, place).signatures.get(name)
    return (place, name), Waiting(content, until, end), batcher is not None and batcher.joins


def _version(service: Service, place: Place) -> Version:
    return service.repository.version(place.name, place.version, place.label)


def _answers(service: Service, key: Key, waiting: Sequence[Waiting]) -> Iterator[list[tuple[int, bytes | Exception]]]:
    """Yields answers to requests for one place, as they are ready.

    Args:
        service: that answers.
        key: of them all.
        waiting: the requests, whose content is a body, or its JSON.
    """
    place, name = key
    if name is None:
        content = parsed(waiting[0].taken())
        name = signature_name(content.get("signature_name"))
        waiting[0].content = content
        del content  # it is let go as soon as its values have been read
    in_rows: dict[int, bool] = {}

    def reader(k: int) -> Callable[[Version], Any]:
        def request(version: Version) -> Any:
            values, in_rows[k] = request_of(waiting[k].taken(), version.signature(name).inputs)
            return values

        return request

    asked = [Asked(reader(k), one.until) for k, one in enumerate(waiting)]
    for part in service.predict_all(functools.partial(_version, service, place), name, asked):
        yield [(k, _written(answers, in_rows.get(k, False))) for k, _, answers in part]


def _written(answers: dict[str, Any] | Exception, in_rows: bool) -> bytes | Exception:
    try:
        return answers if isinstance(answers, Exception) else answer_of(answers, in_rows)
    except Exception as error:  # is this request's; the others go on
        return error


async def _body(request: Request, most: int, until: float) -> bytes:
    """Returns a request's body, unpacked, and reads no more of it than may be."""
    kind = request.headers.get("content-encoding", "identity").lower()
    if kind not in ("identity", "gzip"):
        raise ServingError(INVALID, f"Content-Encoding {kind} is not known here. Use gzip, or none.")
    unpack = zlib.decompressobj(zlib.MAX_WBITS | 16) if kind == "gzip" else None
    found, received = bytearray(), 0
    too_much = ServingError(INVALID, f"The body is longer than {most} bytes.", 400 if unpack else 413)
    try:
        async with asyncio.timeout(max(0.0, until - time.monotonic())):
            async for chunk in request.stream():
                received += len(chunk)
                found += unpack.decompress(chunk, most + 1 - len(found)) if unpack else chunk
                if max(received, len(found)) > most or (unpack and unpack.unconsumed_tail):
                    raise too_much
                if unpack and unpack.unused_data:
                    raise ServingError(INVALID, "There is more behind the end of the body's gzip.")
    except TimeoutError as error:
        raise ServingError(TOO_LATE, "The request did not come in within the time for it.", 408) from error
    except zlib.error as error:
        raise ServingError(INVALID, f"The body is no gzip: {error}") from error
    except ClientDisconnect as error:
        raise ServingError(UNAVAILABLE, "The caller is gone.") from error
    if unpack and not unpack.eof:
        raise ServingError(INVALID, "The body is no whole gzip.")
    if not found:
        raise ServingError(INVALID, "The request has no body.")
    return bytes(found)


def _proto(message: Any) -> Response:
    told = json_format.MessageToDict(
        message, preserving_proto_field_name=True, always_print_fields_with_no_presence=True
    )
    told.get("metadata", {}).get("signature_def", {}).pop("@type", None)  # TensorFlow Serving leaves it out
    return Response(json.dumps(told).encode(), media_type="application/json")
