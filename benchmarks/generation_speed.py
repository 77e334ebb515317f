"""Milliseconds per generated word of an exported next-word model, by the length of the text, compared with the same loop in PyTorch.

    python -m benchmarks.generation_speed saved_models/next_word/1

One text at a time, temperature 0.8, top-p 0.95. PyTorch runs a model of the same size with random weights in eager mode, word by
word: embedding, one step of `torch.nn.LSTM`, the tied output layer, sorted softmax, one random sample.
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
from shared.export import keras_file

LENGTHS = (50, 200, 800)
REPETITIONS = 7
TEMPERATURE, TOP_P = 0.8, 0.95
END_ID = 2  # token id of the end of a line, which stands before a text


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path, help="folder of an exported version of next_word")
    arguments = parser.parse_args()
    print(describe_machine("tensorflow", "keras", "torch"))
    loaded = tf.saved_model.load(str(arguments.version))
    signature = loaded.signatures["generate"]
    model = keras_file.load(arguments.version / "model.keras")
    vocabulary_size, embedding_size = model.get_layer("embedding").embeddings.shape
    recurrent = model.get_layer("recurrent")
    units = [layer.units for layer in recurrent.layers if hasattr(layer, "units") and hasattr(layer, "cell")]
    print(f"{vocabulary_size:,} words, embedding size {embedding_size}, LSTM with {units} units")

    def run_saved_model(length: int) -> None:
        signature(
            prompt=tf.constant(["The"]),
            length=tf.constant([length]),
            temperature=tf.constant([TEMPERATURE]),
            top_k=tf.constant([0]),
            top_p=tf.constant([TOP_P]),
            repetition_penalty=tf.constant([1.0]),
            seed=tf.constant([1]),
        )

    run_torch = _make_torch_loop(vocabulary_size, embedding_size, units)
    for length in LENGTHS:
        for name, run in (("SavedModel", run_saved_model), ("torch", run_torch)):
            print(f"{name}, {length} words: {1000 * _median_seconds(run, length) / length:.2f} ms per word")


def _make_torch_loop(vocabulary_size: int, embedding_size: int, units: list[int]) -> Callable[[int], None]:
    torch.set_num_threads(2)
    embedding = torch.randn(vocabulary_size, embedding_size) * 0.05
    sizes = zip([embedding_size, *units], units, strict=False)
    layers = [torch.nn.LSTM(input_size, size) for input_size, size in sizes]
    projection = torch.nn.Linear(units[-1], embedding_size)

    @torch.inference_mode()
    def run(length: int) -> None:
        token_id, states = END_ID, [None] * len(layers)
        for _ in range(length):
            hidden = embedding[token_id][None]
            for k, layer in enumerate(layers):
                hidden, states[k] = layer(hidden, states[k])
            probabilities = torch.softmax(projection(hidden)[0] @ embedding.T / TEMPERATURE, dim=-1)
            ordered, token_ids = torch.sort(probabilities, descending=True)
            truncated = torch.where(ordered.cumsum(0) - ordered < TOP_P, ordered, 0.0)
            token_id = int(token_ids[torch.multinomial(truncated, 1)])

    return run


def _median_seconds(run: Callable[[int], None], length: int) -> float:
    run(length)
    times = []
    for _ in range(REPETITIONS):
        started = time.perf_counter()
        run(length)
        times.append(time.perf_counter() - started)
    return float(np.median(times))


if __name__ == "__main__":
    main()
