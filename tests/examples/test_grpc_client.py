"""The gRPC client gets the predictions of a server."""

from __future__ import annotations

import pytest

from examples.grpc_client import predict
from tests.shared.serving.conftest import start_server, write_version


def test_predict_returns_the_outputs_of_the_server(tmp_path):
    (tmp_path / "small").mkdir()
    write_version(tmp_path / "small", 1)
    client = start_server(tmp_path)
    try:
        outputs = predict(f"127.0.0.1:{client.server.grpc_port}", "small", ["good", "worse"])
        assert outputs["label"] == [b"GOOD", b"WORSE"]
        assert outputs["probabilities"][0] == pytest.approx([0.04, 0.96])
    finally:
        client.server.stop()
