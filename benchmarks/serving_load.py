"""What the embedded server bears: many callers of all models at once, a new version and the end in the middle of it.

    python -m benchmarks.serving_load saved_models --seconds 300 --clients 64

1. The overhead: a short text, one caller, over REST and by calling the SavedModel in this process.
2. Joining requests: texts of three to six words, and sentences of about twenty, from all callers, with the server's batching and
   without; over REST, and from as many threads of one process, where no request has to be read and no answer written.
3. The load: each caller asks the models in turn, by the request that each was exported with, on a connection that stays open. Half way
   a new version of a model comes in. Memory of the server is read each second; at the end it gets SIGTERM while it is asked.

4. Great bodies: eight callers, recordings of 30 seconds as JSON, each of many MiB, and the server's memory in the meantime.

Callers and server share the machine's cores. A request that was taken on counts as failed unless its answer is whole and 200.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine

SOUND, RATE, LONG, GREAT = "speech", 16_000, 30, 8  # samples a second, seconds of a recording, callers
TEXT, TEXTS = "sentiment", ("What an ending!", "Nobody would call the plot dull.", "I fell asleep twice.")
SENTENCES = (
    "The plot drags for most of its two hours, but what an ending, and what a pair of actors in it!",
    "Nobody in the cinema would have called the story dull, though few of them could have told it again.",
    "I fell asleep twice before the murder, woke up for the trial, and never found out who did it.",
)
SERVE = (
    "import sys\n"
    "from pathlib import Path\n"
    "from shared.serving.batching import Batching\n"
    "from shared.serving.server import Server, Settings\n"
    "batching = Batching() if sys.argv[2] == 'joined' else None\n"
    "server = Server(Settings(Path(sys.argv[1]), port=0, grpc_port=0, batching=batching))\n"
    "print(server.port, flush=True)\n"
    "server.run()\n"
)


@dataclass
class Told:
    """What the callers of one model met."""

    seconds: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    refused: int = 0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", type=Path)
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--clients", type=int, default=64)
    known = parser.parse_args()
    print(describe_machine("tensorflow", "uvicorn", "starlette"))
    with tempfile.TemporaryDirectory() as name:
        models = Path(name)
        for folder in sorted(known.models.iterdir()):
            numbers = sorted(int(path.name) for path in folder.iterdir() if path.name.isdigit())
            if numbers:
                shutil.copytree(folder / str(numbers[-1]), models / folder.name / "1")
        bodies = {folder.name: _body(folder / "1") for folder in sorted(models.iterdir())}
        if TEXT in bodies:
            _overhead(models)
            _joining(models, known.clients, min(20.0, known.seconds))
        _load(models, bodies, known.clients, known.seconds)
        if SOUND in bodies:
            _great(models, min(120.0, known.seconds))


def _body(version: Path) -> bytes:
    """Returns the request that a model was exported with, in columns."""
    import tensorflow as tf
    from tensorflow_serving.apis import prediction_log_pb2

    from shared.export import WARMUP

    record = next(iter(tf.data.TFRecordDataset(str(version / WARMUP))))
    request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
    values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
    columns = {name: _plain(value) for name, value in values.items()}
    return json.dumps({"signature_name": request.model_spec.signature_name, "inputs": columns}).encode()


def _plain(value: np.ndarray) -> Any:
    if value.dtype != object:
        return value.tolist()
    texts = np.array([item.decode(errors="replace") for item in value.ravel()], object)
    return texts.reshape(value.shape).tolist()


class Served:
    """A server in a process of its own."""

    def __init__(self, models: Path, joined: bool = True) -> None:
        words = [sys.executable, "-c", SERVE, str(models), "joined" if joined else "alone"]
        self.process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        while asyncio.run(_ready(self.port)) is False:
            time.sleep(0.2)

    @property
    def memory_mib(self) -> float:
        lines = Path(f"/proc/{self.process.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


async def _ready(port: int) -> bool:
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.write(b"GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
    line = await reader.readline()
    writer.close()
    return b" 200 " in line


async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, name: str, body: bytes) -> tuple[int, bytes]:
    head = f"POST /v1/models/{name}:predict HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    writer.write(head.encode() + body)
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()).strip():
        key, _, value = line.partition(b":")
        length = int(value) if key.lower() == b"content-length" else length
    return status, await reader.readexactly(length)


async def _caller(
    port: int, work: Sequence[tuple[str, bytes]], until: float, told: dict[str, Told], ending: asyncio.Event
) -> None:
    """Asks in turn until a time, or until the server is no longer there where it is being ended."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for name, body in itertools.cycle(work):
        if time.monotonic() > until:
            break
        began, before = time.perf_counter(), not ending.is_set()
        try:
            status, answer = await _ask(reader, writer, name, body)
        except (OSError, asyncio.IncompleteReadError, IndexError) as error:
            if before:
                told[name].failed.append(f"{type(error).__name__}{' at the end' if ending.is_set() else ''}")
            else:
                told[name].refused += 1
            return
        if status == 200:
            told[name].seconds.append(time.perf_counter() - began)
            json.loads(answer)
        elif ending.is_set() and status == 503:
            told[name].refused += 1
            return
        else:
            told[name].failed.append(f"{status} {answer[:80]!r}")
    writer.close()


