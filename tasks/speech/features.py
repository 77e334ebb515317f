"""Log-mel features as layers and operations of Keras, equal to librosa's."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tasks.speech.config import FeatureConfig

RATE = 16_000  # samples a second
WIDTH = 512  # samples of a frame, 32 ms
HOP = 160  # samples from frame to frame, 10 ms
FLOOR = 1e-6  # of power: a silent room's
LEVEL, SILENCE = 0.1, 1e-4  # root mean square of samples: what utterances are brought to, and the least that is


def mel_layer(config: FeatureConfig, name: str = "mel") -> keras.layers.Layer:
    """Returns the layer that sums the power spectrum `(..., WIDTH // 2 + 1)` over mel bands `(..., mels)`.

    The filters are librosa's own (Slaney's scale and area), as weights that do not train, so that who opens the model needs
    no librosa.
    """
    from librosa.filters import mel

    filters = mel(sr=RATE, n_fft=WIDTH, n_mels=config.mels, fmin=config.lowest, fmax=config.highest)
    layer = keras.layers.Dense(config.mels, use_bias=False, trainable=False, dtype="float32", name=name)
    layer.build((None, None, WIDTH // 2 + 1))
    layer.set_weights([filters.T.astype(np.float32)])
    return layer


def log_mel(samples: Any, mel: keras.layers.Layer) -> Any:
    """Returns the natural logarithm of the mel power of each frame, float32 `(batch, frames, mels)`.

    Frame k is made of the samples from `k * HOP` on, `WIDTH` of them under a Hann window, as librosa's `melspectrogram` has it
    with `center=False`; a floor of 1e-6 is added to the power.

    Args:
        samples: float32 in [-1, 1], `(batch, samples)`, at least `WIDTH` of them.
        mel: from `mel_layer`.
    """
    real, imaginary = ops.stft(samples, WIDTH, HOP, WIDTH, window="hann", center=False)
    return ops.log(mel(ops.square(real) + ops.square(imaginary)) + FLOOR)


def levelled(samples: Any, length: Any) -> Any:
    """Returns utterances of one loudness, whatever the microphone's gain and offset: their mean is 0 and their root mean square
    0.1, float32 `(batch, samples)`. Where that was below 1e-4, which is as good as silence, they are raised a thousandfold and
    stay below.

    Args:
        samples: float32 `(batch, samples)`, zeros behind the end.
        length: int32 `(batch,)`.
    """
    real = ops.cast(ops.cumsum(ops.ones_like(samples, dtype="int32"), axis=1) <= length[:, None], "float32")
    count = ops.cast(ops.maximum(length, 1), "float32")[:, None]
    samples = (samples - ops.sum(samples, axis=1, keepdims=True) / count) * real
    level = ops.sqrt(ops.sum(ops.square(samples), axis=1, keepdims=True) / count)
    return samples * (LEVEL / ops.maximum(level, SILENCE))
