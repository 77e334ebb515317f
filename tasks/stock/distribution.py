"""The sinh-arcsinh distribution: where it lies, how wide it is, how lopsided, how heavy its tails; all in closed form.

Jones & Pewsey (2009), "Sinh-arcsinh distributions", Biometrika 96: with Z standard normal,

    X = location + scale * tail * sinh((asinh(Z) + skew) / tail)

The factor `tail` before the sinh keeps the slope at the middle, so that `scale` means the same for every tail. A tail of 1
and a skew of 0 give the normal distribution; a smaller tail is heavier. All functions take and return what `keras.ops`
does; the arguments broadcast.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

HALF_LOG_TWO_PI = 0.5 * float(np.log(2 * np.pi))
FARTHEST = 30.0  # of a standard normal number; beyond, its square loses its meaning in float32


@dataclass(frozen=True)
class SinhArcsinh:
    """A distribution, or an array of them.

    Attributes:
        location: median where the skew is 0, any number.
        scale: above 0.
        skew: below 0, the longer tail is the lower one.
        tail: above 0; below 1, tails are heavier than the normal distribution's.
    """

    location: Any
    scale: Any
    skew: Any
    tail: Any

    def from_normal(self, normal: Any) -> Any:
        """Returns where the standard normal quantile `normal` lies in this distribution."""
        return self.location + self.scale * self.tail * ops.sinh((ops.arcsinh(normal) + self.skew) / self.tail)

    def to_normal(self, value: Any) -> Any:
        """Returns the standard normal quantile at which `value` lies, cut at ±30; the inverse of `from_normal`."""
        inner = self._inner(value)[0]
        return ops.clip(ops.sinh(inner), -FARTHEST, FARTHEST)

    def log_density(self, value: Any) -> Any:
        """Returns the natural logarithm of the density at `value`."""
        inner, standard = self._inner(value)
        normal = ops.clip(ops.sinh(inner), -FARTHEST, FARTHEST)
        slope = ops.log(ops.cosh(inner)) - 0.5 * ops.log1p(ops.square(standard / self.tail)) - ops.log(self.scale)
        return slope - HALF_LOG_TWO_PI - 0.5 * ops.square(normal)

    def _inner(self, value: Any) -> tuple[Any, Any]:
        standard = (value - self.location) / self.scale
        inner = self.tail * ops.arcsinh(standard / self.tail) - self.skew
        return ops.clip(inner, -5.0, 5.0), standard  # sinh(5) is 74


def log_score(value: Any, distribution: SinhArcsinh) -> Any:
    """Returns minus the log density of `value`, in nats: less is better."""
    return -distribution.log_density(value)
