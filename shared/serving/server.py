"""The embedded server: starts and stops the REST and the gRPC API of one model repository."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvicorn

from shared.errors import SuiteError
from shared.serving.batching import Batching
from shared.serving.repository import Repository
from shared.serving.rest import create_app
from shared.serving.rpc import add_services
from shared.serving.service import Limits, Service

SHUTDOWN_TIMEOUT = 30.0  # seconds that running requests have when the server shuts down
KEEP_ALIVE_TIMEOUT = 10.0  # seconds until the server closes an idle connection
MAX_BACKLOG = 256  # connections that wait to be accepted


@dataclass(frozen=True)
class Settings:
    """Settings of a server."""

    models: Path
    """Folder with one folder per model."""
    host: str = "127.0.0.1"
    """Network address to listen on; 0.0.0.0 for all addresses of the machine."""
    port: int = 8501
    """Port of the REST API; 0 for any free port."""
    grpc_port: int = 8500
    """Port of the gRPC API; 0 for any free port."""
    batching: Batching | None = field(default_factory=Batching)
    """Settings of micro-batching; None runs each request separately."""
    limits: Limits = field(default_factory=Limits)
    """Limits on the size, number and duration of requests."""
    poll_interval: float = 1.0
    """Seconds between two scans for new versions."""


class Server:
    """Both APIs, from `start` to `stop`.

    Args:
        settings: folder, addresses and limits.

    Attributes:
        port: port of the REST API.
        grpc_port: port of the gRPC API.

    Raises:
        SuiteError: a port is in use, or the folder does not exist.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.models.is_dir():
            raise SuiteError(
                f"{settings.models}: this folder does not exist. Train a model first, or name another folder with --models."
            )
        self.settings = settings
        self.repository = Repository(settings.models, settings.batching, settings.poll_interval)
        self.service = Service(self.repository, settings.limits)
        self.workers = ThreadPoolExecutor(settings.limits.num_workers, thread_name_prefix="rest")
        self._socket = _bind(settings.host, settings.port)
        self.port = int(self._socket.getsockname()[1])
        options = [
            ("grpc.max_receive_message_length", settings.limits.max_body_size),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        self._grpc_server = grpc.server(
            ThreadPoolExecutor(settings.limits.num_workers, thread_name_prefix="grpc"),
            options=options,
            maximum_concurrent_rpcs=settings.limits.max_requests,
        )
        add_services(self._grpc_server, self.service)
        try:
            self.grpc_port = int(self._grpc_server.add_insecure_port(f"{settings.host}:{settings.grpc_port}"))
        except RuntimeError as error:
            self._socket.close()
            raise SuiteError(
                f"Cannot listen on {settings.host}:{settings.grpc_port}. Choose another port with --grpc-port."
            ) from error
        config = uvicorn.Config(
            create_app(self.service, self.workers),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(SHUTDOWN_TIMEOUT),
            timeout_keep_alive=int(KEEP_ALIVE_TIMEOUT),
            lifespan="off",
            proxy_headers=False,  # nothing here uses the address of a client
        )
        self._rest_server = _RestServer(config, self.drain)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`, then finishes the running requests."""
        self.repository.start()
        self._grpc_server.start()
        try:
            self._rest_server.run(sockets=[self._socket])
        finally:
            self.drain()
            self._grpc_server.stop(SHUTDOWN_TIMEOUT).wait()
            self.repository.stop()
            self.workers.shutdown()

    def start(self) -> None:
        """Serves in a thread until `stop`, for tests and notebooks."""
        self._thread = threading.Thread(target=self.run, name="server", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Rejects new requests from now on."""
        self.service.is_draining = True

    def stop(self) -> None:
        """Finishes the running requests and stops the server."""
        self.drain()
        self._rest_server.should_exit = True
        if self._thread is not None:
            self._thread.join()


class _RestServer(uvicorn.Server):
    """A uvicorn server that reports signals, and that also runs outside the main thread.

    Args:
        config: settings of uvicorn.
        on_signal: called when a signal arrives.
    """

    def __init__(self, config: uvicorn.Config, on_signal: Callable[[], None]) -> None:
        super().__init__(config)
        self.on_signal = on_signal

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.on_signal()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with super().capture_signals():
            try:
                yield
            finally:  # otherwise uvicorn raises the signals again and ends the process before the gRPC API has stopped
                self._captured_signals.clear()


def _bind(host: str, port: int) -> socket.socket:
    """Returns a socket that listens on an address.

    Raises:
        SuiteError: the address is not available.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio turns off Nagle's algorithm only if the protocol is named explicitly.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(MAX_BACKLOG)
    except OSError as error:
        listener.close()
        raise SuiteError(
            f"Cannot listen on {host}:{port} ({error.strerror}). Choose another port with --port."
        ) from error
    return listener
