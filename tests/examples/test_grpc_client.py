"""The example's answers are the server's."""

from __future__ import annotations

import pytest

from examples.grpc_client import ask
from tests.shared.serving.conftest import serving, write


def test_it_asks_by_grpc(tmp_path):
    (tmp_path / "small").mkdir()
    write(tmp_path / "small", 1)
    client = serving(tmp_path)
    try:
        found = ask(f"127.0.0.1:{client.server.grpc_port}", "small", ["good", "worse"])
        assert found["label"] == [b"GOOD", b"WORSE"]
        assert found["probabilities"][0] == pytest.approx([0.04, 0.96])
    finally:
        client.server.stop()
