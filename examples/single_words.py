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
import sys
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path, PurePath

import librosa
import numpy as np
import soundfile

from shared import keras_file, workflow
from tasks.speech import audio, data
from tasks.speech.alignment import Word, words_in_time
from tasks.speech.config import AudioConfig, SpeechConfig
from tasks.speech.evaluate import log_probabilities
from tasks.speech.features import RATE
from tasks.speech.model import STEP

NAMES = "ZERO ONE TWO THREE FOUR FIVE SIX SEVEN EIGHT NINE".split()
LATE = 0.08  # seconds from the step that tells a letter to its sound: the model tells early, since it has heard all that follows
SMOOTH = int(0.08 * RATE)  # samples over which loudness is taken
LONGEST = 0.6  # seconds that a word reaches at most before its first letter, and behind its last
SILENCE = 36  # decibels below the loudest: what is softer, at both ends, is cut off

Digit = tuple[str, str, np.ndarray]  # name, which begins with the digit, speaker, samples


def main(version: str, manifest: str, digits: str, folder: str) -> None:
    """Writes the recordings into a folder that is made, and `digits.csv` beside them.

    Args:
        version: exported by `lstm-suite train speech` on the sentences.
        manifest: of the sentences, with the columns file, text and speaker.
        digits: .zip file of single digits, with names such as 7_theo_0.flac.
        folder: where they go.
    """
    target = Path(folder)
    target.mkdir(parents=True)
    with (target / "digits.csv").open("w", newline="", encoding="utf-8") as listing:
        writer = csv.writer(listing, lineterminator="\n")
        writer.writerow(("file", "text", "speaker"))
        for name, speaker, samples in chain(cut(Path(version), manifest), single(digits)):
            soundfile.write(target / f"{name}.wav", samples, RATE)
            writer.writerow((f"{name}.wav", name[0], speaker))


def cut(version: Path, manifest: str) -> Iterator[Digit]:
    """Yields the digits of the sentences, each parted from its neighbours where it is quietest between their letters."""
    frame, alphabet = data.read(SpeechConfig(), manifest), workflow.facts(version)["alphabet"]
    logs = log_probabilities(keras_file.load(version / "model.keras"), frame)
    for row, one in zip(frame.itertuples(), logs, strict=True):
        samples = audio.samples_of(audio.opened(row.store), row.start, row.length)
        loudness = np.convolve(np.square(samples), np.hanning(SMOOTH), "same")
        words = words_in_time(one, row.text, alphabet)
        for k, word in enumerate(words):
            if word.text in NAMES:
                begin, end = borders(words, k, loudness)
                part, _ = librosa.effects.trim(samples[begin:end], top_db=SILENCE, frame_length=512, hop_length=160)
                yield f"{NAMES.index(word.text)}_{row.speaker}_{PurePath(row.name).stem}_{k}", row.speaker, part


def borders(words: Sequence[Word], k: int, loudness: np.ndarray) -> tuple[int, int]:
    """Returns the first sample of a word, and the one behind its last.

    Args:
        words: of the sentence.
        k: which.
        loudness: at each sample of the sentence.
    """
    begin, end = max(0.0, words[k].start - LONGEST), words[k].end + LONGEST
    if k > 0:
        begin = max(begin, _quietest(loudness, words[k - 1].end, words[k].start))
    if k + 1 < len(words):
        end = min(end, _quietest(loudness, words[k].end, words[k + 1].start))
    return int(begin * RATE), min(int(end * RATE), len(loudness))


def _quietest(loudness: np.ndarray, before: float, behind: float) -> float:
    """Returns when it is quietest between the end of a word and the start of the next, seconds."""
    first = min(int((before + LATE) * RATE), len(loudness) - 1)
    last = max(int((behind + LATE) * RATE), first + STEP)
    return (first + int(np.argmin(loudness[first:last]))) / RATE


def single(digits: str) -> Iterator[Digit]:
    """Yields the recordings of the other corpus."""
    frame = data.read(SpeechConfig(audio=AudioConfig(names="{text}_{speaker}_{take}")), digits)
    for row in frame.itertuples():
        samples = audio.samples_of(audio.opened(row.store), row.start, row.length)
        yield PurePath(row.name).stem, row.speaker, samples


if __name__ == "__main__":
    main(*sys.argv[1:])
