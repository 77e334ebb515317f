"""Tracing with OpenTelemetry, configured by its standard environment variables, such as `OTEL_EXPORTER_OTLP_ENDPOINT`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from shared.errors import SuiteError

if TYPE_CHECKING:
    from starlette.types import ASGIApp

SERVICE = "lstm-suite"
EXCLUDED_PATHS = "livez,readyz,monitoring"


def set_up_tracing() -> None:
    """Sends the traces of this process to a collector (OTLP over HTTP), unless the process has set up tracing itself.

    Raises:
        SuiteError: OpenTelemetry is not installed.
    """
    try:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import OTELResourceDetector, Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
    except ModuleNotFoundError as error:
        raise SuiteError(f"serve: {error.name} is not installed. Run: pip install -e '.[tracing]'") from error
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return
    resource = Resource.create({"service.name": SERVICE}).merge(OTELResourceDetector().detect())
    provider = TracerProvider(resource=resource)  # it sends the remaining traces when the process ends
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    trace.set_tracer_provider(provider)


def trace_app(app: ASGIApp) -> ASGIApp:
    """Returns an application whose requests are traced, except those for health and metrics."""
    from opentelemetry.instrumentation.asgi import OpenTelemetryMiddleware

    return OpenTelemetryMiddleware(app, excluded_urls=EXCLUDED_PATHS, exclude_spans=["receive", "send"])


def grpc_interceptors() -> list[Any]:
    """Returns the interceptors that trace gRPC requests, except those for health."""
    from opentelemetry.instrumentation.grpc import aio_server_interceptor, filters

    return [aio_server_interceptor(filter_=filters.negate(filters.health_check()))]
