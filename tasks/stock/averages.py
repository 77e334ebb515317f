"""Exponentially weighted moving averages as a linear recurrence in a stock layer, for whole series and single steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np


class MovingAverages:
    """Averages of several series at several half-lives: after each step, `a' = d a + (1 - d) x` with `d = 2^(-1/half-life)`.

    They start at 0; dividing by the same average of ones corrects the averages of the first days.

    Args:
        series: number of series.
        half_lives: steps after which the weight of a step is half.
        name: name of the layer.
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
            dtype="float32",  # half precision loses the small summands of an average over sixty days
            name=name,
        )
        self.layer.build((None, None, series))
        inputs = np.kron(np.eye(series), 1 - decay)  # (series, series x half-lives)
        self.layer.set_weights([inputs.astype(np.float32), np.diag(np.tile(decay, series)).astype(np.float32)])

    @property
    def size(self) -> int:
        """Size of the state."""
        return self.series * self.count

    def __call__(self, values: Any, state: Any, mask: Any) -> tuple[list[Any], Any]:
        """Computes the averages up to and including each step.

        Args:
            values: float tensor `(batch, time, series)`.
            state: `(batch, size)`, zeros at the start.
            mask: boolean `(batch, time)`, False at padding.

        Returns:
            The averages of each series `(batch, time, half-lives)`, and the state after the last step that is not padding.
        """
        averages, next_state = self.layer(values, initial_state=state, mask=mask)
        return [averages[..., k * self.count : (k + 1) * self.count] for k in range(self.series)], next_state
