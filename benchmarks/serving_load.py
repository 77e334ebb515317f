"""Load test of the embedded server: many simultaneous clients, a new version under load, and a shutdown under load.

    python -m benchmarks.serving_load saved_models --seconds 300 --clients 64
    python -m benchmarks.serving_load saved_models --seconds 20 --only batching

1. Overhead: short texts from one client, over REST and by direct calls of the SavedModel in this process.
2. Micro-batching: texts of three to six words and sentences of about twenty words from all clients, with and without batching; over
   REST, over gRPC, and from the same number of threads in one process, without reading of requests and writing of responses.
3. Load: each client sends the example request of each model in turn, on a connection that stays open. After half of the time, a new
   version of a model is published. The memory of the server is recorded every second. At the end the server gets SIGTERM under load.
4. Large bodies: eight clients send recordings of 30 seconds as JSON, several MiB each; the memory of the server is recorded.

Clients and server share the cores of the machine. A request counts as failed unless its response is complete with status 200, also
after SIGTERM. During the load, the server writes its access log.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from benchmarks.serving_clients import (
    Job,
    Measurements,
    ServerProcess,
    run_grpc_clients,
    run_rest_client,
    run_rest_clients,
)

SPEECH_MODEL, SAMPLE_RATE = "speech", 16_000  # samples per second
RECORDING_SECONDS, LARGE_BODY_CLIENTS = 30, 8
TEXT_MODEL = "sentiment"
PARTS = ("overhead", "batching", "load", "bodies")
SHORT_TEXTS = ("What an ending!", "Nobody would call the plot dull.", "I fell asleep twice.")
SENTENCES = (
    "The plot drags for most of its two hours, but what an ending, and what a pair of actors in it!",
    "Nobody in the cinema would have called the story dull, though few of them could have told it again.",
    "I fell asleep twice before the murder, woke up for the trial, and never found out who did it.",
)


def main() -> None:
    """Runs all measurements and prints their results."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path, help="folder with the exported models")
    parser.add_argument("--seconds", type=float, default=300, help="duration of the load")
    parser.add_argument("--clients", type=int, default=64, help="number of simultaneous clients")
    parser.add_argument("--only", choices=PARTS, help="one part of the measurements; by default all")
    arguments = parser.parse_args()
    parts = PARTS if arguments.only is None else (arguments.only,)
    print(describe_machine("tensorflow", "uvicorn", "starlette"))
    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        for folder in sorted(arguments.models.iterdir()):
            versions = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            if versions:
                shutil.copytree(folder / str(versions[-1]), models / folder.name / "1")
        bodies = {folder.name: _example_body(folder / "1") for folder in sorted(models.iterdir())}
        if TEXT_MODEL in bodies and "overhead" in parts:
            _measure_overhead(models)
        if TEXT_MODEL in bodies and "batching" in parts:
            _measure_batching(models, arguments.clients, min(20.0, arguments.seconds))
        if "load" in parts:
            _measure_load(models, bodies, arguments.clients, arguments.seconds)
        if SPEECH_MODEL in bodies and "bodies" in parts:
            _measure_large_bodies(models, min(120.0, arguments.seconds))