async def _callers(served: Served, work: Sequence[Sequence[tuple[str, bytes]]], seconds: float) -> dict[str, Told]:
    told = {name: Told() for one in work for name, _ in one}
    until = time.monotonic() + seconds
    await asyncio.gather(*(_caller(served.port, one, until, told, asyncio.Event()) for one in work))
    return told


def _text_bodies(texts: Sequence[str] = TEXTS) -> list[tuple[str, bytes]]:
    return [(TEXT, json.dumps({"instances": [{"text": text}]}).encode()) for text in texts]


def _overhead(models: Path) -> None:
    import tensorflow as tf

    loaded = tf.saved_model.load(str(models / TEXT / "1"))
    call, bare = loaded.signatures["serving_default"], []
    for text in itertools.islice(itertools.cycle(TEXTS), 600):
        began = time.perf_counter()
        {name: value.numpy() for name, value in call(text=tf.constant([text])).items()}
        bare.append(time.perf_counter() - began)
    for joined in (True, False):
        served = Served(models, joined)
        told = asyncio.run(_callers(served, [_text_bodies()], 5))[TEXT]
        served.stop()
        median = [1000 * np.median(values[len(values) // 5 :]) for values in (told.seconds, bare)]
        how = "joined" if joined else "asked alone"
        print(
            f"one caller, {how}: {median[0]:.2f} ms over REST, {median[1]:.2f} ms by call, ratio {median[0] / median[1]:.2f}"
        )


def _joining(models: Path, clients: int, seconds: float) -> None:
    for what, texts in (("short texts", TEXTS), ("sentences", SENTENCES)):
        found = {}
        for joined in (False, True):
            served = Served(models, joined)
            told = asyncio.run(_callers(served, [_text_bodies(texts)] * clients, seconds))[TEXT]
            served.stop()
            found[joined] = len(told.seconds) / seconds
            assert not told.failed, told.failed[:3]
        _tell_joining(f"{what}, {clients} callers over REST", found)
        _tell_joining(f"{what}, {clients} threads of one process", _threads(models, texts, clients, seconds))


def _tell_joining(what: str, found: dict[bool, float]) -> None:
    ratio = found[True] / found[False]
    print(f"{what}: {found[True]:.0f} a second joined, {found[False]:.0f} alone, ratio {ratio:.2f}")


def _threads(models: Path, texts: Sequence[str], clients: int, seconds: float) -> dict[bool, float]:
    """Returns answers a second by the server's batcher, joined and alone."""
    import tensorflow as tf

    from shared.serving.batching import Batcher, Batching

    loaded = tf.saved_model.load(str(models / TEXT / "1"))  # named: a signature does not hold its model's variables
    signature = loaded.signatures["serving_default"]
    requests = [{"text": np.array([text.encode()], object)} for text in texts]

    def ask(batcher: Batcher, until: float) -> int:
        for count, request in enumerate(itertools.cycle(requests)):
            if time.monotonic() > until:
                return count
            batcher(request)
        return 0

    found = {}
    for joined in (False, True):
        batcher = Batcher(signature, Batching() if joined else None)
        for request in requests * 3:  # the queue is made, the function traced
            batcher(request)
        until = time.monotonic() + seconds
        with ThreadPoolExecutor(clients) as pool:
            found[joined] = sum(pool.map(lambda _: ask(batcher, until), range(clients))) / seconds  # noqa: B023
    return found


def _load(models: Path, bodies: dict[str, bytes], clients: int, seconds: float) -> None:
    served, names = Served(models), list(bodies)
    turns = [
        [(name, bodies[name]) for name in names[k % len(names) :] + names[: k % len(names)]] for k in range(clients)
    ]
    told, memory, status = asyncio.run(_loaded(served, models, turns, seconds))
    count = sum(len(one.seconds) for one in told.values())
    print(f"\n{clients} callers, {seconds:.0f} seconds, {len(names)} models: {count / seconds:.0f} answers a second")
    print("| model | answers | p50, ms | p99, ms | failed |\n|---|---|---|---|---|")
    for name, one in told.items():
        p50, p99 = 1000 * np.quantile(one.seconds, (0.5, 0.99))
        print(f"| {name} | {len(one.seconds)} | {p50:.1f} | {p99:.1f} | {len(one.failed)} |")
    for failure in sorted({failure for one in told.values() for failure in one.failed})[:5]:
        print(f"failed: {failure}")
    _tell_memory(memory)
    refused = sum(one.refused for one in told.values())
    print(f"SIGTERM in the middle: exit status {status}, {refused} requests refused afterwards")


def _tell_memory(memory: Sequence[float]) -> None:
    fifth = max(1, len(memory) // 5)
    parts = [np.median(memory[k * fifth : (k + 1) * fifth]) for k in range(5)]
    print(f"memory of the server in five parts of the time, MiB: {' '.join(f'{part:.0f}' for part in parts)}")


def _great(models: Path, seconds: float) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, LONG * RATE).astype(np.float32)
    columns = {"samples": [[round(float(value), 5) for value in noise]], "length": [len(noise)]}
    body = json.dumps({"inputs": columns}).encode()
    served = Served(models)
    before, memory = served.memory_mib, []

    async def ask() -> dict[str, Told]:
        asking = asyncio.create_task(_callers(served, [[(SOUND, body)]] * GREAT, seconds))
        while not asking.done():
            await asyncio.sleep(1)
            memory.append(served.memory_mib)
        return await asking

    told = asyncio.run(ask())[SOUND]
    served.stop()
    size, count, longest = len(body) / 2**20, len(told.seconds), max(told.seconds, default=0.0)
    print(
        f"\n{GREAT} callers, bodies of {size:.1f} MiB: {count} answers in {seconds:.0f} seconds, the longest after "
        f"{longest:.1f} s, {len(told.failed)} failed; {before:.0f} MiB before"
    )
    _tell_memory(memory)


async def _loaded(
    served: Served, models: Path, turns: Sequence[Sequence[tuple[str, bytes]]], seconds: float
) -> tuple[dict[str, Told], list[float], int]:
    told = {name: Told() for name, _ in turns[0]}
    ending, memory, started = asyncio.Event(), [], time.monotonic()
    callers = [asyncio.create_task(_caller(served.port, one, started + seconds + 60, told, ending)) for one in turns]
    swapped = None
    while time.monotonic() - started < seconds:
        await asyncio.sleep(1)
        memory.append(served.memory_mib)
        if swapped is None and time.monotonic() - started > seconds / 2:
            swapped = models / TEXT if (models / TEXT).is_dir() else next(models.iterdir())
            await asyncio.to_thread(shutil.copytree, swapped / "1", swapped / ".aside")
            (swapped / ".aside").rename(swapped / "2")
    ending.set()
    status = await asyncio.to_thread(served.stop)
    await asyncio.gather(*callers)
    return told, memory, status


if __name__ == "__main__":
    main()
