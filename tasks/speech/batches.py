"""Batches of recordings with similar length, which training augments differently in each epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf

from shared.data.epoch_batches import EVALUATION_EPOCH, EpochBatches, order_by_length
from shared.decoding.ctc_symbols import count_min_steps, encode_text
from tasks.speech import audio
from tasks.speech.augmentation import augment_recording, make_recording_without_speech
from tasks.speech.config import AugmentConfig
from tasks.speech.timing import SAMPLE_RATE

SPEC = {
    "samples": tf.TensorSpec([None, None], tf.float32),
    "length": tf.TensorSpec([None], tf.int32),
    "labels": tf.TensorSpec([None, None], tf.int32),
    "label_length": tf.TensorSpec([None], tf.int32),
}


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
        recordings, labels = zip(*(self._recording(int(row), int(epoch)) for row in rows), strict=True)
        return [*pad_rows(recordings, np.float32), *pad_rows(labels, np.int32)]

    def _recording(self, row: int, epoch: int) -> tuple[np.ndarray, np.ndarray]:
        """Returns the samples and the labels of a recording. In training, a few are replaced by noise without labels."""
        samples, labels = self._samples(row), self.labels[row]
        if self.augment is None or epoch == EVALUATION_EPOCH:
            return samples, labels
        rng = np.random.default_rng((self.seed, epoch, row))

        def voice() -> np.ndarray:
            return self._samples(int(rng.integers(len(self.lengths))))

        if rng.random() < self.augment.noise_only_rate:
            added = int(2 * self.augment.max_silence * SAMPLE_RATE * rng.random())
            return make_recording_without_speech(len(samples) + added, rng, voice), labels[:0]
        min_steps = count_min_steps(labels.tolist())
        return augment_recording(samples, self.augment, rng, min_steps, voice), labels

    def _samples(self, row: int) -> np.ndarray:
        return audio.get_samples(self.caches[self.cache_files[row]], self.starts[row], self.lengths[row])


def pad_rows(rows: Sequence[np.ndarray], dtype: Any) -> tuple[np.ndarray, np.ndarray]:
    """Returns rows as one array `(rows, maximum length)`, padded with 0 on the right, and their lengths, int32 `(rows,)`."""
    lengths = np.array([len(row) for row in rows], np.int32)
    padded = np.zeros((len(rows), max(1, lengths.max(initial=0))), dtype)
    for target, row in zip(padded, rows, strict=True):
        target[: len(row)] = row
    return padded, lengths


def iterate_recordings(records: pd.DataFrame) -> Iterator[np.ndarray]:
    """Yields the samples of each recording of a split, float32 `(samples,)`."""
    caches = {path: audio.open_cache(path) for path in records["cache_file"].unique()}
    for row in records.itertuples():
        yield audio.get_samples(caches[row.cache_file], row.start, row.length)
