"""The gRPC server: the services of TensorFlow Serving, health and reflection, with encryption, authentication and limits."""

from __future__ import annotations

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import model_service_pb2, prediction_service_pb2

from shared.errors import SuiteError
from shared.serving.dispatch import Dispatcher
from shared.serving.rpc import add_services
from shared.serving.security import Guard, GuardInterceptor
from shared.serving.settings import Settings
from shared.serving.tracing import grpc_interceptors
from shared.serving.transport import format_address, grpc_credentials

MAX_FURTHER_REQUESTS = 32  # requests for health and reflection at the same time, beside predictions
SERVICE_NAMES = (
    prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name,
    model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
)


class GrpcServer:
    """A gRPC server in the running event loop. Create it with `create`.

    Attributes:
        port: port of the API.
    """

    def __init__(self, dispatcher: Dispatcher, guard: Guard, settings: Settings) -> None:
        self.service = dispatcher.service
        limits = settings.limits
        interceptors = [] if guard.token is None else [GuardInterceptor(guard)]
        self._server = grpc.aio.server(
            interceptors=[*(grpc_interceptors() if settings.is_traced else ()), *interceptors],
            options=[
                ("grpc.max_receive_message_length", limits.max_grpc_message_size or limits.max_body_size),
                ("grpc.max_send_message_length", -1),
                ("grpc.so_reuseport", 0),
            ],
            maximum_concurrent_rpcs=limits.max_requests + MAX_FURTHER_REQUESTS,
        )
        add_services(self._server, dispatcher, guard)
        self._health = health.aio.HealthServicer()
        self._is_healthy: bool | None = None
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*SERVICE_NAMES, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        address, credentials = format_address(settings.host, settings.grpc_port), grpc_credentials(settings.security)
        try:
            if credentials is None:
                self.port = int(self._server.add_insecure_port(address))
            else:
                self.port = int(self._server.add_secure_port(address, credentials))
        except RuntimeError as error:
            raise SuiteError(f"Cannot listen on {address}. Choose another port with --grpc-port.") from error

    @classmethod
    async def create(cls, dispatcher: Dispatcher, guard: Guard, settings: Settings) -> GrpcServer:
        """Returns a server for the running event loop, which listens, but does not respond yet.

        Raises:
            SuiteError: the port is not available.
        """
        return cls(dispatcher, guard, settings)

    async def start(self) -> None:
        """Begins to respond."""
        await self.update_health()
        await self._server.start()

    async def stop(self, timeout: float) -> None:
        """Rejects new requests, and waits for the running ones.

        Args:
            timeout: maximum number of seconds to wait.
        """
        await self._server.stop(timeout)

    async def update_health(self) -> None:
        """Reports to the clients of the health service whether the server is ready."""
        is_ready = self.service.is_ready
        if is_ready == self._is_healthy:
            return
        self._is_healthy = is_ready
        statuses = health_pb2.HealthCheckResponse
        for name in ("", *SERVICE_NAMES):
            await self._health.set(name, statuses.SERVING if is_ready else statuses.NOT_SERVING)
