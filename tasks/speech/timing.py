"""Lengths of samples, frames and steps. Imports nothing heavy, so that data can be read without TensorFlow."""

from __future__ import annotations

from typing import Any

SAMPLE_RATE = 16_000  # samples per second
FRAME_LENGTH = 512  # samples per frame, 32 ms
HOP_LENGTH = 160  # samples between the starts of two frames, 10 ms
FRAMES_PER_STEP = 4  # of the LSTM stack
STEP_LENGTH = FRAMES_PER_STEP * HOP_LENGTH  # samples between the starts of two steps, 40 ms
FINAL_STEPS = 6
"""Steps of silence after the end of a recording, in which the model can still write the last characters."""


def count_steps(length: Any) -> Any:
    """Returns the number of steps of recordings with `length` samples: one step per `STEP_LENGTH` samples, rounded up, and
    `FINAL_STEPS` after the end."""
    return (length + STEP_LENGTH - 1) // STEP_LENGTH + FINAL_STEPS
