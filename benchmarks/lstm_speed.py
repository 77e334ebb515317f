"""Times our LSTM stack (Keras on TensorFlow) beside `torch.nn.LSTM` on this machine's processor, in one run.

    python -m benchmarks.lstm_speed

Each measured cell (a shape and a mode) gets one fresh process for each framework, so that neither shares a thread pool
with the other. The two take turns, one repetition each, and the one that waits is stopped (SIGSTOP), so that its idle
threads cannot spin. Both use float32, the same threads, and in training the same head, loss and optimiser (AdamW).
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.lstm_cells import Cell, keras_call, torch_call
from benchmarks.machine import describe_machine, peak_memory_mib

FRAMEWORKS = ("keras", "torch")
CELLS = [
    Cell(mode, *shape)
    for shape in [(64, 200, 128, 128, False), (64, 200, 128, 128, True), (32, 64, 256, 512, False)]
    for mode in ("training", "inference")
]


@dataclass(frozen=True)
class Result:
    """What one framework did in one cell."""

    milliseconds: list[float]
    peak_mib: float

    def summary(self) -> str:
        """The median and the quartiles around it."""
        low, middle, high = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return f"{middle:.1f} ({low:.1f}–{high:.1f})"


def work(framework: str, cell: Cell, threads: int, warm_up: int) -> None:
    """Serves repetitions: for each line on stdin one line of milliseconds on stdout, at its end the peak memory."""
    call = {"keras": keras_call, "torch": torch_call}[framework](cell, threads)
    for _ in range(warm_up):
        call()
    print("ready", flush=True)
    for _ in sys.stdin:
        call()  # untimed: wakes the threads and fills the caches after the other's turn
        start = time.perf_counter()
        call()
        print((time.perf_counter() - start) * 1e3, flush=True)
    print(peak_memory_mib(), flush=True)


class Worker:
    """A process of one framework that runs only while it is asked something."""

    def __init__(self, framework: str, cell: Cell, threads: int, warm_up: int) -> None:
        arguments = ["--worker", framework, "--cell", json.dumps(dataclasses.asdict(cell))]
        arguments += ["--threads", str(threads), "--warm-up", str(warm_up)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (shown when the worker fails)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lstm_speed", *arguments],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.answer()  # ready
        self.process.send_signal(signal.SIGSTOP)

    def answer(self) -> str:
        """Waits for the next line."""
        assert self.process.stdout
        if not (line := self.process.stdout.readline()):
            self.errors.seek(0)
            raise RuntimeError(f"A worker ended early. Its last words:\n{self.errors.read()[-3000:]}")
        return line.strip()

    def repeat(self) -> float:
        """Lets the worker do one repetition; returns its milliseconds."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        milliseconds = float(self.answer())
        self.process.send_signal(signal.SIGSTOP)
        return milliseconds

    def finish(self) -> float:
        """Ends the worker; returns its peak memory in MiB."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        return float(self.answer())


def measure(cell: Cell, threads: int, repetitions: int, warm_up: int) -> dict[str, Result]:
    """Lets the frameworks take turns in `cell`, each going first in half of the rounds."""
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for framework in FRAMEWORKS:
            workers[framework] = Worker(framework, cell, threads, warm_up)
            stack.enter_context(workers[framework].process)  # waits for its end,
            stack.callback(workers[framework].process.kill)  # which comes first
        milliseconds: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
        for turn in range(repetitions):
            for framework in FRAMEWORKS[:: 1 if turn % 2 else -1]:
                milliseconds[framework].append(workers[framework].repeat())
        return {framework: Result(milliseconds[framework], workers[framework].finish()) for framework in FRAMEWORKS}


def main() -> None:
    """Measures every cell and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="threads of each framework")
    parser.add_argument("--repetitions", type=int, default=21, help="timed repetitions of each cell and framework")
    parser.add_argument("--warm-up", type=int, default=3, help="repetitions before the first timed one")
    parser.add_argument("--worker", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return work(arguments.worker, Cell(**arguments.cell), arguments.threads, arguments.warm_up)

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(describe_machine("keras", "tensorflow", "torch"))
    if os.getloadavg()[0] > 0.5:
        console.print(
            "[red]The machine is busy: torch's OpenMP threads wait for each other by spinning and can lose tenfold, "
            "TensorFlow's sleep and lose little. Do not quote this run."
        )
    table = Table(title=f"ms a repetition: median of {arguments.repetitions} (quartiles); {arguments.threads} threads")
    for heading in ("mode", "directions", "batch, time, features, units"):
        table.add_column(heading)
    for heading in ("ours", "torch", "ours / torch", "MiB, ours", "MiB, torch"):
        table.add_column(heading, justify="right")
    for cell in CELLS:
        with console.status(f"{cell}"):
            results = measure(cell, arguments.threads, arguments.repetitions, arguments.warm_up)
        ours, torch = results["keras"], results["torch"]
        ratio = statistics.median(ours.milliseconds) / statistics.median(torch.milliseconds)
        memory = [f"{result.peak_mib:.0f}" for result in (ours, torch)]
        shape = f"{cell.batch}, {cell.time}, {cell.features}, {cell.units}"
        names = [cell.mode, "2" if cell.bidirectional else "1", shape]
        table.add_row(*names, ours.summary(), torch.summary(), f"{ratio:.2f}", *memory)
    console.print(table)
    return None


if __name__ == "__main__":
    main()
