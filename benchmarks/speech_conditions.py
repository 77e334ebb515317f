"""Word errors of an exported speech model in silence, noise and rooms, and its output for recordings without speech.

    python -m benchmarks.speech_conditions saved_models/speech/1 an4/test.csv
    python -m benchmarks.speech_conditions saved_models/speech/1 fsdd/recordings.zip --names '*_[0-4].flac'

Every recording is transcribed as it is, and changed in each of several ways. Recordings without speech are three seconds of silence,
steady noise, hum, or babble: the sum of recordings of the file. They are transcribed as by `lstm-suite predict`, with the language model
and only where there is speech, or with `--graph` by the signature `serving_default`.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping, Sequence
from fnmatch import fnmatch
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.machine import describe_machine
from shared.export.versions import load_metadata
from shared.streams import VersionPredictor
from shared.task import trained_config
from shared.workflow import load_predictor
from tasks.speech.augmentation import reverberate
from tasks.speech.batches import iterate_recordings, pad_rows
from tasks.speech.config import SpeechConfig
from tasks.speech.decoder import load_decoder
from tasks.speech.evaluate import count_word_errors
from tasks.speech.inputs import read_records
from tasks.speech.timing import SAMPLE_RATE
from tasks.speech.transcription import SIGNATURE, batches_by_length, transcribe_all

QUIET_NOISE_DECIBELS = -30.0  # relative to the recording
HALF_SECOND = SAMPLE_RATE // 2
WITHOUT_SPEECH_SECONDS = 3
BABBLE_VOICES = 5

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("version", type=Path, help="folder of the exported version")
    parser.add_argument("data", help="recordings with texts, as for `lstm-suite evaluate speech`")
    parser.add_argument("--names", default="*", help="pattern of the file names to use")
    parser.add_argument("--trials", type=int, default=100, help="number of recordings of each kind without speech")
    parser.add_argument("--graph", action="store_true", help="use the signature serving_default")
    parser.add_argument("--seed", type=int, default=1, help="seed of the noise")
    arguments = parser.parse_args()
    print(describe_machine("tensorflow", "keras"), flush=True)
    metadata = load_metadata(arguments.version)
    config = trained_config(metadata)
    assert isinstance(config, SpeechConfig)
    records = read_records(config, arguments.data, metadata)
    records = records[[fnmatch(Path(name).name, arguments.names) for name in records["name"]]]
    recordings, texts = list(iterate_recordings(records)), records["text"].tolist()
    predictor = load_predictor(arguments.version)
    transcribe = partial(_by_graph, predictor) if arguments.graph else partial(_by_product, predictor, metadata)
    for name, change in CHANGES.items():
        rng = np.random.default_rng(arguments.seed)
        hypotheses, confidences = transcribe([change(samples, rng) for samples in recordings])
        errors = count_word_errors(texts, hypotheses).sum(axis=0)
        confidence = np.mean(confidences)
        print(f"{name}: {100 * errors[0] / errors[1]:.1f} % word errors, mean confidence {confidence:.2f}", flush=True)
    for name, trials in without_speech(recordings, arguments.trials, arguments.seed).items():
        empty = np.mean([not text for text in transcribe(trials)[0]])
        print(f"{name}: {100 * empty:.0f} % of {len(trials)} recordings without text", flush=True)


def _by_product(
    predictor: VersionPredictor, metadata: dict[str, Any], recordings: Sequence[np.ndarray]
) -> tuple[list[str], list[float]]:
    """Returns text and confidence of each recording, as `lstm-suite predict`."""
    log_probabilities = predictor.predictors.call[SIGNATURE]
    transcripts = transcribe_all(log_probabilities, ([samples] for samples in recordings), load_decoder(metadata))
    return [transcript.text for transcript in transcripts], [transcript.confidence for transcript in transcripts]


def _by_graph(predictor: VersionPredictor, recordings: Sequence[np.ndarray]) -> tuple[list[str], list[float]]:
    """Returns text and confidence of each recording by `serving_default`."""
    texts, confidences = [""] * len(recordings), [0.0] * len(recordings)
    lengths = [len(samples) for samples in recordings]
    for rows in batches_by_length(np.argsort(lengths, kind="stable"), lengths):
        samples, length = pad_rows([recordings[row] for row in rows], np.float32)
        outputs = predictor({"samples": samples, "length": length})
        for row, text, confidence in zip(rows, outputs["text"], outputs["confidence"], strict=True):
            texts[row], confidences[row] = text.decode(), float(confidence)
    return texts, confidences


def _pad(before: int, after: int, noise_decibels: float | None = None) -> Change:
    def change(samples: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        padded = np.pad(samples, (before, after))
        if noise_decibels is not None:
            power = np.mean(np.square(samples)) * 10 ** (noise_decibels / 10)
            padded = padded + rng.normal(size=len(padded)) * np.sqrt(power)
        return np.clip(padded, -1, 1).astype(np.float32)

    return change


CHANGES: Mapping[str, Change] = {
    "as recorded": _pad(0, 0),
    "0.5 s of zeros before": _pad(HALF_SECOND, 0),
    "1 s of zeros before": _pad(SAMPLE_RATE, 0),
    "quiet noise, 0.5 s before and after": _pad(HALF_SECOND, HALF_SECOND, QUIET_NOISE_DECIBELS),
    "louder noise (20 dB), 0.5 s before and after": _pad(HALF_SECOND, HALF_SECOND, -20.0),
    "loud noise (0 dB)": _pad(0, 0, 0.0),
    "3 s of zeros before and after": _pad(3 * SAMPLE_RATE, 3 * SAMPLE_RATE),
    "room": reverberate,
}


def without_speech(recordings: list[np.ndarray], count: int, seed: int) -> dict[str, list[np.ndarray]]:
    """Returns recordings without speech by their kind, `count` of each, float32 `(samples,)`."""
    rng = np.random.default_rng(seed)
    length = WITHOUT_SPEECH_SECONDS * SAMPLE_RATE
    time = np.arange(length) / SAMPLE_RATE

    def loudness() -> float:
        return float(10 ** (rng.uniform(-60, -15) / 20))

    def hum() -> np.ndarray:
        base = rng.uniform(45, 65)
        tones = [np.sin(2 * np.pi * base * k * time + rng.uniform(0, 6)) / k for k in range(1, 10)]
        return np.sum(tones, axis=0)

    def babble() -> np.ndarray:
        chosen = [recordings[k] for k in rng.integers(len(recordings), size=BABBLE_VOICES)]
        return np.sum([np.resize(np.roll(voice, rng.integers(len(voice))), length) for voice in chosen], axis=0)

    def scaled(samples: np.ndarray) -> np.ndarray:
        return (samples * loudness() / (np.std(samples) + 1e-9)).clip(-1, 1).astype(np.float32)

    return {
        "silence": [np.zeros(length, np.float32)] + [scaled(rng.normal(size=length)) * 1e-2 for _ in range(count - 1)],
        "steady noise": [scaled(rng.normal(size=length)) for _ in range(count)],
        "hum": [scaled(hum()) for _ in range(count)],
        "babble": [scaled(babble()) for _ in range(count)],
    }


if __name__ == "__main__":
    main()
