"""Compares the speed and memory of `LSTMStack` (Keras on TensorFlow) with `torch.nn.LSTM` on the CPU of this machine.

    python -m benchmarks.lstm_speed

For each cell (a shape and a mode), each framework runs in a new process, so that they share no thread pool. The two processes
alternate, one repetition each. While one runs, the other is stopped (SIGSTOP), so that its idle threads use no CPU time. Both
use float32 and the same number of threads, and in training the same head, loss and optimizer (AdamW).
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

from benchmarks.lstm_cells import Cell, keras_function, torch_function
from benchmarks.machine import describe_machine, peak_memory_mib

FRAMEWORKS = ("keras", "torch")
CELLS = [
    Cell(mode, *shape)
    for shape in [(64, 200, 128, 128, False), (64, 200, 128, 128, True), (32, 64, 256, 512, False)]
    for mode in ("training", "inference")
]


@dataclass(frozen=True)
class Result:
    """Measurements of one framework in one cell."""

    milliseconds: list[float]
    """Time of each repetition."""
    peak_mib: float
    """Peak memory of the process, in MiB."""

    def summary(self) -> str:
        """Returns the median with the lower and the upper quartile, such as `32.1 (31.1–33.5)`."""
        low, median, high = statistics.quantiles(self.milliseconds, n=4, method="inclusive")
        return f"{median:.1f} ({low:.1f}–{high:.1f})"


def run_worker(framework: str, cell: Cell, threads: int, warm_up: int) -> None:
    """Runs one repetition per line of stdin and prints its milliseconds; at the end of stdin, prints the peak memory in MiB."""
    repetition = {"keras": keras_function, "torch": torch_function}[framework](cell, threads)
    for _ in range(warm_up):
        repetition()
    print("ready", flush=True)
    for _ in sys.stdin:
        repetition()  # not timed: wakes the threads and fills the caches after the pause
        start = time.perf_counter()
        repetition()
        print((time.perf_counter() - start) * 1e3, flush=True)
    print(peak_memory_mib(), flush=True)


class Worker:
    """A process of one framework that is stopped between two repetitions."""

    def __init__(self, framework: str, cell: Cell, threads: int, warm_up: int) -> None:
        arguments = ["--worker", framework, "--cell", json.dumps(dataclasses.asdict(cell))]
        arguments += ["--threads", str(threads), "--warm-up", str(warm_up)]
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (printed if the worker fails)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.lstm_speed", *arguments],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3", "KERAS_BACKEND": "tensorflow"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.errors,
            text=True,
        )
        self.read_line()  # prints `ready`
        self.process.send_signal(signal.SIGSTOP)

    def read_line(self) -> str:
        """Waits for the next line of the worker and returns it.

        Raises:
            RuntimeError: the worker has ended.
        """
        assert self.process.stdout
        if not (line := self.process.stdout.readline()):
            self.errors.seek(0)
            raise RuntimeError(f"A worker process ended early. Its error output:\n{self.errors.read()[-3000:]}")
        return line.strip()

    def repeat(self) -> float:
        """Runs one repetition in the worker; returns its milliseconds."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        milliseconds = float(self.read_line())
        self.process.send_signal(signal.SIGSTOP)
        return milliseconds

    def finish(self) -> float:
        """Ends the worker process; returns its peak memory in MiB."""
        assert self.process.stdin
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        return float(self.read_line())


def measure(cell: Cell, threads: int, repetitions: int, warm_up: int) -> dict[str, Result]:
    """Measures `cell` with the frameworks in turn; each one is first in half of the rounds."""
    with contextlib.ExitStack() as stack:
        workers: dict[str, Worker] = {}
        for framework in FRAMEWORKS:
            workers[framework] = Worker(framework, cell, threads, warm_up)
            stack.enter_context(workers[framework].process)  # on exit, waits for the process to end,
            stack.callback(workers[framework].process.kill)  # after it was killed
        milliseconds: dict[str, list[float]] = {framework: [] for framework in FRAMEWORKS}
        for index in range(repetitions):
            for framework in FRAMEWORKS[:: 1 if index % 2 else -1]:
                milliseconds[framework].append(workers[framework].repeat())
        return {framework: Result(milliseconds[framework], workers[framework].finish()) for framework in FRAMEWORKS}


def main() -> None:
    """Measures all cells and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--threads",
        type=int,
        default=os.cpu_count(),
        help="number of CPU threads of each framework; default: all cores",
    )
    parser.add_argument(
        "--repetitions", type=int, default=21, help="number of timed repetitions of each cell and framework"
    )
    parser.add_argument("--warm-up", type=int, default=3, help="number of repetitions before the first timed one")
    parser.add_argument("--worker", choices=FRAMEWORKS, help=argparse.SUPPRESS)
    parser.add_argument("--cell", type=json.loads, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.worker:
        return run_worker(arguments.worker, Cell(**arguments.cell), arguments.threads, arguments.warm_up)

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(describe_machine("keras", "tensorflow", "torch"))
    if os.getloadavg()[0] > 0.5:
        console.print(
            "[red]The machine is busy. The OpenMP threads of PyTorch spin while they wait for each other and can become ten "
            "times slower; the threads of TensorFlow sleep and lose little. Do not quote the figures of this run."
        )
    table = Table(
        title=f"ms per repetition: median of {arguments.repetitions} (quartiles); {arguments.threads} threads"
    )
    for heading in ("mode", "directions", "batch, time, features, units"):
        table.add_column(heading)
    for heading in ("Keras", "PyTorch", "Keras / PyTorch", "MiB, Keras", "MiB, PyTorch"):
        table.add_column(heading, justify="right")
    for cell in CELLS:
        with console.status(f"{cell}"):
            results = measure(cell, arguments.threads, arguments.repetitions, arguments.warm_up)
        keras, torch = results["keras"], results["torch"]
        ratio = statistics.median(keras.milliseconds) / statistics.median(torch.milliseconds)
        memory = [f"{result.peak_mib:.0f}" for result in (keras, torch)]
        shape = f"{cell.batch}, {cell.time}, {cell.features}, {cell.units}"
        names = [cell.mode, "2" if cell.bidirectional else "1", shape]
        table.add_row(*names, keras.summary(), torch.summary(), f"{ratio:.2f}", *memory)
    console.print(table)
    return None


if __name__ == "__main__":
    main()
