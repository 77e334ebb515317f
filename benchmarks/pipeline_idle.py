"""How long the sentiment task's training waits for its data: `python -m benchmarks.pipeline_idle`.

Texts of made-up words with the lengths of film reviews go through the real pipeline into the real training step of the
`default` preset. The idle share is the time spent waiting for a batch over the time of a whole step.
"""

from __future__ import annotations

import argparse
import time

import keras
import numpy as np
from rich.console import Console

from benchmarks.machine import describe_machine
from shared.adversarial import AdversarialTraining
from shared.pipelines import SequenceBatches
from tasks.sentiment import model
from tasks.sentiment.config import PRESETS

REVIEWS = 4000


def main() -> None:
    """Prints the idle share over a number of steps."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--steps", type=int, default=60, help="steps with_cardinality, after five that are not")
    steps = parser.parse_args().steps
    waiting, training = measure(steps)
    console = Console()
    console.print(describe_machine("tensorflow", "keras"))
    console.print(
        f"{steps} steps: {1000 * training / steps:.0f} ms of training, {1000 * waiting / steps:.2f} ms of waiting each; "
        f"idle share {waiting / (waiting + training):.2%}"
    )


def measure(steps: int, warm_up: int = 5) -> tuple[float, float]:
    """Returns seconds spent waiting for batches and seconds spent in training steps."""
    config = PRESETS["default"]
    submodels = model.LSTMSubmodels(config, classes=2)
    trained = AdversarialTraining(
        submodels.ids_to_vectors, submodels.vectors_to_logits, config.training.adversarial_epsilon
    )
    trained.compile(keras.optimizers.AdamW(), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    batches = iter(_batches(config.text.sequence_length, config.training.batch_size).epochs(0))
    waiting = training = 0.0
    for step in range(warm_up + steps):
        started = time.perf_counter()
        numbers, labels = next(batches)
        arrived = time.perf_counter()
        trained.train_on_batch(numbers, labels)
        if step >= warm_up:
            waiting += arrived - started
            training += time.perf_counter() - arrived
    return waiting, training


def _batches(longest: int, batch_size: int) -> SequenceBatches:
    rng = np.random.default_rng(0)
    lengths = np.clip(rng.lognormal(5.4, 0.6, REVIEWS), 10, longest).astype(int)
    sequences = [rng.integers(2, 30_000, length) for length in lengths]
    return SequenceBatches(sequences, rng.integers(0, 2, REVIEWS), batch_size, replacement_rate=0.05)


if __name__ == "__main__":
    main()
