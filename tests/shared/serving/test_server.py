"""Limits are enforced, a shutdown finishes the running requests, and a new version is loaded without a failed request."""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest

from shared.errors import SuiteError
from shared.serving import batching, models
from shared.serving.server import Server, Settings
from shared.serving.settings import Limits
from shared.serving.transport import bind
from tests.shared.serving.conftest import Client, start_server
from tests.shared.serving.test_rpc import create_request

BODY = {"instances": ["a"]}


@pytest.fixture
def slow_batches(monkeypatch):
    """Makes each batch take half a second, and records the number of requests in each."""
    original, batch_sizes = batching.Batcher.run_batch, []

    def run_batch(self, requests):
        batch_sizes.append(len(requests))
        time.sleep(0.5)
        return original(self, requests)

    monkeypatch.setattr(batching.Batcher, "run_batch", run_batch)
    return batch_sizes


@pytest.fixture
def start_client(models_folder):
    """Function that starts a server with `models_folder` and returns its client; the servers stop after the test."""
    clients = []

    def start(**settings):
        clients.append(start_server(models_folder, **settings))
        return clients[-1]

    yield start
    for client in clients:
        client.server.stop()


def test_connections_do_not_use_nagles_algorithm():
    """asyncio leaves it on for a socket without an explicit protocol, which adds 40 ms to each small response."""

    async def read_option() -> int:
        option: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accept(reader, writer):
            connection = writer.get_extra_info("socket")
            option.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(accept, sock=bind("127.0.0.1", 0)) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            return await option

    assert asyncio.run(read_option())


def test_a_port_in_use_is_an_error_that_names_the_option(models_folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for name, option in (("port", "--port"), ("grpc_port", "--grpc-port")):
            with pytest.raises(SuiteError, match=f"Cannot listen on 127.0.0.1:{port}.* {option}"):
                Server(Settings(models_folder, **{"port": 0, "grpc_port": 0, name: port}))


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(SuiteError, match="this folder does not exist"):
        Server(Settings(tmp_path / "nowhere", port=0, grpc_port=0))


@pytest.mark.parametrize("num_workers", [2, 64])
def test_requests_over_the_limit_are_rejected_and_the_others_get_a_response(start_client, slow_batches, num_workers):
    client = start_client(limits=Limits(max_requests=3, num_workers=num_workers))
    with ThreadPoolExecutor(8) as pool:
        statuses = [status for status, _ in pool.map(lambda _: client.post("small", BODY), range(8))]
    assert sorted(set(statuses)) == [200, 503]
    assert statuses.count(200) >= 3
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: grpc_code(client), range(8)))
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert client.post("small", BODY)[0] == 200


def grpc_code(client, timeout=30.0):
    """Returns the status code of a prediction over gRPC."""
    try:
        client.prediction_stub().Predict(create_request(text=[b"a"]), timeout=timeout)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("batching_settings", [None, batching.Batching(num_threads=1)])
def test_slow_requests_get_504_and_requests_that_wait_too_long_never_run(start_client, slow_batches, batching_settings):
    client = start_client(limits=Limits(timeout=0.3, num_workers=1), batching=batching_settings)
    with ThreadPoolExecutor(6) as pool:
        statuses = {status for status, _ in pool.map(lambda _: client.post("small", BODY), range(6))}
    assert statuses == {504}
    time.sleep(0.7)
    assert sum(slow_batches) < 6  # the others were dropped before their batch
    wait_until(lambda: client.server.service._num_requests == 0)
    assert grpc_code(client, timeout=0.2) is grpc.StatusCode.DEADLINE_EXCEEDED


def test_requests_of_both_apis_share_batches(start_client, slow_batches):
    client = start_client(batching=batching.Batching(num_threads=1))
    stub, request = client.prediction_stub(), create_request(text=[b"a"])
    with ThreadPoolExecutor(24) as pool:
        rpc = [pool.submit(stub.Predict, request, timeout=30) for _ in range(12)]
        rest = [pool.submit(client.post, "small", BODY) for _ in range(12)]
        assert {future.result()[0] for future in rest} == {200}
        assert {future.result().outputs["label"].string_val[0] for future in rpc} == {b"A"}
    assert sum(slow_batches) == 24
    assert max(slow_batches) > 12  # more than the requests of one API alone


def test_an_invalid_grpc_request_of_a_batch_fails_alone(start_client, slow_batches):
    client = start_client(batching=batching.Batching(num_threads=1))
    stub = client.prediction_stub()
    requests = [create_request(signature="choosy", k=[k]) for k in (1, 2, 0, 3, 4)]
    codes = [stub.Predict.future(request, timeout=30) for request in requests]
    ok, invalid = grpc.StatusCode.OK, grpc.StatusCode.INVALID_ARGUMENT
    assert [call.code() for call in codes] == [ok, ok, invalid, ok, ok]
    assert len(slow_batches) < 5 or max(slow_batches) > 1


def test_before_the_models_are_loaded_the_server_is_alive_and_not_ready(models_folder, monkeypatch):
    resume = threading.Event()
    original = models.ModelVersion.load
    monkeypatch.setattr(models.ModelVersion, "load", lambda self, batching: (resume.wait(30), original(self, batching)))
    server = Server(Settings(models_folder, port=0, grpc_port=0))
    server.start()
    try:
        client = Client(server)
        while not server._rest_server.started or "small" not in server.repository.models:
            time.sleep(0.01)
        assert client.http("GET", "/livez")[0] == 200
        assert client.http("GET", "/readyz")[0] == 503
        assert client.post("small", BODY)[0] == 503
        resume.set()
        client.wait_until_ready()
        assert client.http("GET", "/readyz")[0] == 200
        assert client.post("small", BODY)[0] == 200
    finally:
        resume.set()
        server.stop()


