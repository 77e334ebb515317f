"""Milliseconds a word of a text that an exported next-word model generates, by its length, beside the same loop in PyTorch.

    python -m benchmarks.generation_speed saved_models/next_word/1

One text at a time, temperature 0.8, top-p 0.95. PyTorch runs a model of the same sizes with random weights, eagerly, one word
after the other: embedding, `torch.nn.LSTM` for one step, the tied output, the sorted softmax, one draw.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf
import torch

from benchmarks.machine import describe_machine
from shared import keras_file

LENGTHS, REPETITIONS = (50, 200, 800), 7
TEMPERATURE, TOP_P = 0.8, 0.95


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    known = parser.parse_args()
    print(describe_machine("tensorflow", "keras", "torch"))
    loaded = tf.saved_model.load(str(known.version))
    signature = loaded.signatures["generate"]
    model = keras_file.load(known.version / "model.keras")
    size, width = model.get_layer("embedding").embeddings.shape
    inner = model.get_layer("inner")
    units = [layer.units for layer in inner.layers if hasattr(layer, "units") and hasattr(layer, "cell")]
    print(f"{size:,} words, vectors of {width}, LSTM of {units} units")

    def ours(length: int) -> None:
        signature(
            prompt=tf.constant(["The"]),
            length=tf.constant([length]),
            temperature=tf.constant([TEMPERATURE]),
            top_k=tf.constant([0]),
            top_p=tf.constant([TOP_P]),
            seed=tf.constant([1]),
        )

    theirs = _torch_loop(size, width, units)
    for length in LENGTHS:
        for name, run in (("SavedModel", ours), ("torch", theirs)):
            print(f"{name}, {length} words: {1000 * _median(run, length) / length:.2f} ms a word")


def _torch_loop(size: int, width: int, units: list[int]) -> Callable[[int], None]:
    torch.set_num_threads(2)
    table = torch.randn(size, width) * 0.05
    layers = [torch.nn.LSTM(before, after) for before, after in zip([width, *units], units, strict=False)]
    projection = torch.nn.Linear(units[-1], width)

    @torch.inference_mode()
    def run(length: int) -> None:
        word, states = 2, [None] * len(layers)
        for _ in range(length):
            hidden = table[word][None]
            for k, layer in enumerate(layers):
                hidden, states[k] = layer(hidden, states[k])
            shares = torch.softmax(projection(hidden)[0] @ table.T / TEMPERATURE, dim=-1)
            ordered, places = torch.sort(shares, descending=True)
            kept = torch.where(ordered.cumsum(0) - ordered < TOP_P, ordered, 0.0)
            word = int(places[torch.multinomial(kept, 1)])

    return run


def _median(run: Callable[[int], None], length: int) -> float:
    run(length)
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        run(length)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


if __name__ == "__main__":
    main()
