"""Plots of the speech task."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from shared.decoding.ctc_greedy import GreedyDecoder
from shared.evaluation import plots
from tasks.speech import audio
from tasks.speech.config import FeaturesConfig
from tasks.speech.features import log_mel, mel_layer
from tasks.speech.serving import STEP_SECONDS, decode_recordings
from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE


def plot_spectrogram(model: keras.Model, row: pd.Series, alphabet: str, features: FeaturesConfig, path: Path) -> None:
    """Plots the mel bands of a recording over time, with the recognized words at their times."""
    samples = audio.get_samples(audio.open_cache(row["cache_file"]), row["start"], row["length"])[None]
    length = np.array([samples.shape[1]], np.int32)
    log_probabilities = model.predict_on_batch({"samples": samples, "length": length})
    steps = keras.ops.convert_to_tensor([log_probabilities.shape[1]])
    outputs = decode_recordings(GreedyDecoder(alphabet), keras.ops.convert_to_tensor(log_probabilities), steps)
    padded = np.pad(samples, ((0, 0), (0, FRAME_LENGTH)))
    bands = keras.ops.convert_to_numpy(log_mel(padded, mel_layer(features)))[0]
    figure, (axis,) = plots.new_figure(1, width=9, height=3.5)
    seconds = len(bands) * HOP_LENGTH / SAMPLE_RATE
    axis.imshow(bands.T, origin="lower", aspect="auto", extent=(0, seconds, 0, features.mel_bands))
    for word, start, end in zip(*(outputs[name][0].numpy() for name in ("words", "start", "end")), strict=True):
        axis.axvline(start, color="white", linewidth=0.7)
        middle = (start + end) / 2
        axis.text(middle, features.mel_bands * 0.93, word.decode(), color="white", ha="center", fontsize=9)
    title = f"reference: {row['text']}\ntime resolution: {1000 * STEP_SECONDS:.0f} ms"
    axis.set(xlabel="time, seconds", ylabel="mel band", title=title)
    plots.save(figure, path)


def plot_confusion(references: Sequence[str], hypotheses: Sequence[str], path: Path) -> None:
    """Plots the confusion matrix of whole texts; hypotheses that are not among the references are in the last column."""
    texts = sorted(set(references))
    class_ids = {text: k for k, text in enumerate(texts)}
    predicted_ids = np.array([class_ids.get(text, len(texts)) for text in hypotheses])
    reference_ids = np.array([class_ids[text] for text in references])
    plots.confusion(reference_ids, np.eye(len(texts) + 1)[predicted_ids], [*texts, "other"], path)
