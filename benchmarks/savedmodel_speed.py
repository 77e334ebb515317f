"""Latency and throughput of an exported sentiment model, called as a server calls it, on the CPU.

    python -m benchmarks.savedmodel_speed saved_models/sentiment/1

Latency is measured with one text per call (p50 and p99), throughput with 64 texts per call. Every call has new texts of equal
length, made of words from a fixed list, and ends when the outputs are NumPy arrays. The model needs the signature
`serving_default` with the only input `text`: strings `(batch,)`.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarks.machine import describe_machine, peak_memory_mib

TEXT_LENGTHS = (20, 200, 1000)  # words
BATCH_SIZE = 64
NUM_WARM_UP_CALLS = 10
WORDS = (
    "the a of and to in is it that this was film movie one but with as for not on are you have be so like just his her "
    "good bad great terrible story plot acting actor scene ending director music funny boring never always really very "
    "quite hardly wonderful awful dull brilliant waste time watch watched again first last night screen show character "
    "characters would could people see seen made make look looks feels felt laugh cry slow fast long short"
).split()

Predict = Callable[[list[str]], Any]


def make_texts(count: int, words: int, seed: int) -> list[str]:
    """Returns `count` texts of `words` words; equal arguments give equal texts."""
    rng = random.Random(f"{seed}/{words}")
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]


def load_predictor(path: Path) -> Predict:
    """Loads the SavedModel and returns a function from texts to outputs as NumPy arrays.

    Raises:
        ValueError: the model does not have the signature `serving_default` with the only input `text`.
    """
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    if "serving_default" not in model.signatures:
        raise ValueError(f"{path}: expected a signature `serving_default`. Received: {sorted(model.signatures)}")
    names = sorted(model.signatures["serving_default"].structured_input_signature[1])
    if names != ["text"]:
        raise ValueError(f"{path}: expected `text` as the only input of `serving_default`. Received: {names}")

    def predict(texts: list[str]) -> dict[str, Any]:
        # Refers to `model`, because a signature alone does not keep the variables alive.
        outputs = model.signatures["serving_default"](text=tf.constant(texts))
        return {name: value.numpy() for name, value in outputs.items()}

    return predict


def time_calls(predict: Predict, batch_size: int, words: int, repetitions: int) -> list[float]:
    """Returns the duration of each of `repetitions` calls after the warm-up calls, in seconds."""
    seconds = []
    for call in range(-NUM_WARM_UP_CALLS, repetitions):
        texts = make_texts(batch_size, words, seed=call)
        start = time.perf_counter()
        predict(texts)
        if call >= 0:
            seconds.append(time.perf_counter() - start)
    return seconds


def percentile(values: list[float], percent: int) -> float:
    """Returns a percentile, with linear interpolation between two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Measures all text lengths and prints a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="folder of the SavedModel")
    parser.add_argument(
        "--singles", type=int, default=300, help="number of measured calls with one text, per text length"
    )
    parser.add_argument(
        "--batches", type=int, default=21, help=f"number of measured calls with {BATCH_SIZE} texts, per text length"
    )
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(describe_machine("tensorflow"))
    start = time.perf_counter()
    with console.status(f"loading {arguments.path}"):
        predict = load_predictor(arguments.path)
        predict(make_texts(1, TEXT_LENGTHS[0], seed=0))
    console.print(f"From the import of TensorFlow to the first prediction: {time.perf_counter() - start:.1f} s")
    table = Table(title=f"{arguments.path}: {arguments.singles} single calls, {arguments.batches} batches")
    for heading in ("words per text", "p50, ms", "p99, ms", f"texts/s at batch {BATCH_SIZE} (quartiles)"):
        table.add_column(heading, justify="right")
    for words in TEXT_LENGTHS:
        with console.status(f"{words} words"):
            latencies = [1e3 * second for second in time_calls(predict, 1, words, arguments.singles)]
            rates = [BATCH_SIZE / second for second in time_calls(predict, BATCH_SIZE, words, arguments.batches)]
        low, median, high = (percentile(rates, percent) for percent in (25, 50, 75))
        throughput = f"{median:.0f} ({low:.0f}–{high:.0f})"
        table.add_row(str(words), f"{percentile(latencies, 50):.1f}", f"{percentile(latencies, 99):.1f}", throughput)
    console.print(table)
    console.print(f"Peak memory of the process: {peak_memory_mib():.0f} MiB")


if __name__ == "__main__":
    main()
