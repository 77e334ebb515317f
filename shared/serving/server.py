"""Starts and stops the embedded server: both interfaces on one set of models."""

from __future__ import annotations

import contextlib
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import uvicorn

from shared.errors import SuiteError
from shared.serving.batching import Batching
from shared.serving.repository import Repository
from shared.serving.rest import app_of
from shared.serving.rpc import add_services
from shared.serving.service import Limits, Service

GRACE = 30.0  # seconds that requests have to finish when the server is stopped
UNENDING = 10.0  # seconds from which on a connection that was answered and is silent since is closed
WAITING = 256  # connections that are not yet accepted


@dataclass(frozen=True)
class Settings:
    """Of a server."""

    folder: Path
    """That holds a folder for each model."""
    host: str = "127.0.0.1"
    """Address to listen at; 0.0.0.0 for all of the machine's."""
    port: int = 8501
    """Of the REST interface; 0 takes any that is free."""
    grpc_port: int = 8500
    """Of the gRPC interface; 0 takes any that is free."""
    batching: Batching | None = field(default_factory=Batching)
    limits: Limits = field(default_factory=Limits)
    seconds: float = 1.0
    """From one look for new versions to the next."""


class Server:
    """Both interfaces, from `start` to `stop`.

    Args:
        settings: what to serve, and where.

    Attributes:
        port: of the REST interface.
        grpc_port: of the gRPC interface.

    Raises:
        SuiteError: a port is taken, or there is no such folder.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.folder.is_dir():
            raise SuiteError(
                f"{settings.folder}: there is no such folder. Train a model first, or name another with --models."
            )
        self.settings = settings
        self.repository = Repository(settings.folder, settings.batching, settings.seconds)
        self.service = Service(self.repository, settings.limits)
        self.workers = ThreadPoolExecutor(settings.limits.workers, thread_name_prefix="rest")
        self._socket = _bound(settings.host, settings.port)
        self.port = int(self._socket.getsockname()[1])
        options = [
            ("grpc.max_receive_message_length", settings.limits.body),
            ("grpc.max_send_message_length", -1),
            ("grpc.so_reuseport", 0),
        ]
        self._grpc = grpc.server(
            ThreadPoolExecutor(settings.limits.workers, thread_name_prefix="grpc"),
            options=options,
            maximum_concurrent_rpcs=settings.limits.requests,
        )
        add_services(self._grpc, self.service)
        try:
            self.grpc_port = int(self._grpc.add_insecure_port(f"{settings.host}:{settings.grpc_port}"))
        except RuntimeError as error:
            self._socket.close()
            raise SuiteError(
                f"{settings.host}:{settings.grpc_port} cannot be listened at; name another with --grpc-port."
            ) from error
        config = uvicorn.Config(
            app_of(self.service, self.workers),
            log_level="warning",
            access_log=False,
            timeout_graceful_shutdown=int(GRACE),
            timeout_keep_alive=int(UNENDING),
            lifespan="off",
            proxy_headers=False,  # nobody here asks where a caller is
        )
        self._rest = _Rest(config, self.drain)
        self._thread: threading.Thread | None = None

    def run(self) -> None:
        """Serves until SIGTERM, SIGINT or `stop`, then finishes what it has taken on."""
        self.repository.start()
        self._grpc.start()
        try:
            self._rest.run(sockets=[self._socket])
        finally:
            self.drain()
            self._grpc.stop(GRACE).wait()
            self.repository.stop()
            self.workers.shutdown()

    def start(self) -> None:
        """Serves in a thread, for tests and notebooks, until `stop`."""
        self._thread = threading.Thread(target=self.run, name="server", daemon=True)
        self._thread.start()

    def drain(self) -> None:
        """Takes no new requests."""
        self.service.draining = True

    def stop(self) -> None:
        """Finishes what was taken on, and ends."""
        self.drain()
        self._rest.should_exit = True
        if self._thread is not None:
            self._thread.join()


class _Rest(uvicorn.Server):
    """Tells when a signal comes in, and works outside the main thread too."""

    def __init__(self, config: uvicorn.Config, on_exit: Any) -> None:
        super().__init__(config)
        self.on_exit = on_exit

    def handle_exit(self, sig: int, frame: Any) -> None:
        self.on_exit()
        super().handle_exit(sig, frame)

    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        with super().capture_signals():
            try:
                yield
            finally:  # uvicorn would raise them again, and end the process before the other interface is done
                self._captured_signals.clear()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    found = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)  # named, or asyncio leaves answers to Nagle
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, port))
        found.listen(WAITING)
    except OSError as error:
        found.close()
        raise SuiteError(
            f"{host}:{port} cannot be listened at ({error.strerror}); name another with --port."
        ) from error
    return found
