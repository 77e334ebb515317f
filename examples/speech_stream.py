"""Transcribes speech while it is recorded, with a model from `lstm-suite train speech --preset streaming`.

    python examples/speech_stream.py saved_models/speech/1 hello.wav
    arecord -q -t raw -f S16_LE -r 16000 | python examples/speech_stream.py saved_models/speech/1 -

The second command reads a microphone with the recorder of ALSA. Any other program that writes 16-bit mono samples at 16 kHz also
works. The server keeps no state: each response has the next `state`, and the client sends it with the next 100 ms of audio.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterable, Iterator
from typing import BinaryIO

import librosa
import numpy as np
import tensorflow as tf

SAMPLE_RATE = 16_000  # samples per second
CHUNK_LENGTH = SAMPLE_RATE // 10


class StreamTranscriber:
    """The `step` signature of a model, and the state of one recording."""

    def __init__(self, version: str) -> None:
        self.model = tf.saved_model.load(version)
        if "step" not in self.model.signatures:
            raise SystemExit(f"{version}: the model cannot transcribe a stream. Train one with --preset streaming.")
        self.step = self.model.signatures["step"]
        self.state = np.zeros((1, self.step.structured_input_signature[1]["state"].shape[1]), np.float32)

    def transcribe(self, samples: np.ndarray, last: bool = False) -> str:
        """Returns the text that the next samples add to the transcript."""
        outputs = self.step(
            samples=tf.constant(samples[None], tf.float32),
            length=tf.constant([len(samples)]),
            last=tf.constant([last]),
            state=tf.constant(self.state),
        )
        self.state = outputs["state"].numpy()
        return outputs["text"].numpy()[0].decode()


def read_file(path: str) -> Iterator[np.ndarray]:
    """Yields a recording of any format and sample rate, 100 ms at a time."""
    samples, _ = librosa.load(path, sr=SAMPLE_RATE, mono=True)
    yield from (samples[start : start + CHUNK_LENGTH] for start in range(0, len(samples), CHUNK_LENGTH))


def read_stream(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yields the 16-bit samples of a stream, 100 ms at a time, as soon as they are available."""
    while content := stream.read(2 * CHUNK_LENGTH):
        yield np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 2**15


def transcribe_chunks(transcriber: StreamTranscriber, chunks: Iterable[np.ndarray]) -> Iterator[str]:
    """Yields each addition to the transcript as soon as it is recognized. Ctrl-C ends the recording; the last words follow."""
    with contextlib.suppress(KeyboardInterrupt):
        for chunk in chunks:
            yield transcriber.transcribe(chunk)
    yield transcriber.transcribe(np.zeros(0, np.float32), last=True)


def main() -> None:
    version, source = sys.argv[1:3]
    chunks = read_stream(sys.stdin.buffer) if source == "-" else read_file(source)
    for text in transcribe_chunks(StreamTranscriber(version), chunks):
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