def _example_body(version: Path) -> bytes:
    """Returns the example request of an exported version as JSON in columns."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from shared.export.publishing import WARMUP

    record = next(iter(tf.data.TFRecordDataset(str(version / WARMUP))))
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    columns = {name: _to_json_value(value) for name, value in values.items()}
    return json.dumps({"signature_name": request.model_spec.signature_name, "inputs": columns}).encode()


def _to_json_value(value: np.ndarray) -> Any:
    if value.dtype != object:
        return value.tolist()
    texts = np.array([item.decode(errors="replace") for item in value.ravel()], object)
    return texts.reshape(value.shape).tolist()


def _text_jobs(texts: Sequence[str] = SHORT_TEXTS) -> list[Job]:
    return [(TEXT_MODEL, json.dumps({"instances": [{"text": text}]}).encode()) for text in texts]


def _measure_overhead(models: Path) -> None:
    """Prints the median latency over REST, and that of direct calls."""
    import tensorflow as tf

    loaded = tf.saved_model.load(str(models / TEXT_MODEL / "1"))
    call, direct_seconds = loaded.signatures["serving_default"], []
    for text in itertools.islice(itertools.cycle(SHORT_TEXTS), 600):
        start = time.perf_counter()
        {name: value.numpy() for name, value in call(text=tf.constant([text])).items()}
        direct_seconds.append(time.perf_counter() - start)
    for is_batched in (True, False):
        server = ServerProcess(models, is_batched)
        rest_seconds = asyncio.run(run_rest_clients(server, [_text_jobs()], 5))[TEXT_MODEL].seconds
        server.stop()
        rest, direct = (1000 * np.median(values[len(values) // 5 :]) for values in (rest_seconds, direct_seconds))
        mode = "batched" if is_batched else "unbatched"
        print(f"one client, {mode}: {rest:.2f} ms over REST, {direct:.2f} ms by direct call, ratio {rest / direct:.2f}")


def _measure_batching(models: Path, num_clients: int, seconds: float) -> None:
    """Prints the responses per second with and without batching."""
    for title, texts in (("short texts", SHORT_TEXTS), ("sentences", SENTENCES)):
        rates, grpc_rates = {}, {}
        for is_batched in (False, True):
            server = ServerProcess(models, is_batched)
            measurements = asyncio.run(run_rest_clients(server, [_text_jobs(texts)] * num_clients, seconds))[TEXT_MODEL]
            server.stop()
            rates[is_batched] = len(measurements.seconds) / seconds
            assert not measurements.failures, measurements.failures[:3]
            grpc_rates[is_batched] = _measure_grpc(models, texts, num_clients, seconds, is_batched)
        _print_rates(f"{title}, {num_clients} clients over REST", rates)
        _print_rates(f"{title}, {num_clients} clients over gRPC", grpc_rates)
        print(f"{title}: gRPC has {grpc_rates[True] / rates[True]:.0%} of the rate of REST")
        _print_rates(
            f"{title}, {num_clients} threads of one process", _measure_threads(models, texts, num_clients, seconds)
        )


def _measure_grpc(models: Path, texts: Sequence[str], num_clients: int, seconds: float, is_batched: bool) -> float:
    """Returns the responses per second over gRPC."""
    server = ServerProcess(models, is_batched)
    measurements = asyncio.run(run_grpc_clients(server, TEXT_MODEL, texts, num_clients, seconds))
    server.stop()
    assert not measurements.failures, measurements.failures[:3]
    return len(measurements.seconds) / seconds


def _print_rates(title: str, rates: dict[bool, float]) -> None:
    batched, unbatched = rates[True], rates[False]
    print(f"{title}: {batched:.0f} per second batched, {unbatched:.0f} unbatched, ratio {batched / unbatched:.2f}")


def _measure_threads(models: Path, texts: Sequence[str], num_threads: int, seconds: float) -> dict[bool, float]:
    """Returns the calls per second of the server's batcher, with (True) and without (False) batching."""
    import tensorflow as tf

    from shared.serving.batching import Batcher, Batching

    loaded = tf.saved_model.load(str(models / TEXT_MODEL / "1"))  # keeps the variables, which a signature does not hold
    signature = loaded.signatures["serving_default"]
    requests = [{"text": np.array([text.encode()], object)} for text in texts]

    def count_calls(batcher: Batcher, deadline: float) -> int:
        for count, request in enumerate(itertools.cycle(requests)):
            if time.monotonic() > deadline:
                return count
            batcher(request)
        return 0

    rates = {}
    for is_batched in (False, True):
        batcher = Batcher(signature, Batching() if is_batched else None)
        for request in requests * 3:  # creates the queue and traces the function
            batcher(request)
        deadline = time.monotonic() + seconds
        with ThreadPoolExecutor(num_threads) as pool:
            rates[is_batched] = sum(pool.map(lambda _: count_calls(batcher, deadline), range(num_threads))) / seconds  # noqa: B023
    return rates


