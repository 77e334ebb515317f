"""Digits and commands that `espeak-ng` speaks in many voices, at different speeds and pitches, with noise.

The library and its voices come with the package `espeakng-loader`; nothing is installed or downloaded. The library varies a little
each time, so its output is cached. The sample only shows that all parts work: a model that is trained on synthetic voices does not
recognize people.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd

from tasks.speech import audio

LICENCE = "synthesized by espeak-ng (GPL 3 or later); the audio itself is free to use"
LOCATION = "espeak-ng through espeakng-loader"
WORDS = (
    *"zero one two three four five six seven eight nine".split(),
    *"yes no stop go left right up down on off".split(),
)
VOICES = tuple(
    f"{accent}+{variant}"
    for accent in ("en-us", "en-gb-x-rp", "en-gb-scotland")
    for variant in "m1 m3 m4 m7 f1 f2 f4 f5".split()
)
TEST_VOICES = ("en-us+m3", "en-gb-x-rp+f2", "en-gb-scotland+f4", "en-us+f5")
VALIDATION_VOICES = ("en-us+f1", "en-gb-x-rp+m4", "en-gb-scotland+m1")
RECORDINGS_PER_VOICE = 30
MAX_WORDS = 3  # per recording
VERSION = 1  # of the sample; a new number makes the cached file outdated

SYNCHRONOUS, UTF8, RATE, PITCH = 2, 1, 1, 3  # constants of espeak's speak_lib.h
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def split() -> dict[str, pd.DataFrame]:
    """Returns the tables "train", "validation" and "test" with the columns of `tasks.speech.data.load`, each with other voices."""
    plan = _plan()
    key = ("sample", VERSION, *plan.itertuples(index=False, name=None))
    cache_file, lengths = audio.cache_recordings(key, _synthesize(plan))
    frame = plan.assign(
        name=[f"{row.speaker} {k}" for k, row in enumerate(plan.itertuples())],
        cache_file=str(cache_file),
        start=np.cumsum(lengths) - lengths,
        length=lengths,
    )[["text", "speaker", "name", "cache_file", "start", "length"]]
    return {
        "train": frame[~frame["speaker"].isin(VALIDATION_VOICES + TEST_VOICES)],
        "validation": frame[frame["speaker"].isin(VALIDATION_VOICES)],
        "test": frame[frame["speaker"].isin(TEST_VOICES)],
    }


def _plan() -> pd.DataFrame:
    """Returns text, voice, rate, pitch and noise of each recording."""
    rng = np.random.default_rng(0)
    rows = []
    for voice in VOICES:
        for k in range(RECORDINGS_PER_VOICE):
            first = WORDS[k % len(WORDS)]
            words = [first, *rng.choice(WORDS, rng.integers(0, MAX_WORDS))]
            rows.append(
                {
                    "text": " ".join(words),
                    "speaker": voice,
                    "rate": int(rng.integers(110, 210)),
                    "pitch": int(rng.integers(25, 75)),
                    "noise": float(np.round(rng.uniform(-65, -35), 1)),
                }
            )
    return pd.DataFrame(rows)


def _synthesize(plan: pd.DataFrame) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    for row in plan.itertuples():
        samples = speak(row.text, row.speaker, row.rate, row.pitch)
        yield np.clip(samples + rng.normal(0, 10 ** (row.noise / 20), len(samples)), -1, 1).astype(np.float32)


def speak(text: str, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> np.ndarray:
    """Returns a text as espeak-ng speaks it, float32 `(samples,)` at 16 kHz.

    Args:
        text: English text.
        voice: name of an accent and a variant, such as en-us+f2.
        rate: words per minute.
        pitch: from 0 to 100.

    Raises:
        ValueError: there is no such voice, or espeak-ng gives no audio for the text.
    """
    library, library_rate, chunks = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}.")
    library.espeak_SetParameter(RATE, rate, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    chunks.clear()
    content = text.encode()
    library.espeak_Synth(content, len(content) + 1, 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()
    if not chunks:
        raise ValueError(f"espeak-ng gives no audio for {text!r}.")
    return audio.convert_samples(np.concatenate(chunks), library_rate, text)


@cache
def _library() -> tuple[ctypes.CDLL, int, list[np.ndarray]]:
    """Returns the library, its sample rate, and the list to which it appends the chunks of samples."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    library_rate = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if library_rate <= 0:
        raise RuntimeError("espeak-ng could not be started")
    chunks: list[np.ndarray] = []

    def append_chunk(samples: ctypes._Pointer, count: int, events: int) -> int:
        if samples and count > 0:
            chunks.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.callback = CALLBACK(append_chunk)  # type: ignore[attr-defined]  # the library needs it as long as it exists
    library.espeak_SetSynthCallback(library.callback)
    return library, library_rate, chunks
