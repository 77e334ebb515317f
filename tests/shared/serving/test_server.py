"""Limits hold, stopping loses nothing that was taken on, and a new version comes in without a failed request."""

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
from shared.serving.server import Server, Settings, _bound
from shared.serving.service import Limits
from tests.shared.serving.conftest import serving
from tests.shared.serving.test_rpc import asked

ASKED = {"instances": ["a"]}


@pytest.fixture
def slow(monkeypatch):
    """Each answer takes half a second; tells which requests were begun together."""
    real, begun = batching.Batcher.together, []

    def together(self, requests):
        begun.append(len(requests))
        time.sleep(0.5)
        return real(self, requests)

    monkeypatch.setattr(batching.Batcher, "together", together)
    return begun


@pytest.fixture
def started(folder):
    """Starts servers of the folder, and stops them."""
    found = []

    def start(**settings):
        found.append(serving(folder, **settings))
        return found[-1]

    yield start
    for client in found:
        client.server.stop()


def test_no_part_of_an_answer_waits_until_the_one_before_is_acknowledged():
    """Of a socket that does not say that it is TCP's, asyncio leaves Nagle's algorithm on: 40 ms for each small answer."""

    async def taken() -> int:
        found: asyncio.Future[int] = asyncio.get_running_loop().create_future()

        def accepted(reader, writer):
            connection = writer.get_extra_info("socket")
            found.set_result(connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))
            writer.close()

        async with await asyncio.start_server(accepted, sock=_bound("127.0.0.1", 0)) as server:
            _, writer = await asyncio.open_connection(*server.sockets[0].getsockname())
            writer.close()
            return await found

    assert asyncio.run(taken())


def test_a_taken_port_is_told(folder):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        for name, option in (("port", "--port"), ("grpc_port", "--grpc-port")):
            with pytest.raises(SuiteError, match=f"{port} cannot be listened at.* {option}"):
                Server(Settings(folder, **{"port": 0, "grpc_port": 0, name: port}))


def test_a_missing_folder_is_told(tmp_path):
    with pytest.raises(SuiteError, match="no such folder"):
        Server(Settings(tmp_path / "nowhere", port=0, grpc_port=0))


@pytest.mark.parametrize("workers", [2, 64])
def test_more_requests_than_may_be_are_refused_and_the_others_answered(started, slow, workers):
    client = started(limits=Limits(requests=3, workers=workers))
    with ThreadPoolExecutor(8) as pool:
        found = [status for status, _ in pool.map(lambda _: client.post("small", ASKED), range(8))]
    assert sorted(set(found)) == [200, 503]
    assert found.count(200) >= 3
    with ThreadPoolExecutor(8) as pool:
        codes = list(pool.map(lambda _: code_of(client), range(8)))
    assert set(codes) == {grpc.StatusCode.OK, grpc.StatusCode.RESOURCE_EXHAUSTED}
    assert client.post("small", ASKED)[0] == 200


def code_of(client, timeout=30.0):
    try:
        client.stub().Predict(asked(text=[b"a"]), timeout=timeout)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.mark.parametrize("joined", [None, batching.Batching(threads=1)])
def test_what_takes_too_long_is_told_and_what_waits_too_long_is_dropped(started, slow, joined):
    client = started(limits=Limits(seconds=0.3, workers=1), batching=joined)
    with ThreadPoolExecutor(6) as pool:
        found = {status for status, _ in pool.map(lambda _: client.post("small", ASKED), range(6))}
    assert found == {504}
    time.sleep(0.7)
    assert sum(slow) < 6  # the others were given up before their turn
    _until(lambda: client.server.service._going == 0)
    assert code_of(client, timeout=0.2) is grpc.StatusCode.DEADLINE_EXCEEDED


def test_before_the_models_are_loaded_it_lives_and_is_not_ready(folder, monkeypatch):
    go_on = threading.Event()
    real = models.Version.load
    monkeypatch.setattr(models.Version, "load", lambda self, batching: (go_on.wait(30), real(self, batching)))
    server = Server(Settings(folder, port=0, grpc_port=0))
    server.start()
    try:
        from tests.shared.serving.conftest import Client

        client = Client(server)
        while not server._rest.started or "small" not in server.repository.models:
            time.sleep(0.01)
        assert client.http("GET", "/livez")[0] == 200
        assert client.http("GET", "/readyz")[0] == 503
        assert client.post("small", ASKED)[0] == 503
        go_on.set()
        client.ready()
        assert client.http("GET", "/readyz")[0] == 200
        assert client.post("small", ASKED)[0] == 200
    finally:
        go_on.set()
        server.stop()


