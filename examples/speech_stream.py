"""Transcribes speech while it is recorded, with a model from `lstm-suite train speech --preset streaming`.

    python examples/speech_stream.py saved_models/speech/1 hello.wav
    python examples/speech_stream.py saved_models/speech/1 hello.wav --language-model
    arecord -q -t raw -f S16_LE -r 16000 | python examples/speech_stream.py saved_models/speech/1 -

The third command reads a microphone with the recorder of ALSA. Any other program that writes 16-bit mono samples at 16 kHz also
works. The server keeps no state: each response has the next `state`, and the client sends it with the next 100 ms of audio.

Without a language model, a text is final as soon as it is written. With the language model of the version, the line changes until a pause
of a second ends it; this needs the suite (`pip install lstm-suite`).
"""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, BinaryIO

import librosa
import numpy as np
import tensorflow as tf

SAMPLE_RATE = 16_000  # samples per second
CHUNK_LENGTH = SAMPLE_RATE // 10
PAUSE_STEPS = 25  # of 40 ms without a character, which end a line
MIN_SILENCE = 0.5  # probability of no character in a step of a pause


class StreamTranscriber:
    """The `step` signature of a model, and the state of one recording."""

    def __init__(self, version: str) -> None:
        self.model = tf.saved_model.load(version)
        if "step" not in self.model.signatures:
            raise SystemExit(f"{version}: the model cannot transcribe a stream. Train one with --preset streaming.")
        self.step = self.model.signatures["step"]
        self.state = np.zeros((1, self.step.structured_input_signature[1]["state"].shape[1]), np.float32)

    def run(self, samples: np.ndarray, last: bool = False) -> dict[str, Any]:
        """Returns the outputs for the next samples."""
        outputs = self.step(
            samples=tf.constant(samples[None], tf.float32),
            length=tf.constant([len(samples)]),
            last=tf.constant([last]),
            state=tf.constant(self.state),
        )
        self.state = outputs["state"].numpy()
        return {name: value.numpy()[0] for name, value in outputs.items()}

    def transcribe(self, samples: np.ndarray, last: bool = False) -> str:
        """Returns the text that the next samples add to the transcript."""
        return self.run(samples, last)["text"].decode()


class LineTranscriber:
    """Transcribes a stream line by line with the language model of the version."""

    def __init__(self, version: str) -> None:
        from tasks.speech.decoder import load_decoder

        self.stream = StreamTranscriber(version)
        self.decoder = load_decoder(json.loads((Path(version) / "task.json").read_text(encoding="utf-8")))
        self.search, self.pause = self.decoder.stream(), 0

    def transcribe(self, samples: np.ndarray, last: bool = False) -> tuple[str, bool]:
        """Returns the text of the current line after the next samples, and whether the line is complete."""
        outputs = self.stream.run(samples, last)
        steps = outputs["log_probabilities"][: outputs["step_count"]]
        self.search.advance(steps)
        for silence in np.exp(steps[:, 0]):
            self.pause = self.pause + 1 if silence > MIN_SILENCE else 0
        text, is_complete = self.search.text(), last or self.pause >= PAUSE_STEPS
        if is_complete:
            self.search, self.pause = self.decoder.stream(), 0
        return text, is_complete


def read_file(path: str) -> Iterator[np.ndarray]:
    """Yields a recording of any format and sample rate, 100 ms at a time."""
    samples, _ = librosa.load(path, sr=SAMPLE_RATE, mono=True)
    yield from (samples[start : start + CHUNK_LENGTH] for start in range(0, len(samples), CHUNK_LENGTH))


def read_stream(stream: BinaryIO) -> Iterator[np.ndarray]:
    """Yields the 16-bit samples of a stream, 100 ms at a time, as soon as they are available."""
    while content := stream.read(2 * CHUNK_LENGTH):
        yield np.frombuffer(content[: len(content) // 2 * 2], "<i2").astype(np.float32) / 2**15


def transcribe_chunks(transcriber: Any, chunks: Iterable[np.ndarray]) -> Iterator[Any]:
    """Yields what a transcriber returns for each chunk. Ctrl-C ends the recording; the last words follow."""
    with contextlib.suppress(KeyboardInterrupt):
        for chunk in chunks:
            yield transcriber.transcribe(chunk)
    yield transcriber.transcribe(np.zeros(0, np.float32), last=True)


def print_lines(lines: Iterable[tuple[str, bool]]) -> None:
    """Prints complete lines, and in a terminal also the current one while it changes."""
    for text, is_complete in lines:
        if sys.stdout.isatty():
            sys.stdout.write(f"\r\x1b[K{text}")
        if is_complete and text:
            sys.stdout.write("\n" if sys.stdout.isatty() else f"{text}\n")
        sys.stdout.flush()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", help="folder of the exported version")
    parser.add_argument("source", help="recording, or - for raw samples on standard input")
    parser.add_argument("--language-model", action="store_true", help="decode with the language model of the version")
    arguments = parser.parse_args()
    source = arguments.source
    chunks = read_stream(sys.stdin.buffer) if source == "-" else read_file(source)
    if arguments.language_model:
        print_lines(transcribe_chunks(LineTranscriber(arguments.version), chunks))
        return
    for text in transcribe_chunks(StreamTranscriber(arguments.version), chunks):
        sys.stdout.write(text)
        sys.stdout.flush()
    sys.stdout.write("\n")


if __name__ == "__main__":
    main()
