"""Log-mel features as Keras layers and operations, equal to those of librosa."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tasks.speech.config import FeaturesConfig
from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE
from tasks.speech.voice_activity import frame_mean

POWER_FLOOR = 1e-6  # power that is added before the logarithm, about that of a silent room
TARGET_RMS = 0.1
"""Root mean square of the samples after `normalize_rms`."""
MIN_RMS = 1e-4
"""Root mean square below which a recording counts as silent, so that `normalize_rms` does not amplify it to `TARGET_RMS`."""
MIN_DEVIATION = 1e-3  # of a band, so that a constant band does not cause a division by 0
SILENCE = -4.0
"""Normalized feature of frames without speech, and the minimum of all others: four standard deviations below the mean of speech."""


def mel_layer(config: FeaturesConfig, name: str = "mel") -> keras.layers.Layer:
    """Returns a layer that sums the power spectrum `(..., FRAME_LENGTH // 2 + 1)` over mel bands `(..., mel_bands)`.

    The filters of librosa (Slaney's scale and area normalization) are stored as weights that are not trained, so that an exported
    model does not need librosa.
    """
    from librosa.filters import mel

    filters = mel(
        sr=SAMPLE_RATE,
        n_fft=FRAME_LENGTH,
        n_mels=config.mel_bands,
        fmin=config.min_frequency,
        fmax=config.max_frequency,
    )
    layer = keras.layers.Dense(config.mel_bands, use_bias=False, trainable=False, dtype="float32", name=name)
    layer.build((None, None, FRAME_LENGTH // 2 + 1))
    layer.set_weights([filters.T.astype(np.float32)])
    return layer


def log_mel(samples: Any, mel: keras.layers.Layer) -> Any:
    """Returns the natural logarithm of the mel power of each frame, float32 `(batch, frames, mel_bands)`.

    Frame k consists of the `FRAME_LENGTH` samples from `k * HOP_LENGTH` on, with a Hann window, as in librosa's `melspectrogram`
    with `center=False`. `POWER_FLOOR` is added to the power.

    Args:
        samples: float32 `(batch, samples)` in [-1, 1], at least `FRAME_LENGTH` samples.
        mel: layer from `mel_layer`.
    """
    real, imaginary = ops.stft(samples, FRAME_LENGTH, HOP_LENGTH, FRAME_LENGTH, window="hann", center=False)
    return ops.log(mel(ops.square(real) + ops.square(imaginary)) + POWER_FLOOR)


def normalize_rms(samples: Any, is_loud: Any) -> Any:
    """Returns recordings whose speech has mean 0 and root mean square 0.1, float32 `(batch, samples)`.

    This removes the gain and the offset of the microphone. Speech with a root mean square below 1e-4 is amplified only a thousandfold.

    Args:
        samples: float32 `(batch, samples)`, 0 after the end of a recording.
        is_loud: frames of the speech that are loud, bool `(batch, frames)`.
    """
    weight = ops.cast(is_loud, "float32")
    weight = weight / ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
    centred = samples - ops.sum(frame_mean(samples) * weight, axis=1, keepdims=True)
    rms = ops.sqrt(ops.sum(frame_mean(ops.square(centred)) * weight, axis=1, keepdims=True))
    return centred * (TARGET_RMS / ops.maximum(rms, MIN_RMS))


def is_valid_frame(frames: Any, length: Any) -> Any:
    """Returns which frames start within a recording, bool `(batch, frames)`.

    Args:
        frames: array `(batch, frames, …)`.
        length: number of valid samples, int32 `(batch,)`.
    """
    first_band = frames[..., 0] if len(frames.shape) > 2 else frames
    ones = ops.ones_like(first_band, dtype="int32")
    return (ops.cumsum(ones, axis=1) - 1) * HOP_LENGTH < length[:, None]


def speech_statistics(frames: Any, is_loud: Any) -> tuple[Any, Any]:
    """Returns mean and standard deviation of each band over the speech of each recording, float32 `(batch, 1, mel_bands)` each.

    Args:
        frames: from `log_mel`.
        is_loud: frames of the speech that are loud, bool `(batch, frames)`; the silence around it does not count.
    """
    weight = ops.cast(is_loud, "float32")[..., None]
    count = ops.maximum(ops.sum(weight, axis=1, keepdims=True), 1.0)
    mean = ops.sum(frames * weight, axis=1, keepdims=True) / count
    variance = ops.sum(ops.square(frames - mean) * weight, axis=1, keepdims=True) / count
    return mean, ops.sqrt(variance)


def training_statistics(config: FeaturesConfig, statistics: np.ndarray | None) -> tuple[Any, Any]:
    """Returns mean and standard deviation of each band on the training split, float32 `(mel_bands,)` each.

    Raises:
        ValueError: there are no statistics.
    """
    if statistics is None:
        raise ValueError(
            f"Normalization {config.normalization} needs the statistics of the training split. Received: None"
        )
    mean, deviation = (ops.convert_to_tensor(row.astype(np.float32)) for row in statistics)
    return mean, deviation


def standardize(frames: Any, mean: Any, deviation: Any) -> Any:
    """Returns frames with mean 0 and standard deviation 1, at least `SILENCE`, float32 `(batch, frames, mel_bands)`."""
    return ops.maximum((frames - mean) / ops.maximum(deviation, MIN_DEVIATION), SILENCE)
