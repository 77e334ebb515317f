"""Figures of the speech task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from shared import plots
from tasks.speech import audio
from tasks.speech.config import FeatureConfig
from tasks.speech.features import HOP, RATE, WIDTH, log_mel, mel_layer
from tasks.speech.serving import SECONDS, Answers


def spectrogram(model: keras.Model, row: pd.Series, alphabet: str, features: FeatureConfig, path: Path) -> None:
    """A recording's bands over time, with the words where they were heard."""
    samples = audio.samples_of(audio.opened(row["store"]), row["start"], row["length"])[None]
    length = np.array([samples.shape[1]], np.int32)
    logs = model.predict_on_batch({"samples": samples, "length": length})
    found = Answers(alphabet).whole(keras.ops.convert_to_tensor(logs), keras.ops.convert_to_tensor([logs.shape[1]]))
    bands = keras.ops.convert_to_numpy(log_mel(np.pad(samples, ((0, 0), (0, WIDTH))), mel_layer(features)))[0]
    figure, (axis,) = plots.new_figure(1, width=9, height=3.5)
    axis.imshow(bands.T, origin="lower", aspect="auto", extent=(0, len(bands) * HOP / RATE, 0, features.mels))
    for word, start, end in zip(*(found[name][0].numpy() for name in ("words", "start", "end")), strict=True):
        axis.axvline(start, color="white", linewidth=0.7)
        axis.text((start + end) / 2, features.mels * 0.93, word.decode(), color="white", ha="center", fontsize=9)
    axis.set(xlabel="seconds", ylabel="mel band", title=f"said: {row['text']}\nsteps of {1000 * SECONDS:.0f} ms")
    plots.save(figure, path)


def confusion(said: Sequence[str], heard: Sequence[str], path: Path) -> None:
    """How often each text was taken for which; what is none of them stands last."""
    names = sorted(set(said))
    numbers = {name: k for k, name in enumerate(names)}
    guesses = np.array([numbers.get(text, len(names)) for text in heard])
    plots.confusion(
        np.array([numbers[text] for text in said]), np.eye(len(names) + 1)[guesses], [*names, "other"], path
    )
