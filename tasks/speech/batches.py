"""Batches of recordings with similar length, which training augments differently in each epoch."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import soxr
import tensorflow as tf

from shared.data.epoch_batches import EVALUATION_EPOCH, EpochBatches, order_by_length
from shared.decoding.ctc_symbols import count_min_steps, encode_text
from tasks.speech import audio
from tasks.speech.config import AugmentConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps

SPEC = {
    "samples": tf.TensorSpec([None, None], tf.float32),
    "length": tf.TensorSpec([None], tf.int32),
    "labels": tf.TensorSpec([None, None], tf.int32),
    "label_length": tf.TensorSpec([None], tf.int32),
}
EQUALIZER_MIN_FREQUENCY = 62.5  # Hz, where the first octave of the equalizer starts
SNR_RANGE = 30.0  # decibels between the minimum and the maximum signal-to-noise ratio
BROWN_NOISE_RATE = 0.3  # fraction of the noise that is brown; the rest is white


class RecordingBatches(EpochBatches):
    """Batches `({samples, length, labels, label_length}, zeros)` for `tasks.speech.model.Trainer`.

    The order depends only on the seed and the epoch, the augmentation on the seed, the epoch and the recording.

    Args:
        frame: a split from `tasks.speech.data.load`.
        alphabet: characters of the model; the character at index k has the symbol id k + 1.
        batch_size: recordings per batch; the last batch may have fewer.
        seed: random seed.
        augment: settings of the augmentation; None disables it.
    """

    def __init__(
        self, frame: pd.DataFrame, alphabet: str, batch_size: int, seed: int = 0, augment: AugmentConfig | None = None
    ) -> None:
        self.caches = {path: audio.open_cache(path) for path in frame["cache_file"].unique()}
        self.cache_files = frame["cache_file"].to_numpy()
        self.starts, self.lengths = frame["start"].to_numpy(np.int64), frame["length"].to_numpy(np.int64)
        self.labels = [encode_text(text, alphabet) for text in frame["text"]]
        self.augment = augment
        super().__init__((SPEC, tf.TensorSpec([None], tf.float32)), len(self.lengths), batch_size, seed)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns the indices of the recordings in a random order in which each batch has recordings of similar length."""
        return order_by_length(self.lengths, self.batch_size, (seed, epoch))

    def evaluation_order(self) -> np.ndarray:
        """Returns the indices of the recordings, shortest first."""
        return np.argsort(self.lengths, kind="stable")

    def collate(self, rows: np.ndarray, epoch: int) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns the inputs of the trainer, and zeros (see the class)."""
        return dict(zip(SPEC, self.batch(rows, epoch), strict=True)), np.zeros(len(rows), np.float32)

    def batch(self, rows: np.ndarray, epoch: int = EVALUATION_EPOCH) -> list[np.ndarray]:
        """Returns the padded samples, their lengths, the padded labels and their lengths of some recordings.

        Args:
            rows: indices of the recordings, int `(batch,)`.
            epoch: epoch of the augmentation, counted from 0; `EVALUATION_EPOCH` for no augmentation.
        """
        recordings = [self._recording(int(row), int(epoch)) for row in rows]
        labels = [self.labels[row] for row in rows]
        return [*pad_rows(recordings, np.float32), *pad_rows(labels, np.int32)]

    def _recording(self, row: int, epoch: int) -> np.ndarray:
        samples = audio.get_samples(self.caches[self.cache_files[row]], self.starts[row], self.lengths[row])
        if self.augment is None or epoch == EVALUATION_EPOCH:
            return samples
        rng = np.random.default_rng((self.seed, epoch, row))
        return augment_recording(samples, self.augment, rng, count_min_steps(self.labels[row].tolist()))


def pad_rows(rows: list[np.ndarray], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows as one array `(rows, maximum length)`, padded with 0 on the right, and their lengths, int32 `(rows,)`."""
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.zeros((len(rows), max(1, lengths.max(initial=0))), dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded, lengths


def augment_recording(
    samples: np.ndarray, augment: AugmentConfig, rng: np.random.Generator, min_steps: int = 0
) -> np.ndarray:
    """Returns a recording with random speed, equalizer gains, volume and noise, float32 `(samples,)` in [-1, 1].

    The order of the random numbers is fixed: published results depend on it.

    Args:
        samples: float32 `(samples,)`.
        augment: ranges of the changes.
        rng: random number generator.
        min_steps: number of steps that the text needs; the speed stays unchanged if fewer steps would remain.
    """
    speed = rng.uniform(1 - augment.speed, 1 + augment.speed)
    if augment.speed and count_steps(int(len(samples) / speed)) >= min_steps:
        samples = soxr.resample(samples, SAMPLE_RATE * speed, SAMPLE_RATE)
    if augment.equalizer:
        samples = equalize(samples, augment.equalizer, rng)
    samples = samples * 10 ** (rng.uniform(-augment.volume_range, augment.volume_range) / 20)
    if rng.random() < augment.noise_rate:
        power = np.mean(np.square(samples)) + 1e-10
        snr = rng.uniform(augment.min_snr, augment.min_snr + SNR_RANGE)
        is_brown = rng.random() < BROWN_NOISE_RATE
        noise = np.cumsum(rng.normal(size=len(samples))) if is_brown else rng.normal(size=len(samples))
        noise = noise - noise.mean()
        samples = samples + noise * np.sqrt(power / (np.mean(np.square(noise)) + 1e-10) * 10 ** (-snr / 10))
    return np.clip(samples, -1, 1).astype(np.float32)


def equalize(samples: np.ndarray, deviation: float, rng: np.random.Generator) -> np.ndarray:
    """Returns a recording with a random frequency response, as by another microphone, float32 `(samples,)`.

    Args:
        samples: float32 `(samples,)`.
        deviation: standard deviation of the random gain at each octave from 62.5 Hz on, in decibels; gains between the octaves are
            interpolated linearly.
        rng: random number generator.
    """
    octaves = np.arange(np.log2(SAMPLE_RATE / 2 / EQUALIZER_MIN_FREQUENCY) + 1)
    gains = rng.normal(0, deviation, len(octaves))
    frequencies = np.maximum(np.fft.rfftfreq(len(samples), 1 / SAMPLE_RATE), EQUALIZER_MIN_FREQUENCY)
    octave = np.log2(frequencies / EQUALIZER_MIN_FREQUENCY)
    factors = 10 ** (np.interp(octave, octaves, gains) / 20)
    return np.fft.irfft(np.fft.rfft(samples) * factors, len(samples)).astype(np.float32)
