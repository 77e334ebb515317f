"""Cuts single words out of sentences, so that a data set with few speakers gets the words of many more.

    lstm-suite train speech --data an4/train.csv
    python examples/single_words.py saved_models/speech/1 an4/train.csv fsdd/recordings.zip digits
    lstm-suite train speech --data digits/digits.csv

A model of the AN4 sentences finds the time of each word of the known transcripts (forced alignment). The digits are cut out and
combined with those of the Free Spoken Digit Dataset, which has six speakers. The AN4 recordings are in train.zip, in the folder of
the manifest.
"""

from __future__ import annotations

import csv
import logging
import sys
import tempfile
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import soundfile
from librosa.effects import trim

from shared.errors import DataError, SuiteError
from shared.export import keras_file
from shared.export.versions import load_metadata
from tasks.speech import audio, user_files
from tasks.speech.batches import iterate_recordings
from tasks.speech.config import ColumnsConfig, SpeechConfig
from tasks.speech.decoder import Decoder, Word
from tasks.speech.evaluate import compute_log_probabilities
from tasks.speech.model import get_submodels
from tasks.speech.timing import SAMPLE_RATE, STEP_LENGTH

DIGIT_WORDS = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()
SOUND_DELAY = 0.08
"""Seconds between the step of a character and its sound: a bidirectional model writes characters early, because it has already read
the rest of the recording."""
SMOOTHING_LENGTH = int(0.08 * SAMPLE_RATE)  # samples in the window of the power
MAX_MARGIN = 0.6  # seconds of audio before the first character of a word, and after its last
TRIM_DECIBELS = 36  # below the maximum; quieter audio at both ends is removed
MIN_SECONDS = 0.1  # of a word

Digit = tuple[str, str, str, np.ndarray]
"""Text, speaker, source and samples."""


def main(version: str, manifest: str, digits: str, folder: str) -> None:
    """Writes the recordings of both data sets to a new folder, with the manifest `digits.csv`.

    Args:
        version: folder of an exported bidirectional model, which was trained on the sentences.
        manifest: manifest of the sentences, with the columns file, text and speaker.
        digits: .zip file of single digits, with names such as 7_theo_0.flac.
        folder: folder for the result; it must not exist.

    Raises:
        SuiteError: one of the inputs cannot be used; the folder is then not created.
    """
    target = Path(folder)
    if target.exists():
        raise DataError(f"{target}: the folder already exists. Name another folder, or move it away.")
    target.parent.mkdir(parents=True, exist_ok=True)
    single_digits = list(read_single_digits(digits))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".digits-") as staging:
        staging_folder = Path(staging) / "digits"
        staging_folder.mkdir()
        with (staging_folder / "digits.csv").open("w", newline="", encoding="utf-8") as listing:
            writer = csv.writer(listing, lineterminator="\n")
            writer.writerow(("file", "text", "speaker", "source"))
            for k, digit in enumerate(chain(cut_digits(Path(version), manifest), single_digits)):
                text, speaker, source, samples = digit
                soundfile.write(staging_folder / f"{k:05}.wav", samples, SAMPLE_RATE)
                writer.writerow((f"{k:05}.wav", text, speaker, source))
        staging_folder.rename(target)


def read_single_digits(digits: str) -> Iterator[Digit]:
    """Yields the recordings of single digits.

    Raises:
        DataError: a file name does not start with a digit.
    """
    config = SpeechConfig(columns=ColumnsConfig(file_pattern="{text}_{speaker}_{take}"))
    for row in user_files.read(config, digits).itertuples():
        if row.text not in {str(k) for k in range(10)}:
            raise DataError(f"{digits}, {row.name}: the file name must start with a digit, as in 7_theo_0.flac.")
        yield row.text, row.speaker, row.name, _get_samples(row)


