"""The sinh-arcsinh distribution: location, scale, skew and tail weight, all in closed form.

Jones & Pewsey (2009), "Sinh-arcsinh distributions", Biometrika 96: with Z standard normal,

    X = location + scale * tail * sinh((asinh(Z) + skew) / tail)

The factor `tail` before the sinh keeps the slope at the median, so that `scale` means the same for every tail. A tail of 1 and a skew of
0 give the normal distribution; a smaller tail is heavier. All functions take and return tensors of `keras.ops`; the arguments broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

HALF_LOG_TWO_PI = 0.5 * float(np.log(2 * np.pi))
MAX_Z_SCORE = 30.0  # the square of a larger z-score is not accurate in float32


@dataclass(frozen=True)
class SinhArcsinh:
    """A distribution, or an array of distributions.

    Attributes:
        location: the median, if the skew is 0.
        scale: greater than 0.
        skew: with a negative skew, the lower tail is longer.
        tail: greater than 0; below 1, the tails are heavier than those of the normal distribution.
    """

    location: Any
    scale: Any
    skew: Any
    tail: Any

    def from_z_score(self, z_score: Any) -> Any:
        """Returns the value of this distribution at a z-score."""
        return self.location + self.scale * self.tail * ops.sinh((ops.arcsinh(z_score) + self.skew) / self.tail)

    def to_z_score(self, value: Any) -> Any:
        """Returns the z-score of a value, clipped at ±30; the inverse of `from_z_score`."""
        inner = self._inner(value)[0]
        return ops.clip(ops.sinh(inner), -MAX_Z_SCORE, MAX_Z_SCORE)

    def log_density(self, value: Any) -> Any:
        """Returns the natural logarithm of the density at `value`."""
        inner, standard = self._inner(value)
        z_score = ops.clip(ops.sinh(inner), -MAX_Z_SCORE, MAX_Z_SCORE)
        slope = ops.log(ops.cosh(inner)) - 0.5 * ops.log1p(ops.square(standard / self.tail)) - ops.log(self.scale)
        return slope - HALF_LOG_TWO_PI - 0.5 * ops.square(z_score)

    def _inner(self, value: Any) -> tuple[Any, Any]:
        standard = (value - self.location) / self.scale
        inner = self.tail * ops.arcsinh(standard / self.tail) - self.skew
        return ops.clip(inner, -5.0, 5.0), standard  # sinh(5) is 74


def log_score(value: Any, distribution: SinhArcsinh) -> Any:
    """Returns the negative log density of `value`, in nats; lower is better."""
    return -distribution.log_density(value)
