"""The clients of the load test count responses over both APIs, and none fails."""

from __future__ import annotations

import asyncio
import json

import pytest

from benchmarks.serving_clients import Measurements, run_grpc_clients, run_rest_clients
from tests.shared.serving.conftest import start_server, write_version

TEXTS = ("good", "a longer one")


@pytest.fixture
def server(tmp_path):
    (tmp_path / "small").mkdir()
    write_version(tmp_path / "small", 1)
    client = start_server(tmp_path)
    yield client.server
    client.server.stop()


def test_clients_of_both_apis_get_responses(server):
    jobs = [("small", json.dumps({"instances": [text]}).encode()) for text in TEXTS]
    rest = asyncio.run(run_rest_clients(server, [jobs] * 4, 0.5))["small"]
    rpc = asyncio.run(run_grpc_clients(server, "small", TEXTS, 4, 0.5))
    for measurements in (rest, rpc):
        assert measurements.failures == []
        assert len(measurements.seconds) >= 4


def test_an_error_counts_as_a_failure(server):
    rest = asyncio.run(run_rest_clients(server, [[("small", b"{")]], 0.05))["small"]
    rpc = asyncio.run(run_grpc_clients(server, "other", TEXTS, 1, 0.05))
    assert rest.failures[0].startswith("400")
    assert rpc.failures[0].startswith("NOT_FOUND")
    assert rest.seconds == rpc.seconds == Measurements().seconds