def test_versions_are_loaded_and_unloaded_without_a_failed_request(start_client, versions, models_folder):
    client = start_client()
    repository = client.server.repository
    stop_requested, errors, seen_versions = threading.Event(), [], set()

    def send_requests(path):
        while not stop_requested.is_set():
            status, response = client.http("POST", f"/v1/models/small{path}:predict", BODY)
            if status == 200:
                seen_versions.add(response["predictions"][0]["version"])
            else:
                errors.append(response)

    paths = ("", "", "/labels/stable", "/labels/canary")
    threads = [threading.Thread(target=send_requests, args=(path,)) for path in paths]
    for thread in threads:
        thread.start()
    for number in ("2", "3", "4"):
        staging = models_folder / "small" / f".staging-{number}"
        shutil.copytree(versions / "2", staging)
        staging.rename(models_folder / "small" / number)
        while repository.find_version("small").version != int(number):
            time.sleep(0.05)
    stop_requested.set()
    for thread in threads:
        thread.join()
    assert errors == []
    assert seen_versions == {1, 2}
    while repository.models["small"][4].state != models.AVAILABLE or 2 in repository.models["small"]:
        time.sleep(0.05)
    assert [one.version for one in repository.list_versions("small")] == [4, 3]


@pytest.mark.parametrize("interfaces", [("REST", "gRPC"), ("REST",), ("gRPC",)])
def test_sigterm_finishes_the_running_requests_and_rejects_new_ones(models_folder, interfaces):
    code = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "from shared.serving import batching, service\n"
        "from shared.serving.server import Server, Settings\n"
        "original_run, original_admit = batching.Batcher.run_batch, service.Service.admit\n"
        "resume = threading.Event()\n"
        "threading.Thread(target=lambda: (sys.stdin.readline(), resume.set()), daemon=True).start()\n"
        "def admit(*arguments):\n"
        "    release = original_admit(*arguments)\n"
        "    os.write(1, b'admitted\\n')  # a single write, so that threads cannot mix their lines\n"
        "    return release\n"
        "def run_batch(*arguments):\n"
        "    assert resume.wait(60)\n"
        "    return original_run(*arguments)\n"
        "service.Service.admit, batching.Batcher.run_batch = admit, run_batch\n"
        "server = Server(Settings(Path(sys.argv[1]), port=0, grpc_port=0, grace_period=0.0))\n"
        "print(server.port, server.grpc_port, flush=True)\n"
        "server.run()\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(models_folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    port, grpc_port = map(int, process.stdout.readline().split())

    class RemoteServer:
        pass

    server = RemoteServer()
    server.port, server.grpc_port = port, grpc_port
    client = Client(server)
    wait_until(lambda: is_ready(client))
    with ThreadPoolExecutor(6) as pool:
        rest = [pool.submit(client.post, "small", BODY) for _ in range(3) if "REST" in interfaces]
        rpc = [pool.submit(grpc_code, client, 60) for _ in range(3) if "gRPC" in interfaces]
        for _ in [*rest, *rpc]:
            assert process.stdout.readline() == "admitted\n"
        process.send_signal(signal.SIGTERM)
        wait_until(lambda: not is_ready(client))
        assert grpc_code(client, 5) is not grpc.StatusCode.OK
        process.stdin.write("resume\n")
        process.stdin.flush()
        assert {future.result()[0] for future in rest} <= {200}
        assert {future.result() for future in rpc} <= {grpc.StatusCode.OK}
    assert process.wait(60) == 0


def wait_until(condition):
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "the condition does not become true"
        time.sleep(0.05)


def is_ready(client):
    try:
        return client.http("GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_random_requests_do_not_crash_the_server(start_client):
    """Random methods, paths and bodies, a fixed number of times."""
    client, rng = start_client(), random.Random(0)
    pieces = [
        "/v1",
        "/models",
        "/small",
        ":predict",
        "/versions",
        "/labels",
        "/1",
        "/x",
        "/metadata",
        "%2e%2e",
        "//",
        "?a=b",
        "é",
    ]
    bodies = [
        b'{"instances": ["a"]}',
        b'{"instances": [{"text": ',
        b"\x00\xff",
        b"[]",
        b"NaN",
        b'{"inputs": {"text": [1]}}',
        b"",
    ]
    for _ in range(400):
        path = "/" + "".join(rng.choices(pieces, k=rng.randint(1, 6)))
        method = rng.choice(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH"])
        body = bytes(rng.choices(range(256), k=30)) if rng.random() < 0.3 else rng.choice(bodies)
        path = path.encode("ascii", "ignore").decode()
        with socket.create_connection(("127.0.0.1", client.server.port), timeout=10) as connection:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)
            status = int(connection.makefile("rb").readline().split()[1])
        assert 200 <= status < 500, (method, path, body)
    for name in ("Predict", "GetModelMetadata"):
        method = client.channel().unary_unary(f"/tensorflow.serving.PredictionService/{name}")
        for _ in range(100):
            call = method.future(bytes(rng.choices(range(256), k=rng.randint(0, 60))), timeout=10)
            assert call.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert client.post("small", BODY)[0] == 200
    assert grpc_code(client) is grpc.StatusCode.OK
