"""The LSTM equations in NumPy, with hand-written gradients in float64: the reference implementation for `LSTMStack`.

i, f, g, o = split(x W + h U + b)        h' = sigmoid(o) tanh(c')        c' = sigmoid(f) c + sigmoid(i) tanh(g)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


class Weights(NamedTuple):
    """Weights of one layer; the gates are concatenated in the order i, f, g, o."""

    kernel: Array  # (features, 4 units)
    recurrent_kernel: Array  # (units, 4 units)
    bias: Array  # (4 units,)


class Step(NamedTuple):
    """Values of one time step that the backward pass needs; each `(batch, features)` or `(batch, units)`."""

    x: Array
    h: Array
    c: Array
    i: Array
    f: Array
    g: Array
    o: Array
    c_next: Array


def forward(inputs: Array, weights: Weights, h: Array | None = None, c: Array | None = None):
    """Runs one layer over `(batch, time, features)`; returns outputs `(batch, time, units)`, the last h and c, and all steps."""
    zeros = np.zeros((len(inputs), len(weights.recurrent_kernel)))
    h, c = zeros if h is None else h, zeros if c is None else c
    outputs, trace = [], []
    for x in np.moveaxis(np.asarray(inputs, np.float64), 1, 0):
        i, f, g, o = np.split(x @ weights.kernel + h @ weights.recurrent_kernel + weights.bias, 4, axis=1)
        i, f, g, o = _sigmoid(i), _sigmoid(f), np.tanh(g), _sigmoid(o)
        c_next = f * c + i * g
        trace.append(Step(x, h, c, i, f, g, o, c_next))
        h, c = o * np.tanh(c_next), c_next
        outputs.append(h)
    return np.stack(outputs, axis=1), h, c, trace


def backward(trace: list[Step], weights: Weights, d_outputs: Array, d_h: Array, d_c: Array) -> tuple[Array, Weights]:
    """Computes the gradients of the inputs and the weights from those of the outputs and of the last h and c.

    Args:
        trace: steps of the forward pass.
        weights: weights of the layer.
        d_outputs: gradient of the outputs, `(batch, time, units)`.
        d_h: gradient of the last hidden state, `(batch, units)`.
        d_c: gradient of the last cell state, `(batch, units)`.
    """
    d_kernel, d_recurrent, d_bias = (np.zeros_like(w, np.float64) for w in weights)
    d_inputs = []
    for t in reversed(range(len(trace))):
        s = trace[t]
        d_h = d_h + d_outputs[:, t]
        tanh_c = np.tanh(s.c_next)
        d_c = d_c + d_h * s.o * (1 - tanh_c**2)
        d_gates = np.concatenate(  # gradients before the nonlinearities, (batch, 4 units)
            [
                d_c * s.g * s.i * (1 - s.i),
                d_c * s.c * s.f * (1 - s.f),
                d_c * s.i * (1 - s.g**2),
                d_h * tanh_c * s.o * (1 - s.o),
            ],
            axis=1,
        )
        d_kernel += s.x.T @ d_gates
        d_recurrent += s.h.T @ d_gates
        d_bias += d_gates.sum(axis=0)
        d_inputs.append(d_gates @ weights.kernel.T)
        d_h, d_c = d_gates @ weights.recurrent_kernel.T, d_c * s.f
    return np.stack(d_inputs[::-1], axis=1), Weights(d_kernel, d_recurrent, d_bias)


def _sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))
