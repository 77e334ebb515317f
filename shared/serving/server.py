"""The embedded server: starts and stops the REST and the gRPC API of one model repository, in one event loop."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from shared.errors import SuiteError
from shared.serving.app import create_app
from shared.serving.dispatch import Dispatcher
from shared.serving.grpc_server import GrpcServer
from shared.serving.logs import fields
from shared.serving.repository import Repository
from shared.serving.security import Guard
from shared.serving.service import Service
from shared.serving.settings import Settings
from shared.serving.tracing import set_up_tracing
from shared.serving.transport import bind, uvicorn_tls_options

SHUTDOWN_TIMEOUT = 30.0  # seconds that running requests have when the server shuts down
CLOSING_TIMEOUT = 5.0  # seconds in which each open connection gets a last response that closes it
logger = logging.getLogger(__name__)


class Server:
    """Both APIs, from `start` to `stop`.

    Args:
        settings: folder, addresses and limits.

    Attributes:
        port: port of the REST API.
        grpc_port: port of the gRPC API.

    Raises:
        SuiteError: a port is in use, the folder does not exist, or a file of the TLS certificate cannot be used.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.models.is_dir():
            raise SuiteError(
                f"{settings.models}: this folder does not exist. Train a model first, or name another folder with --models."
            )
        self.settings = settings
        self.repository = Repository(
            settings.models, settings.batching, settings.poll_interval, frozenset(settings.model_names)
        )
        self.service = Service(self.repository, settings.limits)
        self.workers = ThreadPoolExecutor(settings.limits.num_workers, thread_name_prefix="requests")
        dispatcher = Dispatcher(self.service, self.workers)
        guard = Guard(settings.security.token, settings.limits.rate)
        if settings.is_traced:
            set_up_tracing()
        tls_options = uvicorn_tls_options(settings.security)
        self._socket = bind(settings.host, settings.port)
        self.port = int(self._socket.getsockname()[1])
        config = uvicorn.Config(
            create_app(dispatcher, guard, settings),
            log_config=None,
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(SHUTDOWN_TIMEOUT),
            timeout_keep_alive=int(settings.limits.keep_alive),
            lifespan="off",
            proxy_headers=False,
            **tls_options,
        )
        loop_factory = config.get_loop_factory()
        self._loop = asyncio.new_event_loop() if loop_factory is None else loop_factory()
        try:
            self._grpc_server = self._loop.run_until_complete(GrpcServer.create(dispatcher, guard, settings))
        except SuiteError:
            self._socket.close()
            self._loop.close()
            raise
        self.grpc_port = self._grpc_server.port
        self._rest_server = _RestServer(config, self.service, self._grpc_server, settings.grace_period)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`, then finishes the running requests."""
        self.repository.start()
        try:
            self._loop.run_until_complete(self._serve())
        finally:
            self.repository.stop()
            self.workers.shutdown()
            self._loop.close()

    async def _serve(self) -> None:
        await self._grpc_server.start()
        try:
            await self._rest_server.serve(sockets=[self._socket])
        finally:
            await self._grpc_server.stop(SHUTDOWN_TIMEOUT)

    def start(self) -> None:
        """Serves in a thread until `stop`, for tests and notebooks."""
        self._thread = threading.Thread(target=self.run, name="server", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Finishes the running requests and stops the server, without a grace period."""
        self._rest_server.should_exit = True
        if self._thread is not None:
            self._thread.join()


class _RestServer(uvicorn.Server):
    """A uvicorn server that shuts down in steps, and that also runs outside the main thread.

    SIGTERM: the server is not ready, but serves for the grace period. Then it accepts no new connection, and closes each connection with
    its next response. At the end, it closes idle connections and waits for running requests. SIGINT or a second signal begins with
    the last step.

    Args:
        config: settings of uvicorn.
        service: the service behind both APIs.
        grpc_server: the gRPC API, which stops at the same time.
        grace_period: seconds after SIGTERM in which the server serves as before.
    """

    def __init__(self, config: uvicorn.Config, service: Service, grpc_server: GrpcServer, grace_period: float) -> None:
        super().__init__(config)
        self.service, self.grpc_server, self.grace_period = service, grpc_server, grace_period
        self._exit_time: float | None = None

    def handle_exit(self, sig: int, frame: Any) -> None:
        """Handles a signal."""
        is_first = not self.service.is_draining
        self.service.is_draining = True
        if sig == signal.SIGTERM and is_first and self.grace_period > 0:
            self._exit_time = time.monotonic() + self.grace_period
            return
        self._exit_time = None
        super().handle_exit(sig, frame)

    async def on_tick(self, counter: int) -> bool:
        """Runs ten times a second; returns whether the shutdown begins."""
        await self.grpc_server.update_health()
        is_over = self._exit_time is not None and time.monotonic() >= self._exit_time
        return await super().on_tick(counter) or is_over

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Closes all connections in steps."""
        self.service.is_draining = self.service.is_closing = True
        logger.info("not ready: the server shuts down", extra=fields(event="readiness", ready=False))
        for server in self.servers:
            server.close()
        grpc_stop = asyncio.create_task(self.grpc_server.stop(SHUTDOWN_TIMEOUT))
        if self._exit_time is not None:
            deadline = time.monotonic() + CLOSING_TIMEOUT
            while self.server_state.connections and time.monotonic() < deadline and not self.should_exit:
                await asyncio.sleep(0.02)
        await super().shutdown(sockets)
        await grpc_stop

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        """Handles signals, if this is the main thread."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with super().capture_signals():
            try:
                yield
            finally:  # otherwise uvicorn raises the signals again and ends the process before the gRPC API has stopped
                self._captured_signals.clear()
