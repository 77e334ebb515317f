"""Batches of recordings of like length, changed otherwise each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import soxr
import tensorflow as tf

from shared.pipelines import order_by_length, repeat_epochs, with_cardinality
from tasks.speech import audio
from tasks.speech.config import AugmentConfig
from tasks.speech.features import RATE
from tasks.speech.model import steps_of
from tasks.speech.symbols import labels_of

KINDS = {"samples": tf.float32, "length": tf.int32, "labels": tf.int32, "label_length": tf.int32}
LOWEST = 62.5  # Hz, where the octaves of the equalizer begin
RANGE = 30.0  # decibels between the least and the greatest ratio of speech to noise


class RecordingBatches:
    """Batches `({samples, length, labels, label_length}, zeros)` for `tasks.speech.model.Trainer`.

    Order and changes are functions of (seed, epoch) and the recording alone.

    Args:
        frame: a split of `tasks.speech.data.load`.
        alphabet: characters by number, from 1.
        batch_size: recordings in a batch; the last may hold fewer.
        seed: with the epoch, decides the order and the changes.
        augment: the changes; None for none.
    """

    def __init__(
        self, frame: pd.DataFrame, alphabet: str, batch_size: int, seed: int = 0, augment: AugmentConfig | None = None
    ) -> None:
        self.stores = {store: audio.opened(store) for store in frame["store"].unique()}
        self.store = frame["store"].to_numpy()
        self.start, self.lengths = frame["start"].to_numpy(np.int64), frame["length"].to_numpy(np.int64)
        self.labels = [labels_of(text, alphabet) for text in frame["text"]]
        self.batch_size, self.seed, self.augment = batch_size, seed, augment

    @property
    def steps(self) -> int:
        """Batches in one epoch, the same in every epoch."""
        return -(-len(self.lengths) // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then of the next, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns all recordings unchanged, the shortest first."""
        order = np.argsort(self.lengths, kind="stable")
        return with_cardinality(self._batches(tf.constant(order), tf.constant(-1, tf.int64)), self.steps).prefetch(2)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        order = tf.numpy_function(
            lambda number: order_by_length(self.lengths, self.batch_size, (self.seed, int(number))), [epoch], tf.int64
        )
        return self._batches(tf.ensure_shape(order, [len(self.lengths)]), epoch)

    def _batches(self, order: tf.Tensor, epoch: tf.Tensor) -> tf.data.Dataset:
        size = self.batch_size
        parts = tf.data.Dataset.range(self.steps).map(lambda k: order[k * size : (k + 1) * size])
        return parts.map(lambda rows: self._tensors(rows, epoch), num_parallel_calls=tf.data.AUTOTUNE)

    def _tensors(self, rows: tf.Tensor, epoch: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        found = tf.numpy_function(self.batch, [rows, epoch], list(KINDS.values()))
        ranks = {"samples": 2, "length": 1, "labels": 2, "label_length": 1}
        batch = {name: tf.ensure_shape(x, [None] * ranks[name]) for name, x in zip(KINDS, found, strict=True)}
        return batch, tf.zeros_like(batch["length"], tf.float32)

    def batch(self, rows: np.ndarray, epoch: int = -1) -> list[np.ndarray]:
        """Returns samples, lengths, labels and their lengths of some recordings, as they are in an epoch; -1 for unchanged."""
        recordings = [self._recording(int(row), int(epoch)) for row in rows]
        labels = [self.labels[row] for row in rows]
        return [*padded(recordings, np.float32), *padded(labels, np.int32)]

    def _recording(self, row: int, epoch: int) -> np.ndarray:
        samples = audio.samples_of(self.stores[self.store[row]], self.start[row], self.lengths[row])
        if self.augment is None or epoch < 0:
            return samples
        rng = np.random.default_rng((self.seed, epoch, row))
        return changed(samples, self.augment, rng, len(self.labels[row]) + _repeated(self.labels[row]))


def padded(rows: list[np.ndarray], kind: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows side by side `(rows, longest)`, zeros on the right, and how long each is, int32."""
    lengths = np.array([len(row) for row in rows], np.int32)
    table = np.zeros((len(rows), max(1, lengths.max(initial=0))), kind)
    for line, row in zip(table, rows, strict=True):
        line[: len(row)] = row
    return table, lengths


def changed(samples: np.ndarray, augment: AugmentConfig, rng: np.random.Generator, fewest: int = 0) -> np.ndarray:
    """Returns a recording, perhaps played faster or slower, by another microphone, louder or softer, perhaps with noise, float32.

    Args:
        samples: float32 `(samples,)`.
        augment: how much.
        rng: decides.
        fewest: steps that must be left for the text to fit.
    """
    speed = rng.uniform(1 - augment.speed, 1 + augment.speed)
    if augment.speed and steps_of(int(len(samples) / speed)) >= fewest:
        samples = soxr.resample(samples, RATE * speed, RATE)
    if augment.equalizer:
        samples = equalized(samples, augment.equalizer, rng)
    samples = samples * 10 ** (rng.uniform(-augment.volume, augment.volume) / 20)
    if rng.random() < augment.noise:
        power = np.mean(np.square(samples)) + 1e-10
        ratio = rng.uniform(augment.quietest, augment.quietest + RANGE)
        noise = np.cumsum(rng.normal(size=len(samples))) if rng.random() < 0.3 else rng.normal(size=len(samples))
        noise = noise - noise.mean()
        samples = samples + noise * np.sqrt(power / (np.mean(np.square(noise)) + 1e-10) * 10 ** (-ratio / 10))
    return np.clip(samples, -1, 1).astype(np.float32)


def equalized(samples: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording as another microphone might have heard it, float32 `(samples,)`.

    Args:
        samples: float32 `(samples,)`.
        deviation: of the gain drawn at each octave from 62.5 Hz on, decibels; straight lines lie between.
        rng: decides.
    """
    octaves = np.arange(np.log2(RATE / 2 / LOWEST) + 1)
    gains = rng.normal(0, deviation, len(octaves))
    place = np.log2(np.maximum(np.fft.rfftfreq(len(samples), 1 / RATE), LOWEST) / LOWEST)
    factors = 10 ** (np.interp(place, octaves, gains) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * factors, len(samples)).astype(np.float32)


def _repeated(labels: np.ndarray) -> int:
    return int(np.sum(labels[1:] == labels[:-1]))