def cut_digits(version: Path, manifest: str) -> Iterator[Digit]:
    """Yields the digits in the sentences. Each is separated from the neighboring words at the quietest moment between their
    characters.

    Raises:
        DataError: no sentence has a digit, the speakers are unknown, or the model belongs to another task or is unidirectional: such a
            model writes characters late.
    """
    frame, metadata = user_files.read(SpeechConfig(), manifest), load_metadata(version, "speech")
    model = keras_file.load(version / "model.keras")
    if get_submodels(model).state_size is not None:
        raise DataError(f"{version}: not a bidirectional model of speech. Train one with --preset default.")
    if not frame["speaker"].all():
        raise DataError(f"{manifest}: some speakers are unknown. Add the column speaker, and fill it in.")
    frame = frame[[any(word in DIGIT_WORDS for word in text.upper().split()) for text in frame["text"]]]
    if frame.empty:
        raise DataError(f"{manifest}: no sentence has one of the words {', '.join(DIGIT_WORDS)}.")
    decoder = Decoder(metadata["alphabet"])
    outputs = compute_log_probabilities(model, list(iterate_recordings(frame)))
    for (_, row), log_probabilities in zip(frame.iterrows(), outputs, strict=True):
        yield from _cut_sentence(row, log_probabilities, decoder)


def _cut_sentence(row: pd.Series, log_probabilities: np.ndarray, decoder: Decoder) -> Iterator[Digit]:
    """Yields the digits of one sentence; digits that are not found are left out with a warning."""
    logger = logging.getLogger(__name__)
    try:
        words = decoder.align(log_probabilities, row["text"])
    except ValueError as error:
        logger.warning("%s is left out: %s", row["name"], error)
        return
    samples = _get_samples(row)
    power = np.convolve(np.square(samples), np.hanning(SMOOTHING_LENGTH), "same")
    for k, word in enumerate(words):
        if word.text.upper() in DIGIT_WORDS:
            start, end = word_borders(words, k, power)
            trimmed, _ = trim(samples[start:end], top_db=TRIM_DECIBELS, frame_length=512, hop_length=160)
            if len(trimmed) < MIN_SECONDS * SAMPLE_RATE:
                logger.warning("%s of %s is left out: there is no sound at its time.", word, row["name"])
                continue
            yield str(DIGIT_WORDS.index(word.text.upper())), row["speaker"], f"{row['name']}, word {k + 1}", trimmed


def word_borders(words: Sequence[Word], k: int, power: np.ndarray) -> tuple[int, int]:
    """Returns the index of the first sample of word k, and the index after its last sample.

    Args:
        words: words of the sentence with their times.
        k: index of the word.
        power: smoothed power at each sample of the sentence, in any unit, `(samples,)`.
    """
    start, end = max(0.0, words[k].start - MAX_MARGIN), words[k].end + MAX_MARGIN
    if k > 0:
        start = max(start, _quietest_time(power, words[k - 1].end, words[k].start))
    if k + 1 < len(words):
        end = min(end, _quietest_time(power, words[k].end, words[k + 1].start))
    return int(start * SAMPLE_RATE), min(int(end * SAMPLE_RATE), len(power))


def _quietest_time(power: np.ndarray, previous_end: float, next_start: float) -> float:
    """Returns the time with the least power between the last sound of a word and the first sound of the next word, in seconds.

    Args:
        power: smoothed power at each sample.
        previous_end: end of the steps of the first word, in seconds.
        next_start: start of the steps of the next word, in seconds.
    """
    first = min(int((previous_end + SOUND_DELAY) * SAMPLE_RATE), len(power) - 1)
    last = max(int((next_start + SOUND_DELAY) * SAMPLE_RATE), first + STEP_LENGTH)
    return (first + int(np.argmin(power[first:last]))) / SAMPLE_RATE


def _get_samples(row: Any) -> np.ndarray:
    return audio.get_samples(audio.open_cache(row.cache_file), row.start, row.length)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit("usage: single_words.py MODEL_VERSION SENTENCES.csv DIGITS.zip FOLDER")
    try:
        main(*sys.argv[1:])
    except SuiteError as error:
        raise SystemExit(f"single_words: {error}") from error
