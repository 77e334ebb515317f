"""Times an exported sentiment model the way a server would call it, on this machine's processor.

    python -m benchmarks.savedmodel_speed saved_models/sentiment/1

Latency: one text a call, p50 and p99. Throughput: 64 texts a call. Every call sends other texts, of one length in words,
made from a fixed list, and ends when the answers are in NumPy. The model needs the signature `serving_default` with
one input `text`: strings `(batch,)`.
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

LENGTHS = (20, 200, 1000)  # words
BATCH_SIZE = 64
WARM_UP = 10
WORDS = (
    "the a of and to in is it that this was film movie one but with as for not on are you have be so like just his her "
    "good bad great terrible story plot acting actor scene ending director music funny boring never always really very "
    "quite hardly wonderful awful dull brilliant waste time watch watched again first last night screen show character "
    "characters would could people see seen made make look looks feels felt laugh cry slow fast long short"
).split()

Predict = Callable[[list[str]], Any]


def make_texts(count: int, words: int, seed: int) -> list[str]:
    """Returns `count` texts of `words` words; equal arguments give equal texts."""
    source = random.Random(f"{seed}/{words}")
    return [" ".join(source.choices(WORDS, k=words)) for _ in range(count)]


def load(path: Path) -> Predict:
    """Opens the SavedModel and returns a call from texts to NumPy answers.

    Raises:
        ValueError: the model lacks the signature or the input named above.
    """
    import tensorflow as tf

    model = tf.saved_model.load(str(path))
    if "serving_default" not in model.signatures:
        raise ValueError(f"{path}: expected a signature `serving_default`. Received: {sorted(model.signatures)}")
    names = sorted(model.signatures["serving_default"].structured_input_signature[1])
    if names != ["text"]:
        raise ValueError(f"{path}: expected `serving_default` to take `text` alone. Received: {names}")

    def predict(texts: list[str]) -> dict[str, Any]:
        answers = model.signatures["serving_default"](text=tf.constant(texts))  # by way of the model, to keep it alive
        return {name: answer.numpy() for name, answer in answers.items()}

    return predict


def time_calls(predict: Predict, batch_size: int, words: int, repetitions: int) -> list[float]:
    """Returns the seconds of each of `repetitions` calls after the warm-up."""
    seconds = []
    for call in range(-WARM_UP, repetitions):
        texts = make_texts(batch_size, words, seed=call)
        start = time.perf_counter()
        predict(texts)
        if call >= 0:
            seconds.append(time.perf_counter() - start)
    return seconds


def percentile(values: list[float], percent: int) -> float:
    """Returns the `percent`-th percentile, between the values where it falls between two."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]


def main() -> None:
    """Measures every length and prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("path", type=Path, help="directory of the SavedModel")
    parser.add_argument("--singles", type=int, default=300, help="timed calls of one text, for each length")
    parser.add_argument("--batches", type=int, default=21, help=f"timed calls of {BATCH_SIZE} texts, for each length")
    arguments = parser.parse_args()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ["CUDA_VISIBLE_DEVICES"] = ""

    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(describe_machine("tensorflow"))
    start = time.perf_counter()
    with console.status(f"loading {arguments.path}"):
        predict = load(arguments.path)
        predict(make_texts(1, LENGTHS[0], seed=0))
    console.print(f"From the import of TensorFlow to the first answer: {time.perf_counter() - start:.1f} s")
    table = Table(title=f"{arguments.path}: {arguments.singles} single calls, {arguments.batches} batches")
    for heading in ("words a text", "p50, ms", "p99, ms", f"texts/s at batch {BATCH_SIZE} (quartiles)"):
        table.add_column(heading, justify="right")
    for words in LENGTHS:
        with console.status(f"{words} words"):
            single = [second * 1e3 for second in time_calls(predict, 1, words, arguments.singles)]
            rates = [BATCH_SIZE / second for second in time_calls(predict, BATCH_SIZE, words, arguments.batches)]
        low, middle, high = (percentile(rates, percent) for percent in (25, 50, 75))
        throughput = f"{middle:.0f} ({low:.0f}–{high:.0f})"
        table.add_row(str(words), f"{percentile(single, 50):.1f}", f"{percentile(single, 99):.1f}", throughput)
    console.print(table)
    console.print(f"Peak memory of the process: {peak_memory_mib():.0f} MiB")


if __name__ == "__main__":
    main()
