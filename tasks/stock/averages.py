"""Exponentially weighted moving averages as a linear recurrence, in a stock layer: whole series or one more day alike."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class MovingAverages:
    """Averages of several series at several half-lives: after each step, `a' = d a + (1 - d) x` with `d = 2^(-1/half-life)`.

    They start at 0, so that an average of ones made alike tells by what to divide an average of few days.

    Args:
        series: how many series.
        half_lives: steps after which a step's weight is half.
        name: of the layer.
    """

    def __init__(self, series: int, half_lives: Sequence[float], name: str) -> None:
        self.series, self.count = series, len(half_lives)
        decay = 0.5 ** (1 / np.asarray(half_lives, np.float64))
        self.layer = keras.layers.SimpleRNN(
            series * self.count,
            activation="linear",
            use_bias=False,
            return_sequences=True,
            return_state=True,
            trainable=False,
            dtype="float32",  # eight bits of a mixed policy lose what an average of sixty days adds up
            name=name,
        )
        self.layer.build((None, None, series))
        inputs = np.kron(np.eye(series), 1 - decay)  # (series, series x half-lives)
        self.layer.set_weights([inputs.astype(np.float32), np.diag(np.tile(decay, series)).astype(np.float32)])

    @property
    def size(self) -> int:
        """Numbers in the state."""
        return self.series * self.count

    def __call__(self, values: Any, state: Any, mask: Any) -> tuple[list[Any], Any]:
        """Averages up to and with each step.

        Args:
            values: float tensor `(batch, time, series)`.
            state: `(batch, size)`, zeros at the start.
            mask: boolean `(batch, time)`, True at real steps.

        Returns:
            For each series, its averages `(batch, time, half-lives)`; and the state after the last real step.
        """
        averages, after = self.layer(values, initial_state=state, mask=mask)
        return [averages[..., k * self.count : (k + 1) * self.count] for k in range(self.series)], after
