"""Measures how long the training of the sentiment task waits for its data.

    python -m benchmarks.pipeline_idle

Random token ids, in sequences as long as film reviews, go through the real pipeline into the real training step of the `default`
preset. The idle fraction is the time spent waiting for a batch, divided by the time of the whole step.
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np
from rich.console import Console

from benchmarks.machine import describe_machine
from shared.data.sequence_batches import SequenceBatches
from shared.training.adversarial import AdversarialTraining
from tasks.sentiment import model
from tasks.sentiment.config import PRESETS

REVIEWS = 4000


def main() -> None:
    """Prints the idle fraction over a number of training steps."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--steps", type=int, default=60, help="number of timed training steps, after five steps that are not timed"
    )
    steps = parser.parse_args().steps
    waiting_seconds, training_seconds = measure(steps)
    console = Console()
    console.print(describe_machine("tensorflow", "keras"))
    console.print(
        f"{steps} steps: {1000 * training_seconds / steps:.0f} ms of training, "
        f"{1000 * waiting_seconds / steps:.2f} ms of waiting per step; "
        f"idle fraction {waiting_seconds / (waiting_seconds + training_seconds):.2%}"
    )


def measure(steps: int, warm_up: int = 5) -> tuple[float, float]:
    """Returns the seconds spent waiting for batches and the seconds spent in training steps.

    Args:
        steps: number of timed training steps.
        warm_up: number of training steps before them that are not timed.
    """
    config = PRESETS["default"]
    submodels = model.LSTMSubmodels(config, classes=2)
    adversarial_model = AdversarialTraining(
        submodels.ids_to_vectors, submodels.vectors_to_logits, config.training.adversarial_epsilon
    )
    adversarial_model.compile(keras.optimizers.AdamW(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = iter(_random_batches(config.text.sequence_length, config.training.batch_size).epochs(0))
    waiting_seconds = training_seconds = 0.0
    for step in range(warm_up + steps):
        start = time.perf_counter()
        token_ids, labels = next(batches)
        received = time.perf_counter()
        adversarial_model.train_on_batch(token_ids, labels)
        if step >= warm_up:
            waiting_seconds += received - start
            training_seconds += time.perf_counter() - received
    return waiting_seconds, training_seconds


def _random_batches(max_length: int, batch_size: int) -> SequenceBatches:
    """Returns batches of random reviews of at most `max_length` words; the log-normal lengths are like those of film reviews."""
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(5.4, 0.6, REVIEWS), 10, max_length).astype(int)
    sequences = [rng.integers(2, 30_000, length) for length in lengths]
    return SequenceBatches(sequences, rng.integers(0, 2, REVIEWS), batch_size, replacement_rate=0.05)


if __name__ == "__main__":
    main()
