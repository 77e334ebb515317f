"""Finds speech in a recording by its energy, as operations of the model and for files of any length.

The energy of a frame is the logarithm of the power of its samples after pre-emphasis, which weakens hum and offsets. A recording has a
floor, the energy of its quiet frames, and a peak. Frames that are far enough above the floor, relative to the peak, are speech, and so
are the frames around them (the hold time). A recording without a difference between floor and peak, such as silence, hum or steady noise,
has no speech.
"""

from __future__ import annotations

from typing import Any

from keras import ops

from tasks.speech.timing import FRAME_LENGTH, HOP_LENGTH

PRE_EMPHASIS = 0.97
MIN_POWER = 1e-9
"""Power that is added before the logarithm, that of samples of -90 dB."""
SMOOTHING = 5  # frames over which the power is averaged
FLOOR_QUANTILE = 0.1
"""Fraction of the frames that are at or below the floor."""
THRESHOLD = 0.3
"""Position of the threshold between floor, 0, and peak, 1, on the logarithmic scale."""
MIN_RANGE = 1.0
"""Natural logarithm of the smallest ratio of peak and floor of a recording with speech, about 4 dB."""
LOUD_RANGE = 3.5
"""Natural logarithm of the ratio of the peak and the quietest loud frame, about 15 dB."""
HOLD_FRAMES = 20
"""Frames before and after those above the threshold that count as speech, 200 ms each."""


def frame_energy(samples: Any) -> Any:
    """Returns the natural logarithm of the power of each frame after pre-emphasis, averaged over `SMOOTHING` frames.

    Args:
        samples: float32 `(batch, samples)`, 0 after the end of a recording, at least `FRAME_LENGTH` samples.

    Returns:
        float32 `(batch, frames)`, with the frames of `tasks.speech.features.log_mel`.
    """
    previous = ops.pad(samples[:, :-1], [[0, 0], [1, 0]])
    power = frame_mean(ops.square(samples - PRE_EMPHASIS * previous))
    power = ops.average_pool(power[..., None], SMOOTHING, strides=1, padding="same")[..., 0]
    return ops.log(power + MIN_POWER)


def frame_mean(values: Any) -> Any:
    """Returns the mean of the values of each frame, float32 `(batch, frames)`.

    Args:
        values: float32 `(batch, samples)`, at least `FRAME_LENGTH` samples.
    """
    return ops.average_pool(values[..., None], FRAME_LENGTH, strides=HOP_LENGTH, padding="valid")[..., 0]


def find_loud(energy: Any, is_valid: Any) -> Any:
    """Returns which frames are loud, bool `(batch, frames)`: those within `LOUD_RANGE` of the peak.

    They do not depend on how much silence or quiet noise surrounds the speech.

    Args:
        energy: from `frame_energy`, float32 `(batch, frames)`.
        is_valid: frames that belong to the recording, bool `(batch, frames)`.
    """
    floor, peak = _floor_and_peak(energy, is_valid)
    return is_valid & (energy >= peak - LOUD_RANGE) & (peak - floor >= MIN_RANGE)


def find_speech(energy: Any, is_valid: Any) -> Any:
    """Returns which frames are speech, or close to it, bool `(batch, frames)`.

    Args:
        energy: from `frame_energy`, float32 `(batch, frames)`.
        is_valid: frames that belong to the recording, bool `(batch, frames)`.
    """
    floor, peak = _floor_and_peak(energy, is_valid)
    is_speech = is_valid & (energy >= floor + THRESHOLD * (peak - floor)) & (peak - floor >= MIN_RANGE)
    held = ops.max_pool(ops.cast(is_speech, "float32")[..., None], 2 * HOLD_FRAMES + 1, strides=1, padding="same")
    return is_valid & (held[..., 0] > 0)


def _floor_and_peak(energy: Any, is_valid: Any) -> tuple[Any, Any]:
    """Returns the energy of the quiet frames, and the greatest energy, of each recording, float32 `(batch, 1)` each."""
    high = ops.full_like(energy, 1e9)
    count = ops.sum(ops.cast(is_valid, "int32"), axis=1, keepdims=True)
    ordered = ops.sort(ops.where(is_valid, energy, high), axis=1)
    rank = ops.cast(ops.cast(ops.maximum(count - 1, 0), "float32") * FLOOR_QUANTILE, "int32")
    return ops.take_along_axis(ordered, rank, axis=1), ops.max(
        ops.where(is_valid, energy, -high), axis=1, keepdims=True
    )
