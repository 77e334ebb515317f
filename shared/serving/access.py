"""Request ids and the access log of both APIs.

A client may name its request in the header (REST) or metadata (gRPC) `x-request-id`; otherwise the server makes a name. The response
has the same id, and so has the line of the access log.
"""

from __future__ import annotations

import itertools
import logging
import re
import time
import urllib.parse
import uuid
from typing import TYPE_CHECKING

from starlette.datastructures import Headers, MutableHeaders

from shared.serving.logs import ACCESS_LOGGER, fields
from shared.serving.metrics import METRICS_PATH

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from shared.serving.service import Service

REQUEST_ID = "x-request-id"
VALID_ID = re.compile(r"[!-~]{1,128}")
"""Visible ASCII characters; any other id of a client is replaced, so that it cannot add lines to a log."""
PROCESS_ID, COUNTER = uuid.uuid4().hex[:20], itertools.count()
"""Start of new ids, and their numbers: a random number for each request would need a system call, which lets another thread go first."""
PEER = re.compile(r"ipv[46]:\[?(.+?)\]?:\d+")
PROBES = frozenset({"/livez", "/readyz", METRICS_PATH})
"""Paths that programs request every few seconds; they are not in the access log."""
logger = logging.getLogger(ACCESS_LOGGER)


def request_id(received: str | None) -> str:
    """Returns the id that the client sent, or a new one if it sent none or an invalid one."""
    return received if received and VALID_ID.fullmatch(received) else f"{PROCESS_ID}{next(COUNTER):012x}"


def client_address(peer: str) -> str:
    """Returns the network address of a gRPC client, without its port.

    Args:
        peer: address as gRPC writes it, such as `ipv4:10.0.0.7:33084` or `ipv6:%5B::1%5D:33084`.
    """
    match = PEER.fullmatch(urllib.parse.unquote(peer))
    return match[1] if match else peer


def log_access(interface: str, client: str, request: str, status: str, started: float, identifier: str) -> None:
    """Writes a line of the access log.

    Args:
        interface: REST or gRPC.
        client: address of the client, for gRPC as gRPC writes it.
        request: method and path.
        status: HTTP status, or name of the gRPC status.
        started: value of `time.monotonic` at the start of the request.
        identifier: id of the request.
    """
    if not logger.isEnabledFor(logging.INFO):
        return
    client = client_address(client)
    milliseconds = round(1000 * (time.monotonic() - started), 3)
    logger.info(
        "%s %s %s %s %.1f ms %s",
        *(interface, client, request, status, milliseconds, identifier),
        extra=fields(
            event="request",
            interface=interface,
            client=client,
            request=request,
            status=status,
            milliseconds=milliseconds,
            request_id=identifier,
        ),
    )


class AccessMiddleware:
    """Adds the request id to each response, writes the access log, and closes connections while the server shuts down.

    Args:
        app: the application.
        service: the service behind both APIs.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self.app, self.service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = time.monotonic(), "none"
        identifier = request_id(Headers(scope=scope).get(REQUEST_ID))

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = str(message["status"])
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID] = identifier
                if self.service.is_closing:
                    headers["connection"] = "close"
            await send(message)

        try:
            await self.app(scope, receive, send_with_headers)
        finally:
            if scope["path"] not in PROBES:
                client = scope.get("client")
                path = scope.get("raw_path", b"").decode("latin-1")  # not decoded: it must not add lines to the log
                request = f"{scope['method']} {path}"
                log_access("REST", client[0] if client else "", request, status, started, identifier)
