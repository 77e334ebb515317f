"""Log-mel features as Keras layers and operations, equal to those of librosa."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tasks.speech.config import FeaturesConfig
from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE

POWER_FLOOR = 1e-6  # power that is added before the logarithm, about that of a silent room
TARGET_RMS = 0.1
"""Root mean square of the samples after `normalize_rms`."""
MIN_RMS = 1e-4
"""Root mean square below which a recording counts as silent, so that `normalize_rms` does not amplify it to `TARGET_RMS`."""


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


def normalize_rms(samples: Any, length: Any) -> Any:
    """Returns recordings with mean 0 and root mean square 0.1, float32 `(batch, samples)`.

    This removes the gain and the offset of the microphone. A recording with a root mean square below 1e-4, which is nearly silence,
    is amplified only a thousandfold.

    Args:
        samples: float32 `(batch, samples)`, 0 after the end of a recording.
        length: number of valid samples, int32 `(batch,)`.
    """
    is_valid = ops.cast(ops.cumsum(ops.ones_like(samples, dtype="int32"), axis=1) <= length[:, None], "float32")
    count = ops.cast(ops.maximum(length, 1), "float32")[:, None]
    samples = (samples - ops.sum(samples, axis=1, keepdims=True) / count) * is_valid
    rms = ops.sqrt(ops.sum(ops.square(samples), axis=1, keepdims=True) / count)
    return samples * (TARGET_RMS / ops.maximum(rms, MIN_RMS))
