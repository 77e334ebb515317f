"""Writes what is said while it is being said, with a speech model of one direction (`lstm-suite train speech --preset streaming`).

    python examples/speech_stream.py saved_models/speech/1 hello.wav
    arecord -q -t raw -f S16_LE -r 16000 | python examples/speech_stream.py saved_models/speech/1 -

The second listens to a microphone through ALSA's recorder; any program that writes 16-bit samples, 16,000 a second, of one
channel, does as well. TensorFlow Serving keeps no state, so the caller does: `memory` comes back with each answer and is
sent with the next 100 ms.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import librosa
import numpy as np
import tensorflow as tf

RATE = 16_000  # samples a second
CHUNK = RATE // 10


class Listener:
    """A model's `step` signature and what it has to be told again, for one recording."""

    def __init__(self, model: str) -> None:
        self.model = tf.saved_model.load(model)
        if "step" not in self.model.signatures:
            raise SystemExit(f"{model}: cannot stream. Train with --preset streaming.")
        self.step = self.model.signatures["step"]
        self.memory = np.zeros((1, self.step.structured_input_signature[1]["state"].shape[1]), np.float32)

    def hear(self, samples: np.ndarray, last: bool = False) -> str:
        """Returns what has been recognised since, to be put behind what was."""
        answer = self.step(
            samples=tf.constant(samples[None], tf.float32),
            length=tf.constant([len(samples)]),
            last=tf.constant([last]),
            memory=tf.constant(self.memory),
        )
        self.memory = answer["state"].numpy()
        return answer["text"].numpy()[0].decode()


def of_file(path: str) -> Iterator[np.ndarray]:
    """Yields a recording, of any format and rate, 100 ms at a time."""
    samples, _ = librosa.load(path, sr=RATE, mono=True)
    yield from (samples[start : start + CHUNK] for start in range(0, len(samples), CHUNK))


def of_raw(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yields 16-bit samples, 100 ms at a time, as they come."""
    while content := stream.read(2 * CHUNK):
        yield np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 2**15


def said(listener: Listener, chunks: Iterable[np.ndarray]) -> Iterator[str]:
    """Yields what is recognised, as soon as it is; Ctrl-C ends what is heard, and its last words are told."""
    with contextlib.suppress(KeyboardInterrupt):
        for chunk in chunks:
            yield listener.hear(chunk)
    yield listener.hear(np.zeros(0, np.float32), last=True)


def main() -> None:
    model, source = sys.argv[1:3]
    chunks = of_raw(sys.stdin.buffer) if source == "-" else of_file(source)
    for text in said(Listener(model), chunks):
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
