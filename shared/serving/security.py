"""Who may send requests: a bearer token for all clients, and a maximum rate for each client, in both APIs."""

from __future__ import annotations

import hmac
import math
import time
from typing import TYPE_CHECKING, Any

import grpc
import limits
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter
from starlette.datastructures import Headers
from starlette.responses import Response

from shared.errors import SuiteError
from shared.serving.errors import RESOURCE_EXHAUSTED, UNAUTHENTICATED, ServingError
from shared.serving.tensors import encode_json

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

PUBLIC_PATHS = frozenset({"/livez", "/readyz", "/docs"})
"""Paths that need no token: the health of the server, for programs that cannot send one, and a page without data."""
HEALTH_METHODS = "/grpc.health.v1.Health/"
BEARER = "bearer "
TOO_MANY_REQUESTS = 429


class Guard:
    """Checks the token and the rate of clients. It is thread-safe.

    Args:
        token: the token that each request must have; None for no authentication.
        rate: maximum rate of requests per client, such as `100/second`; None for no limit.

    Raises:
        SuiteError: the rate cannot be parsed.
    """

    def __init__(self, token: str | None, rate: str | None) -> None:
        self.token, self.rate = token, rate
        self._expected = None if token is None else token.encode()
        try:
            self._item = None if rate is None else limits.parse(rate)
        except ValueError as error:
            raise SuiteError(
                f"--rate-limit {rate}: expected a number and a time, such as 100/second or 1000/minute."
            ) from error
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())

    def check_token(self, authorization: str | None) -> None:
        """Checks the header `Authorization` of a request, in a time that does not depend on the token.

        Raises:
            ServingError: the token is missing or wrong.
        """
        if self._expected is None:
            return
        received = authorization or ""
        token = received[len(BEARER) :].strip() if received.lower().startswith(BEARER) else ""
        if not hmac.compare_digest(token.encode(errors="replace"), self._expected):
            raise ServingError(
                UNAUTHENTICATED, "The request needs the token of this server: Authorization: Bearer TOKEN."
            )

    def check_rate(self, client: str) -> None:
        """Counts a request of a client.

        Raises:
            RateExceeded: the client has sent too many requests.
        """
        if self._item is None or self._limiter.hit(self._item, client):
            return
        reset = self._limiter.get_window_stats(self._item, client).reset_time
        raise RateExceeded(f"{client} sends more than {self.rate}. Try again later.", reset - time.time())


class RateExceeded(ServingError):
    """A client sends too many requests.

    Args:
        message: message for the client.
        seconds: time after which the client can try again.
    """

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(RESOURCE_EXHAUSTED, message, TOO_MANY_REQUESTS)
        self.retry_after = max(1, math.ceil(seconds))


class GuardMiddleware:
    """Rejects REST requests without the token, and those of clients that send too many.

    Args:
        app: the application.
        guard: checks token and rate.
    """

    def __init__(self, app: ASGIApp, guard: Guard) -> None:
        self.app, self.guard = app, guard

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handles a request."""
        if scope["type"] == "http" and scope["path"] not in PUBLIC_PATHS:
            try:
                client = scope.get("client")
                self.guard.check_rate(client[0] if client else "")
                self.guard.check_token(Headers(scope=scope).get("authorization"))
            except ServingError as error:
                headers = {"connection": "close"}  # the body is not read
                if isinstance(error, RateExceeded):
                    headers["retry-after"] = str(error.retry_after)
                if error.code == UNAUTHENTICATED:
                    headers["www-authenticate"] = "Bearer"
                body = encode_json({"error": error.message})
                await Response(body, error.status, headers, "application/json")(scope, receive, send)
                return
        await self.app(scope, receive, send)


class GuardInterceptor(grpc.aio.ServerInterceptor):
    """Rejects gRPC requests without the token; the health service needs none.

    Args:
        guard: checks the token.
    """

    def __init__(self, guard: Guard) -> None:
        self.guard = guard

    async def intercept_service(self, continuation: Any, handler_call_details: Any) -> Any:
        """Returns the handler of a request, or one that rejects it."""
        handler = await continuation(handler_call_details)
        if handler is None or handler_call_details.method.startswith(HEALTH_METHODS):
            return handler
        try:
            self.guard.check_token(dict(handler_call_details.invocation_metadata or ()).get("authorization"))
        except ServingError as error:
            return _rejecting_handler(handler, error)
        return handler


def _rejecting_handler(handler: Any, error: ServingError) -> Any:
    """Returns a handler with the same kind of requests and responses, which rejects each request."""

    async def reject(request: Any, context: grpc.aio.ServicerContext) -> Any:
        await context.abort(grpc.StatusCode[error.code], error.message)

    kinds = {
        (False, False): grpc.unary_unary_rpc_method_handler,
        (False, True): grpc.unary_stream_rpc_method_handler,
        (True, False): grpc.stream_unary_rpc_method_handler,
        (True, True): grpc.stream_stream_rpc_method_handler,
    }
    make_handler = kinds[handler.request_streaming, handler.response_streaming]
    return make_handler(reject, handler.request_deserializer, handler.response_serializer)
