"""Single words cut out of sentences: a corpus of many speakers lends its digits to one of few.

    lstm-suite train speech --data an4/train.csv
    python examples/single_words.py saved_models/speech/1 an4/train.csv fsdd/recordings.zip digits
    lstm-suite train speech --data digits/digits.csv

A recogniser of AN4's sentences finds when each word of the known transcripts is said. The digits among them are cut out, and put
beside those of the Free Spoken Digit Dataset, which six speakers say one by one. AN4's recordings are in train.zip beside its
manifest.
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

import librosa
import numpy as np
import pandas as pd
import soundfile

from shared import keras_file, workflow
from shared.errors import DataError, SuiteError
from tasks.speech import audio, data
from tasks.speech.alignment import Word, words_in_time
from tasks.speech.config import AudioConfig, SpeechConfig
from tasks.speech.evaluate import log_probabilities
from tasks.speech.features import RATE
from tasks.speech.model import STEP, get_submodels

NAMES = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()
LATE = 0.08  # seconds from the step that tells a letter to its sound: the model tells early, since it has heard all that follows
SMOOTH = int(0.08 * RATE)  # samples over which loudness is taken
REACH = 0.6  # seconds that a word is looked for at most before its first letter, and behind its last
SILENCE = 36  # decibels below the loudest: what is softer, at both ends, is cut off
SHORTEST = 0.1  # seconds of a word

Digit = tuple[str, str, str, np.ndarray]  # text, speaker, where it is from, samples


def main(version: str, manifest: str, digits: str, folder: str) -> None:
    """Writes the recordings into a folder that is made when all is well, and `digits.csv` beside them.

    Args:
        version: exported by `lstm-suite train speech` on the sentences, of whole utterances.
        manifest: of the sentences, with the columns file, text and speaker.
        digits: .zip file of single digits, with names such as 7_theo_0.flac.
        folder: where they go.

    Raises:
        SuiteError: one of these cannot be used; nothing is written.
    """
    target = Path(folder)
    if target.exists():
        raise DataError(f"{target}: is there already. Name another folder, or move it away.")
    target.parent.mkdir(parents=True, exist_ok=True)
    singles = list(single(digits))
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".digits-") as aside:
        made = Path(aside) / "digits"
        made.mkdir()
        with (made / "digits.csv").open("w", newline="", encoding="utf-8") as listing:
            writer = csv.writer(listing, lineterminator="\n")
            writer.writerow(("file", "text", "speaker", "source"))
            for k, (text, speaker, source, samples) in enumerate(chain(cut(Path(version), manifest), singles)):
                soundfile.write(made / f"{k:05}.wav", samples, RATE)
                writer.writerow((f"{k:05}.wav", text, speaker, source))
        made.rename(target)


def single(digits: str) -> Iterator[Digit]:
    """Yields the recordings of single digits.

    Raises:
        DataError: a name does not begin with one.
    """
    for row in data.read(SpeechConfig(audio=AudioConfig(names="{text}_{speaker}_{take}")), digits).itertuples():
        if row.text not in {str(k) for k in range(10)}:
            raise DataError(f"{digits}, {row.name}: expected a digit first, as in 7_theo_0.flac.")
        yield row.text, row.speaker, row.name, _samples(row)


def cut(version: Path, manifest: str) -> Iterator[Digit]:
    """Yields the digits of the sentences, each parted from its neighbours where it is quietest between their letters.

    Raises:
        DataError: no digit is said, nobody knows by whom, or the model is another task's or reads forwards alone, and so
            tells its letters late.
    """
    frame, metadata = data.read(SpeechConfig(), manifest), workflow.load_metadata(version)
    model = keras_file.load(version / "model.keras")
    if metadata.get("task") != "speech" or get_submodels(model).state_size is not None:
        raise DataError(f"{version}: no recogniser of whole utterances. Train speech by --preset default.")
    if not frame["speaker"].all():
        raise DataError(f"{manifest}: does not say who speaks. Add the column speaker.")
    said = frame[[any(word in NAMES for word in text.upper().split()) for text in frame["text"]]]
    if said.empty:
        raise DataError(f"{manifest}: nobody says {', '.join(NAMES)}.")
    for (_, row), logs in zip(said.iterrows(), log_probabilities(model, said), strict=True):
        yield from _cut(row, logs, metadata["alphabet"])


def _cut(row: pd.Series, logs: np.ndarray, alphabet: str) -> Iterator[Digit]:
    """Yields the digits of one sentence; those that cannot be found are told and left out."""
    try:
        words = words_in_time(logs, row["text"], alphabet)
    except ValueError as error:
        logging.getLogger(__name__).warning("%s is left out: %s", row["name"], error)
        return
    samples = _samples(row)
    loudness = np.convolve(np.square(samples), np.hanning(SMOOTH), "same")
    for k, word in enumerate(words):
        if word.text.upper() in NAMES:
            begin, end = borders(words, k, loudness)
            part, _ = librosa.effects.trim(samples[begin:end], top_db=SILENCE, frame_length=512, hop_length=160)
            if len(part) < SHORTEST * RATE:
                logging.getLogger(__name__).warning("%s of %s is left out: no sound is there.", word, row["name"])
                continue
            yield str(NAMES.index(word.text.upper())), row["speaker"], f"{row['name']}, word {k + 1}", part


def borders(words: Sequence[Word], k: int, loudness: np.ndarray) -> tuple[int, int]:
    """Returns the first sample of a word, and the one behind its last.

    Args:
        words: of the sentence.
        k: which.
        loudness: at each sample of the sentence, any unit, `(samples,)`.
    """
    begin, end = max(0.0, words[k].start - REACH), words[k].end + REACH
    if k > 0:
        begin = max(begin, _quietest(loudness, words[k - 1].end, words[k].start))
    if k + 1 < len(words):
        end = min(end, _quietest(loudness, words[k].end, words[k + 1].start))
    return int(begin * RATE), min(int(end * RATE), len(loudness))


def _quietest(loudness: np.ndarray, before: float, behind: float) -> float:
    """Returns when it is quietest between the sound of a word's last letter and that of the next one's first, seconds.

    Args:
        loudness: at each sample.
        before: when the steps of the former end, seconds.
        behind: when those of the latter begin, seconds.
    """
    first = min(int((before + LATE) * RATE), len(loudness) - 1)
    last = max(int((behind + LATE) * RATE), first + STEP)
    return (first + int(np.argmin(loudness[first:last]))) / RATE


def _samples(row: Any) -> np.ndarray:
    return audio.samples_of(audio.opened(row.store), row.start, row.length)


if __name__ == "__main__":
    if len(sys.argv) != 5:
        raise SystemExit("Usage: single_words.py MODEL_VERSION SENTENCES.csv DIGITS.zip FOLDER")
    try:
        main(*sys.argv[1:])
    except SuiteError as error:
        raise SystemExit(f"single_words: {error}") from error
