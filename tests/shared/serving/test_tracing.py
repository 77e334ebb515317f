"""With `--tracing`, requests of both APIs become spans of OpenTelemetry."""

from __future__ import annotations

import time

import pytest

from tests.shared.serving.conftest import start_server
from tests.shared.serving.test_rpc import create_request

pytest.importorskip("opentelemetry.sdk")


def test_requests_of_both_apis_become_spans_with_the_trace_of_the_client(models_folder):
    from opentelemetry import trace
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    if not isinstance(trace.get_tracer_provider(), TracerProvider):
        trace.set_tracer_provider(TracerProvider())
    trace.get_tracer_provider().add_span_processor(SimpleSpanProcessor(exporter))
    client = start_server(models_folder, is_traced=True)
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    try:
        headers = {"traceparent": parent}
        assert client.http("POST", "/v1/models/small:predict", {"instances": ["a"]}, headers)[0] == 200
        assert client.http("GET", "/readyz")[0] == 200
        client.prediction_stub().Predict(create_request(text=[b"a"]), metadata=(("traceparent", parent),), timeout=30)
        deadline = time.monotonic() + 30
        while len(spans := exporter.get_finished_spans()) < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    finally:
        client.server.stop()
    assert {f"{span.context.trace_id:032x}" for span in spans} == {parent.split("-")[1]}
    names = " ".join(span.name for span in spans)
    assert "/v1/models/small:predict" in names
    assert "Predict" in names