def test_a_new_version_comes_in_and_an_old_one_goes_without_a_failed_request(started, written, folder):
    client = started()
    ended, failed, seen = threading.Event(), [], set()

    def ask(place):
        while not ended.is_set():
            status, found = client.http("POST", f"/v1/models/small{place}:predict", ASKED)
            if status == 200:
                seen.add(found["predictions"][0]["version"])
            else:
                failed.append(found)

    threads = [threading.Thread(target=ask, args=(place,)) for place in ("", "", "/labels/stable", "/labels/canary")]
    for thread in threads:
        thread.start()
    for number in ("2", "3", "4"):
        aside = folder / "small" / f".aside-{number}"
        shutil.copytree(written / "2", aside)
        aside.rename(folder / "small" / number)
        while client.server.repository.version("small").number != int(number):
            time.sleep(0.05)
    ended.set()
    for thread in threads:
        thread.join()
    assert failed == []
    assert seen == {1, 2}
    while (
        client.server.repository.models["small"][4].state != models.AVAILABLE
        or 2 in client.server.repository.models["small"]
    ):
        time.sleep(0.05)
    assert [one.number for one in client.server.repository.versions("small")] == [4, 3]


@pytest.mark.parametrize("interfaces", [("REST", "gRPC"), ("REST",), ("gRPC",)])
def test_sigterm_finishes_what_was_taken_on_and_refuses_the_rest(folder, interfaces):
    code = (
        "import os, sys, threading\n"
        "from pathlib import Path\n"
        "from shared.serving import batching, service\n"
        "from shared.serving.server import Server, Settings\n"
        "answer, admit, go_on = batching.Batcher.together, service.Service.admit, threading.Event()\n"
        "threading.Thread(target=lambda: (sys.stdin.readline(), go_on.set()), daemon=True).start()\n"
        "def admitted(*arguments):\n"
        "    end = admit(*arguments)\n"
        "    os.write(1, b'taken on\\n')  # whole, whichever thread it is\n"
        "    return end\n"
        "def answered(*arguments):\n"
        "    assert go_on.wait(60)\n"
        "    return answer(*arguments)\n"
        "service.Service.admit, batching.Batcher.together = admitted, answered\n"
        "server = Server(Settings(Path(sys.argv[1]), port=0, grpc_port=0))\n"
        "print(server.port, server.grpc_port, flush=True)\n"
        "server.run()\n"
    )
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ.copy(),
    )
    assert child.stdin is not None
    assert child.stdout is not None
    port, grpc_port = map(int, child.stdout.readline().split())

    class Remote:
        server = type("server", (), {"port": port, "grpc_port": grpc_port})

    from tests.shared.serving.conftest import Client

    client = Client(Remote.server)
    _until(lambda: _answers(client))
    with ThreadPoolExecutor(6) as pool:
        rest = [pool.submit(client.post, "small", ASKED) for _ in range(3) if "REST" in interfaces]
        rpc = [pool.submit(code_of, client, 60) for _ in range(3) if "gRPC" in interfaces]
        for _ in [*rest, *rpc]:
            assert child.stdout.readline() == "taken on\n"
        child.send_signal(signal.SIGTERM)
        _until(lambda: not _answers(client))
        assert code_of(client, 5) is not grpc.StatusCode.OK
        child.stdin.write("go on\n")
        child.stdin.flush()
        assert {future.result()[0] for future in rest} <= {200}
        assert {future.result() for future in rpc} <= {grpc.StatusCode.OK}
    assert child.wait(60) == 0


def _until(true):
    deadline = time.monotonic() + 60
    while not true():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.05)


def _answers(client):
    try:
        return client.http("GET", "/readyz")[0] == 200
    except OSError:
        return False


def test_noise_of_all_kinds_leaves_it_alive(started):
    """Methods, addresses and bodies drawn at random, for a bounded number of tries."""
    client, rng = started(), random.Random(0)
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
        with socket.create_connection(("127.0.0.1", client.server.port), timeout=10) as link:
            head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n"
            link.sendall(head.encode() + body)
            status = int(link.makefile("rb").readline().split()[1])
        assert 200 <= status < 500, (method, path, body)
    for name in ("Predict", "GetModelMetadata"):
        call = client.channel().unary_unary(f"/tensorflow.serving.PredictionService/{name}")
        for _ in range(100):
            call_of_noise = call.future(bytes(rng.choices(range(256), k=rng.randint(0, 60))), timeout=10)
            assert call_of_noise.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
    assert client.post("small", ASKED)[0] == 200
    assert code_of(client) is grpc.StatusCode.OK
