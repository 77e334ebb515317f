"""SIGTERM: readiness falls first, the server still serves, and each connection closes after a response; no request fails."""

from __future__ import annotations

import http.client
import json
import os
import signal
import subprocess
import sys
import threading
import time

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc

from tests.shared.serving.test_rpc import create_request

BODY = json.dumps({"instances": ["a"]})
CODE = (
    "import sys; from pathlib import Path\n"
    "from shared.serving.server import Server, Settings\n"
    "server = Server(Settings(Path(sys.argv[1]), port=0, grpc_port=0, grace_period=1.5))\n"
    "print(server.port, server.grpc_port, flush=True)\n"
    "server.run()\n"
)


class KeepAliveClient(threading.Thread):
    """A client that sends requests on one connection, as HTTP pools do, until the server closes it and accepts no other."""

    def __init__(self, port: int) -> None:
        super().__init__(daemon=True)
        self.port, self.count, self.failures = port, 0, []
        self.has_new_connection_refused = False

    def run(self) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        while True:
            if connection.sock is None:
                try:
                    connection.connect()
                except ConnectionRefusedError:  # no request was sent: a client goes to another server
                    self.has_new_connection_refused = True
                    return
            try:
                connection.request("POST", "/v1/models/small:predict", BODY)
                response = connection.getresponse()
                response.read()
            except OSError as error:
                self.failures.append(repr(error))
                return
            self.count += 1
            if response.status != 200:
                self.failures.append(response.status)
            if response.getheader("connection") == "close":
                connection.close()


@pytest.fixture
def process(models_folder):
    """A server process with its ports."""
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, str(models_folder)], stdout=subprocess.PIPE, text=True, env=os.environ.copy()
    )
    assert process.stdout is not None
    ports = tuple(map(int, process.stdout.readline().split()))
    deadline = time.monotonic() + 60
    while ready_status(ports[0]) != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    yield process, *ports
    process.kill()
    process.wait()


def ready_status(port):
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
    connection.request("GET", "/readyz")
    return connection.getresponse().status


def test_no_request_of_eight_keep_alive_clients_fails_at_sigterm(process):
    server, port, grpc_port = process
    channel = grpc.insecure_channel(f"127.0.0.1:{grpc_port}")
    health = health_pb2_grpc.HealthStub(channel)
    check = health_pb2.HealthCheckRequest(service="tensorflow.serving.PredictionService")
    while health.Check(check, timeout=30).status != health_pb2.HealthCheckResponse.SERVING:
        time.sleep(0.01)
    clients = [KeepAliveClient(port) for _ in range(8)]
    for client in clients:
        client.start()
    while min(client.count for client in clients) < 5:
        time.sleep(0.01)
    server.send_signal(signal.SIGTERM)
    while ready_status(port) == 200:
        time.sleep(0.01)
    counts = [client.count for client in clients]
    while health.Check(check, timeout=30).status == health_pb2.HealthCheckResponse.SERVING:
        time.sleep(0.01)
    request = create_request(text=[b"a"])
    predict = channel.unary_unary(
        "/tensorflow.serving.PredictionService/Predict", request_serializer=type(request).SerializeToString
    )
    assert predict(request, timeout=30)  # both APIs still serve
    for client in clients:
        client.join(60)
    assert [client.failures for client in clients] == [[]] * 8
    assert all(client.has_new_connection_refused for client in clients)
    assert all(client.count > count for client, count in zip(clients, counts, strict=True))
    assert server.wait(60) == 0


def test_a_second_signal_ends_the_grace_period(process):
    server, port, _ = process
    server.send_signal(signal.SIGTERM)
    while ready_status(port) == 200:
        time.sleep(0.01)
    server.send_signal(signal.SIGTERM)
    assert server.wait(60) == 0
