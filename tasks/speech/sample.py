"""Digits and commands spoken by `espeak-ng` in many voices, rates and pitches, with noise: real enough to see all parts work.

The library and its voices come with the `espeakng-loader` package; nothing is installed or downloaded. It speaks a little
otherwise each time, so what was spoken is kept. No result: who speaks like a machine is not who will speak to yours.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from functools import cache

import numpy as np
import pandas as pd

from tasks.speech import audio

LICENCE = "made by espeak-ng (GPL 3 or later); what it speaks is yours"
LOCATION = "espeak-ng through espeakng-loader"
WORDS = (
    *"zero one two three four five six seven eight nine".split(),
    *"yes no stop go left right up down on off".split(),
)
VOICES = tuple(
    f"{accent}+{who}"
    for accent in ("en-us", "en-gb-x-rp", "en-gb-scotland")
    for who in "m1 m3 m4 m7 f1 f2 f4 f5".split()
)
JUDGING = ("en-us+m3", "en-gb-x-rp+f2", "en-gb-scotland+f4", "en-us+f5")
CHOOSING = ("en-us+f1", "en-gb-x-rp+m4", "en-gb-scotland+m1")
EACH = 30  # recordings of a voice
MOST_WORDS = 3
VERSION = 1  # of what is spoken: another makes the kept file anew

SYNCHRONOUS, UTF8, RATE_OF_SPEECH, PITCH = 2, 1, 1, 3  # of the library's interface, speak_lib.h
CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)


def split() -> dict[str, pd.DataFrame]:
    """Returns training, validation and test tables as `tasks.speech.data.load` describes them; no voice stands in two."""
    plan = _plan()
    store, lengths = audio.kept(("sample", VERSION, *plan.itertuples(index=False, name=None)), _spoken(plan))
    placed = plan.assign(
        name=[f"{row.speaker} {k}" for k, row in enumerate(plan.itertuples())],
        store=str(store),
        start=np.cumsum(lengths) - lengths,
        length=lengths,
    )[["text", "speaker", "name", "store", "start", "length"]]
    kinds = {"validation": CHOOSING, "test": JUDGING}
    parts = {name: placed[placed["speaker"].isin(voices)] for name, voices in kinds.items()}
    return {"train": placed[~placed["speaker"].isin(CHOOSING + JUDGING)], **parts}


def _plan() -> pd.DataFrame:
    """Returns what is spoken, by whom and how."""
    rng = np.random.default_rng(0)
    rows = []
    for voice in VOICES:
        for k in range(EACH):
            first = WORDS[k % len(WORDS)]
            words = [first, *rng.choice(WORDS, rng.integers(0, MOST_WORDS))]
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


def _spoken(plan: pd.DataFrame) -> Iterator[np.ndarray]:
    rng = np.random.default_rng(1)
    for row in plan.itertuples():
        samples = speak(row.text, row.speaker, row.rate, row.pitch)
        yield np.clip(samples + rng.normal(0, 10 ** (row.noise / 20), len(samples)), -1, 1).astype(np.float32)


def speak(text: str, voice: str = "en-us", rate: int = 160, pitch: int = 50) -> np.ndarray:
    """Returns a text as espeak-ng speaks it, float32 `(samples,)` at 16 kHz.

    Args:
        text: English.
        voice: a name such as en-us+f2: accent and variant.
        rate: words a minute.
        pitch: 0 to 100.

    Raises:
        ValueError: there is no such voice.
    """
    library, own_rate, heard = _library()
    if library.espeak_SetVoiceByName(voice.encode()) != 0:
        raise ValueError(f"espeak-ng has no voice {voice}.")
    library.espeak_SetParameter(RATE_OF_SPEECH, rate, 0)
    library.espeak_SetParameter(PITCH, pitch, 0)
    heard.clear()
    spoken = text.encode()
    library.espeak_Synth(spoken, len(spoken) + 1, 0, 1, 0, UTF8, None, None)
    library.espeak_Synchronize()
    if not heard:
        raise ValueError(f"espeak-ng says nothing to {text!r}.")
    return audio.at_rate(np.concatenate(heard), own_rate, text)


@cache
def _library() -> tuple[ctypes.CDLL, int, list[np.ndarray]]:
    """Returns the library, its samples a second, and the list that what it speaks is put into."""
    import espeakng_loader

    library = ctypes.CDLL(espeakng_loader.get_library_path())
    own_rate = library.espeak_Initialize(SYNCHRONOUS, 0, espeakng_loader.get_data_path().encode(), 0)
    if own_rate <= 0:
        raise RuntimeError("espeak-ng could not be started")
    heard: list[np.ndarray] = []

    def take(samples: ctypes._Pointer, count: int, events: int) -> int:
        if samples and count > 0:
            heard.append(np.ctypeslib.as_array(samples, (count,)).copy())
        return 0

    library.take = CALLBACK(take)  # type: ignore[attr-defined]  # kept alive as long as the library
    library.espeak_SetSynthCallback(library.take)
    return library, own_rate, heard