def _measure_load(models: Path, bodies: dict[str, bytes], num_clients: int, seconds: float) -> None:
    """Prints rate, latencies and failures per model, and the memory of the server."""
    server, names = ServerProcess(models, has_access_log=True), list(bodies)
    clients = [
        [(name, bodies[name]) for name in names[k % len(names) :] + names[: k % len(names)]] for k in range(num_clients)
    ]
    measurements, memory, status = asyncio.run(_run_load(server, models, clients, seconds))
    count = sum(len(one.seconds) for one in measurements.values())
    print(
        f"\n{num_clients} clients, {seconds:.0f} seconds, {len(names)} models: {count / seconds:.0f} responses per second"
    )
    print("| model | responses | p50, ms | p99, ms | failed |\n|---|---|---|---|---|")
    for name, one in measurements.items():
        p50, p99 = 1000 * np.quantile(one.seconds, (0.5, 0.99))
        print(f"| {name} | {len(one.seconds)} | {p50:.1f} | {p99:.1f} | {len(one.failures)} |")
    for failure in sorted({failure for one in measurements.values() for failure in one.failures})[:5]:
        print(f"failed: {failure}")
    _print_memory(memory)
    num_failed = sum(len(one.failures) for one in measurements.values())
    print(f"SIGTERM under load: exit status {status}; {num_failed} requests failed before, during and after it")


def _print_memory(memory: Sequence[float]) -> None:
    fifth = max(1, len(memory) // 5)
    medians = [np.median(memory[k * fifth : (k + 1) * fifth]) for k in range(5)]
    print(f"memory of the server, median of each fifth of the time, MiB: {' '.join(f'{one:.0f}' for one in medians)}")


def _measure_large_bodies(models: Path, seconds: float) -> None:
    """Prints latency, failures and memory for requests of several MiB."""
    noise = np.random.default_rng(0).normal(0, 0.1, RECORDING_SECONDS * SAMPLE_RATE).astype(np.float32)
    columns = {"samples": [[round(float(value), 5) for value in noise]], "length": [len(noise)]}
    body = json.dumps({"inputs": columns}).encode()
    server = ServerProcess(models)
    initial_memory, memory = server.memory_mib, []

    async def run_and_record_memory() -> dict[str, Measurements]:
        clients = asyncio.create_task(run_rest_clients(server, [[(SPEECH_MODEL, body)]] * LARGE_BODY_CLIENTS, seconds))
        while not clients.done():
            await asyncio.sleep(1)
            memory.append(server.memory_mib)
        return await clients

    measurements = asyncio.run(run_and_record_memory())[SPEECH_MODEL]
    server.stop()
    size, count, slowest = len(body) / 2**20, len(measurements.seconds), max(measurements.seconds, default=0.0)
    print(
        f"\n{LARGE_BODY_CLIENTS} clients, bodies of {size:.1f} MiB: {count} responses in {seconds:.0f} seconds, the slowest "
        f"after {slowest:.1f} s, {len(measurements.failures)} failed; {initial_memory:.0f} MiB before"
    )
    _print_memory(memory)


async def _run_load(
    server: ServerProcess, models: Path, clients: Sequence[Sequence[Job]], seconds: float
) -> tuple[dict[str, Measurements], list[float], int]:
    """Runs the clients, publishes a version after half of the time, and stops the server under load.

    Returns:
        The measurements by model name, the memory of the server in each second in MiB, and the exit status of the server.
    """
    measurements = {name: Measurements() for name, _ in clients[0]}
    memory, start = [], time.monotonic()
    tasks = [
        asyncio.create_task(run_rest_client(server.port, jobs, start + seconds + 60, measurements)) for jobs in clients
    ]
    updated_model = None
    while time.monotonic() - start < seconds:
        await asyncio.sleep(1)
        memory.append(server.memory_mib)
        if updated_model is None and time.monotonic() - start > seconds / 2:
            updated_model = models / TEXT_MODEL if (models / TEXT_MODEL).is_dir() else next(models.iterdir())
            staging = updated_model / ".staging"
            await asyncio.to_thread(shutil.copytree, updated_model / "1", staging)
            staging.rename(updated_model / "2")
    status = await asyncio.to_thread(server.stop)
    await asyncio.gather(*tasks)
    return measurements, memory, status


if __name__ == "__main__":
    main()
