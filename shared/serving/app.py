"""The REST application with its middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import GZipMiddleware

from shared.serving.access import REQUEST_ID, AccessMiddleware
from shared.serving.dispatch import Dispatcher
from shared.serving.rest import VERSION_HEADER, create_routes
from shared.serving.security import Guard, GuardMiddleware
from shared.serving.settings import Settings
from shared.serving.tracing import trace_app

if TYPE_CHECKING:
    from starlette.types import ASGIApp

MIN_COMPRESSED_SIZE = 1024  # bytes
COMPRESSION_LEVEL = 5
PREFLIGHT_SECONDS = 600  # in which a browser need not ask again


def create_app(dispatcher: Dispatcher, guard: Guard, settings: Settings) -> ASGIApp:
    """Returns the application of the REST API.

    Args:
        dispatcher: runs the predictions.
        guard: checks token and rate.
        settings: settings of the server.
    """
    app: ASGIApp = create_routes(dispatcher, guard.token is not None)
    if settings.compresses_responses:
        app = GZipMiddleware(app, MIN_COMPRESSED_SIZE, COMPRESSION_LEVEL)
    if guard.token is not None or guard.rate is not None:
        app = GuardMiddleware(app, guard)
    if settings.security.cors_origins:
        app = CORSMiddleware(
            app,
            settings.security.cors_origins,
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=[REQUEST_ID, VERSION_HEADER],
            max_age=PREFLIGHT_SECONDS,
        )
    if settings.is_traced:
        app = trace_app(app)
    return AccessMiddleware(app, dispatcher.service)
