"""The server and the clients of the load test (`serving_load.py`)."""

from __future__ import annotations

import asyncio
import itertools
import json
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import grpc
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2

SERVER_PROGRAM = (
    "import sys\n"
    "from pathlib import Path\n"
    "from shared.serving.batching import Batching\n"
    "from shared.serving.logs import configure_logging\n"
    "from shared.serving.server import Server, Settings\n"
    "configure_logging('text', 'access' in sys.argv)\n"
    "batching = Batching() if 'batched' in sys.argv else None\n"
    "server = Server(Settings(Path(sys.argv[1]), port=0, grpc_port=0, batching=batching))\n"
    "print(server.port, server.grpc_port, flush=True)\n"
    "server.run()\n"
)
PREDICT_METHOD = "/tensorflow.serving.PredictionService/Predict"
NUM_CHANNELS = 8  # connections that the gRPC clients share
Job = tuple[str, bytes]
"""Name of a model and body of a request."""


@dataclass
class Measurements:
    """Measurements of the requests to one model."""

    seconds: list[float] = field(default_factory=list)
    """Duration of each successful request."""
    failures: list[str] = field(default_factory=list)


class ServerProcess:
    """A server in a separate process.

    Args:
        models: folder of the models.
        is_batched: whether the server uses micro-batching.
        has_access_log: whether it writes a line for each request.
    """

    def __init__(self, models: Path, is_batched: bool = True, has_access_log: bool = False) -> None:
        words = ["batched"] * is_batched + ["access"] * has_access_log
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVER_PROGRAM, str(models), *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self.process.stdout is not None
        self.port, self.grpc_port = map(int, self.process.stdout.readline().split())
        while asyncio.run(_is_ready(self.port)) is False:
            time.sleep(0.2)

    @property
    def memory_mib(self) -> float:
        """Resident memory of the process, in MiB."""
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> int:
        """Sends SIGTERM and returns the exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(120)


async def _is_ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return b" 200 " in line


async def _send_request(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, body: bytes
) -> tuple[int, bytes, bool]:
    """Returns status and body of the response, and whether the server closes the connection."""
    head = f"POST /v1/models/{name}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    length, is_last = 0, False
    while (line := await reader.readline()).strip():
        key, _, value = line.lower().partition(b":")
        length = int(value) if key == b"content-length" else length
        is_last |= key == b"connection" and value.strip() == b"close"
    return status, await reader.readexactly(length), is_last


async def run_rest_client(
    port: int, jobs: Sequence[Job], deadline: float, measurements: dict[str, Measurements]
) -> None:
    """Sends the jobs in turn on a connection that stays open, until the deadline, or until a server that shuts down has closed the
    connection after a response and accepts no other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name, body in itertools.cycle(jobs):
        if time.monotonic() > deadline:
            break
        start = time.perf_counter()
        try:
            status, response, is_last = await _send_request(reader, writer, name, body)
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            measurements[name].failures.append(type(error).__name__)
            return
        if status == 200:
            measurements[name].seconds.append(time.perf_counter() - start)
            json.loads(response)
        else:
            measurements[name].failures.append(f"{status} {response[:80]!r}")
        if is_last:
            writer.close()
            try:
                reader, writer = await asyncio.open_connection("127.0.0.1", port)
            except ConnectionRefusedError:  # no request was sent: a client goes to another server
                return
    writer.close()


async def run_rest_clients(
    server: ServerProcess, clients: Sequence[Sequence[Job]], seconds: float
) -> dict[str, Measurements]:
    """Runs one client per sequence of jobs; returns the measurements by model name."""
    measurements = {name: Measurements() for jobs in clients for name, _ in jobs}
    deadline = time.monotonic() + seconds
    await asyncio.gather(*(run_rest_client(server.port, jobs, deadline, measurements) for jobs in clients))
    return measurements


async def run_grpc_clients(
    server: ServerProcess, model: str, texts: Sequence[str], num_clients: int, seconds: float
) -> Measurements:
    """Sends one text per request over gRPC; requests are serialized beforehand, and responses are only received.

    Args:
        server: the server.
        model: name of the model; its input is `text`.
        texts: the texts, which each client sends in turn.
        num_clients: number of clients; each waits for its response.
        seconds: duration.
    """
    requests, measurements = [], Measurements()
    for text in texts:
        request = predict_pb2.PredictRequest()
        request.model_spec.name = model
        request.inputs["text"].CopyFrom(tf.make_tensor_proto([text.encode()]))
        requests.append(request.SerializeToString())
    options = [("grpc.use_local_subchannel_pool", 1)]
    channels = [grpc.aio.insecure_channel(f"127.0.0.1:{server.grpc_port}", options) for _ in range(NUM_CHANNELS)]
    calls = [channel.unary_unary(PREDICT_METHOD) for channel in channels]
    deadline = time.monotonic() + seconds

    async def run_client(k: int) -> None:
        for request in itertools.cycle(requests):
            if time.monotonic() > deadline:
                return
            start = time.perf_counter()
            try:
                await calls[k % NUM_CHANNELS](request, timeout=60)
            except grpc.aio.AioRpcError as error:
                measurements.failures.append(f"{error.code().name} {error.details()}")
                return
            measurements.seconds.append(time.perf_counter() - start)

    await asyncio.gather(*(run_client(k) for k in range(num_clients)))
    for channel in channels:
        await channel.close()
    return measurements
