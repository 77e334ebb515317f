"""Calibration of probabilities on a validation split, and mixtures of models."""

from __future__ import annotations

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax

LOG_WEIGHT_RANGE = (-6.0, 2.0)
"""Range of the natural logarithms of the weights in `calibrate`. The upper limit keeps the confidence of a model below 1 even if
it makes no mistake on the validation split."""


def calibrate(logits: list[np.ndarray], labels: np.ndarray) -> tuple[float, ...]:
    """Finds the weight of each model's logits that minimizes the log loss of the softmax of their weighted sum.

    For one model this is temperature scaling (Guo et al., 2017), and the weight is 1 / temperature. For several models it is a
    weighted product of experts. With several labels per example, the sigmoid of each logit takes the place of the softmax.

    Args:
        logits: for each model, float `(examples, classes)` on the validation split.
        labels: class ids, int `(examples,)`; or 0 and 1 for each class, `(examples, classes)`.

    Returns:
        One weight per model, from 0.0025 to 7.4.
    """
    stacked = np.stack(logits)

    def loss(log_weights: np.ndarray) -> float:
        mixed = np.tensordot(np.exp(log_weights), stacked, axes=1)
        if labels.ndim == 2:
            return float(np.logaddexp(0.0, np.where(labels > 0, -mixed, mixed)).mean())
        return float(-log_softmax(mixed, axis=1)[np.arange(len(labels)), labels].mean())

    start = np.full(len(logits), -np.log(len(logits)))
    bounds = [LOG_WEIGHT_RANGE] * len(logits)
    result = minimize(loss, start, method="Nelder-Mead", bounds=bounds, options={"maxiter": 2000})
    return tuple(float(weight) for weight in np.exp(result.x))


def undo_temperature(probabilities: np.ndarray, weight: float) -> np.ndarray:
    """Undoes temperature scaling.

    Args:
        probabilities: calibrated probabilities, float `(examples, classes)`.
        weight: weight of the logits from `calibrate`, 1 / temperature.

    Returns:
        Probabilities at temperature 1, float `(examples, classes)`.
    """
    return np.asarray(softmax(np.log(np.maximum(probabilities, 1e-30)) / weight, axis=1))
