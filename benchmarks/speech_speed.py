"""Measures an exported speech model on one CPU core: computing time per second of audio, per 100 ms of a stream, and the latency of
the first letter.

    python -m benchmarks.speech_speed saved_models/speech/1 recordings/

It takes the first 50 recordings of the folder or .zip file by name. Whole recordings are transcribed one by one. With a streaming
model, each recording is also transcribed in chunks of 100 ms. The latency is the time from the start of the sound, where its power
first comes within 30 dB of the maximum, until the first letter is written: audio that has to pass, and computing time.
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
from tasks.speech import folders
from tasks.speech.timing import SAMPLE_RATE

MAX_RECORDINGS = 50
CHUNK_LENGTH = SAMPLE_RATE // 10  # samples in 100 ms
FRAME_LENGTH = SAMPLE_RATE // 100  # samples in 10 ms, in which the power is measured
START_POWER_RATIO = 1e-3  # 30 dB below the maximum

Recordings = list[np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path)
    parser.add_argument("recordings", type=Path)
    options = parser.parse_args()
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})  # also for the threads that TensorFlow starts later
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    print(describe_machine("tensorflow", "keras"))
    folder = folders.Folder(options.recordings)
    recordings = [folder.read(name, name) for name in folder.names()[:MAX_RECORDINGS]]
    signatures = tf.saved_model.load(str(options.version)).signatures
    seconds = sum(map(len, recordings)) / SAMPLE_RATE
    print(f"{len(recordings)} recordings, {seconds:.0f} seconds of audio, one core")
    times = _time_recordings(signatures["serving_default"], recordings)
    print(
        f"whole recordings: real-time factor {sum(times) / seconds:.4f}, median per recording {1000 * np.median(times):.0f} ms"
    )
    if "step" in signatures:
        times, latencies = _time_streams(signatures["step"], recordings)
        print(
            f"100 ms of a stream: median {1000 * np.median(times):.1f} ms, 99th percentile {1000 * np.quantile(times, 0.99):.1f} ms"
        )
        print(
            f"first letter: median {np.median(latencies):.2f} s after the start of the sound, 90th percentile "
            f"{np.quantile(latencies, 0.9):.2f} s"
        )


def _time_recordings(signature: Callable[..., object], recordings: Recordings) -> list[float]:
    """Returns the computing time of each recording, in seconds."""
    times = []
    for samples in recordings:
        request = {"samples": tf.constant(samples[None]), "length": tf.constant([len(samples)])}
        signature(**request)  # the first request with a new length is slower
        started = time.perf_counter()
        signature(**request)
        times.append(time.perf_counter() - started)
    return times


def _time_streams(
    signature: Callable[..., dict[str, tf.Tensor]], recordings: Recordings
) -> tuple[list[float], list[float]]:
    """Returns the computing time of each chunk, and the latency of the first letter of each recording with a text, in seconds."""
    state_size = signature.structured_input_signature[1]["state"].shape[1]  # type: ignore[attr-defined]
    times, latencies = [], []
    for samples in recordings:
        state, latency = tf.zeros((1, state_size)), None
        for start in range(0, len(samples), CHUNK_LENGTH):
            chunk = samples[start : start + CHUNK_LENGTH]
            last = start + CHUNK_LENGTH >= len(samples)
            started = time.perf_counter()
            outputs = signature(
                samples=tf.constant(chunk[None]),
                length=tf.constant([len(chunk)]),
                last=tf.constant([last]),
                state=state,
            )
            has_text, state = bool(outputs["text"].numpy()[0]), outputs["state"]
            times.append(time.perf_counter() - started)
            if has_text and latency is None:
                latency = (start + len(chunk)) / SAMPLE_RATE - _sound_start(samples) + times[-1]
        latencies += [] if latency is None else [latency]
    return times, latencies


def _sound_start(samples: np.ndarray) -> float:
    """Returns the time at which the sound starts, in seconds."""
    frames = samples[: len(samples) // FRAME_LENGTH * FRAME_LENGTH].reshape(-1, FRAME_LENGTH)
    power = np.square(frames).mean(axis=1)
    return float(np.argmax(power > power.max() * START_POWER_RATIO)) * FRAME_LENGTH / SAMPLE_RATE


if __name__ == "__main__":
    main()
