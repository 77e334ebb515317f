"""What an exported speech model costs on one core: computing for each second of sound, for each 100 ms of a stream, and how long
a speaker waits for the first word.

    python -m benchmarks.speech_speed saved_models/speech/1 recordings/

Of the folder or .zip file the first 50 recordings by name are taken. Whole recordings are asked one by one. Of a streaming model
each is heard again in pieces of 100 ms; the wait is from where the sound first comes within 30 dB of its loudest 10 ms to the
moment that the first letter is written: sound that had to pass, and computing.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import tensorflow as tf

from benchmarks.machine import describe_machine
from tasks.speech import audio
from tasks.speech.features import RATE

MOST, CHUNK, FRAME, QUIET = 50, RATE // 10, RATE // 100, 1e-3  # QUIET: 30 dB as a ratio of powers
Sounds = list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("recordings", type=Path)
    known = parser.parse_args()
    os.sched_setaffinity(
        0, {min(os.sched_getaffinity(0))}
    )  # the threads that TensorFlow starts later are bound to it too
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(describe_machine("tensorflow", "keras"))
    folder = audio.Folder(known.recordings)
    sounds = [folder.read(name, name) for name in folder.names()[:MOST]]
    signatures = tf.saved_model.load(str(known.version)).signatures
    seconds = sum(map(len, sounds)) / RATE
    print(f"{len(sounds)} recordings, {seconds:.0f} seconds of sound, one core")
    whole = _seconds(signatures["serving_default"], sounds)
    print(
        f"whole recordings: real-time factor {sum(whole) / seconds:.4f}; a recording {1000 * np.median(whole):.0f} ms"
    )
    if "step" in signatures:
        costs, waits = _streamed(signatures["step"], sounds)
        print(
            f"100 ms of a stream: median {1000 * np.median(costs):.1f} ms, 99 % within {1000 * np.quantile(costs, 0.99):.1f} ms"
        )
        print(
            f"first letter: median {np.median(waits):.2f} s after the sound begins, nine in ten within {np.quantile(waits, 0.9):.2f} s"
        )


def _seconds(call: Callable[..., object], sounds: Sounds) -> list[float]:
    found = []
    for sound in sounds:
        request = {"samples": tf.constant(sound[None]), "length": tf.constant([len(sound)])}
        call(**request)  # the first of a length is slower
        started = time.perf_counter()
        call(**request)
        found.append(time.perf_counter() - started)
    return found


def _streamed(call: Callable[..., dict[str, tf.Tensor]], sounds: Sounds) -> tuple[list[float], list[float]]:
    """Returns the seconds that each piece took, and the wait for the first letter of each recording that has one."""
    size = call.structured_input_signature[1]["state"].shape[1]  # type: ignore[attr-defined]
    costs, waits = [], []
    for sound in sounds:
        memory, first = tf.zeros((1, size)), None
        for start in range(0, len(sound), CHUNK):
            piece = sound[start : start + CHUNK]
            last = start + CHUNK >= len(sound)
            began = time.perf_counter()
            answer = call(
                samples=tf.constant(piece[None]),
                length=tf.constant([len(piece)]),
                last=tf.constant([last]),
                memory=memory,
            )
            written, memory = bool(answer["text"].numpy()[0]), answer["state"]
            costs.append(time.perf_counter() - began)
            if written and first is None:
                first = (start + len(piece)) / RATE - _begins(sound) + costs[-1]
        waits += [] if first is None else [first]
    return costs, waits


def _begins(sound: np.ndarray) -> float:
    """Returns the second at which something is heard."""
    power = np.square(sound[: len(sound) // FRAME * FRAME]).reshape(-1, FRAME).mean(axis=1)
    return float(np.argmax(power > power.max() * QUIET)) * FRAME / RATE


if __name__ == "__main__":
    main()
