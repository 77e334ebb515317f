"""The REST application with its middleware."""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.serving.access import AccessMiddleware
from shared.serving.dispatch import Dispatcher
from shared.serving.rest import create_routes
from shared.serving.settings import Settings

if TYPE_CHECKING:
    from starlette.types import ASGIApp


def create_app(dispatcher: Dispatcher, settings: Settings) -> ASGIApp:
    """Returns the application of the REST API.

    Args:
        dispatcher: runs the predictions.
        settings: settings of the server.
    """
    return AccessMiddleware(create_routes(dispatcher), dispatcher.service)
