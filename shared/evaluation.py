"""Metrics of a model or a baseline with bootstrap confidence intervals, and calibration of probabilities."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import DegenerateDataWarning, bootstrap
from sklearn import metrics

BOOTSTRAP_RESAMPLES = 500
MIN_BLOCKS = 4
"""Minimum number of blocks of a block bootstrap: with fewer, nearly all resamples contain the same days."""
CALIBRATION_BINS = 15
LOG_WEIGHT_RANGE = (-6.0, 2.0)
"""Range of the natural logarithms of the weights in `calibrate`. The upper limit keeps the confidence of a model below 1 even if
it makes no mistake on the validation split."""

Metric = Callable[..., float]
"""Function of class ids `(examples,)`, of probabilities `(examples, classes)` (with two classes also `(examples,)`, those of the
second class), and of any further arrays with one row per example. It returns one number."""


@dataclass(frozen=True)
class Score:
    """One metric of one model on one split."""

    model: str
    metric: str
    value: float
    low: float
    """Lower limit of the 95 % bootstrap confidence interval; NaN if there is none."""
    high: float
    """Upper limit of the interval; NaN if there is none."""


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the fraction of examples whose most probable class is correct, in [0, 1].

    Args:
        labels: class ids, int `(examples,)`.
        probabilities: `(examples, classes)`.
    """
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def f1_macro(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the F1 score, the harmonic mean of precision and recall, averaged over the classes, in [0, 1].

    Arguments as for `accuracy`.
    """
    return float(metrics.f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean negative natural logarithm of the probability of the correct class, in nats.

    Arguments as for `accuracy`.
    """
    return float(metrics.log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the area under the ROC curve, in [0, 1]; with more than two classes, the mean of each class against the rest.

    It is NaN if a class does not occur in `labels`. Arguments as for `accuracy`.
    """
    classes = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else [1]
    areas = []
    for k in classes:
        is_class = labels == k
        if is_class.all() or not is_class.any():
            return float("nan")
        areas.append(metrics.roc_auc_score(is_class, probabilities[:, k]))
    return float(np.mean(areas))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean absolute difference of confidence and accuracy over 15 equal bins (Guo et al., 2017), in [0, 1].

    Arguments as for `accuracy`.
    """
    fraction, confidence, bin_accuracy = reliability(labels, probabilities)
    return float(np.sum(fraction * np.abs(confidence - bin_accuracy)))


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Groups the examples into bins by their confidence, the probability of the most probable class.

    Arguments as for `accuracy`.

    Returns:
        Fraction of the examples, mean confidence and accuracy of each bin that has examples, each `(bins,)` and in [0, 1].
    """
    confidence = probabilities.max(axis=1)
    is_correct = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    used = count > 0
    mean = [np.bincount(bins, weights, CALIBRATION_BINS)[used] / count[used] for weights in (confidence, is_correct)]
    return count[used] / len(labels), mean[0], mean[1]


CLASSIFICATION_METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "f1_macro": f1_macro,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "expected_calibration_error": expected_calibration_error,
}


def score(
    model: str, labels: np.ndarray, probabilities: np.ndarray, named_metrics: Mapping[str, Metric], *extra: np.ndarray
) -> list[Score]:
    """Scores one model by several metrics, each with a 95 % percentile bootstrap interval over the examples.

    Args:
        model: name of the model in the results.
        labels: class ids, int `(examples,)`.
        probabilities: `(examples, classes)`, each row sums to 1; or whatever the metrics take as their second argument.
        named_metrics: the metrics by their name in the results.
        extra: further arguments of the metrics, arrays `(examples, ...)`.

    Returns:
        One score per metric; with fewer than two examples, the interval is NaN.
    """
    scores = []
    for name, metric in named_metrics.items():
        value = metric(labels, probabilities, *extra)
        low, high = _interval(metric, labels, probabilities, *extra)
        scores.append(Score(model, name, value, low, high))
    return scores


def block_bootstrap_score(
    model: str, metric: str, sums: np.ndarray, compute: Callable[[np.ndarray], np.ndarray], block_length: int
) -> Score:
    """Scores a model with a 95 % interval from a circular block bootstrap over days (Politis & Romano, 1992).

    Successive days are not independent, nor are the series of one day, so the bootstrap resamples blocks of whole days.

    Args:
        model: name of the model in the results.
        metric: name of the metric in the results.
        sums: the terms of the metric, summed over each day, float `(days, terms)`, in chronological order.
        compute: function from sums over many days, `(..., terms)`, to the metric `(...)`.
        block_length: days per block, at least 1. With fewer than four blocks, the interval is NaN.
    """
    days = len(sums)
    value = float(compute(sums.sum(axis=0)))
    if days < MIN_BLOCKS * block_length:
        return Score(model, metric, value, float("nan"), float("nan"))
    starts = np.random.default_rng(0).integers(0, days, (BOOTSTRAP_RESAMPLES, -(-days // block_length)))
    resamples = ((starts[..., None] + np.arange(block_length)) % days).reshape(BOOTSTRAP_RESAMPLES, -1)[:, :days]
    values = compute(sums[resamples].sum(axis=1))
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
    return Score(model, metric, value, float(low), float(high))


def calibrate(logits: list[np.ndarray], labels: np.ndarray) -> tuple[float, ...]:
    """Finds the weight of each model's logits that minimizes the log loss of the softmax of their weighted sum.

    For one model this is temperature scaling (Guo et al., 2017), and the weight is 1 / temperature. For several models it is a
    weighted product of experts.

    Args:
        logits: for each model, float `(examples, classes)` on the validation split.
        labels: class ids, int `(examples,)`.

    Returns:
        One weight per model, from 0.0025 to 7.4.
    """
    stacked = np.stack(logits)

    def loss(log_weights: np.ndarray) -> float:
        mixed = np.tensordot(np.exp(log_weights), stacked, axes=1)
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


def mix_probabilities(logits: list[np.ndarray], weights: tuple[float, ...]) -> np.ndarray:
    """Returns the softmax of the weighted sum of logits, float `(examples, classes)`.

    Args:
        logits: for each model, float `(examples, classes)`.
        weights: one weight per model, from `calibrate`.
    """
    return np.asarray(softmax(np.tensordot(np.asarray(weights), np.stack(logits), axes=1), axis=1))


def _interval(metric: Metric, *arrays: np.ndarray) -> tuple[float, float]:
    """Returns the limits of the 95 % percentile bootstrap interval of a metric of arrays `(examples, ...)`."""
    count = len(arrays[0])
    if count < 2:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # about the interval of SciPy, which is not used
        result = bootstrap(
            (np.arange(count),),
            lambda indices: metric(*(values[indices] for values in arrays)),
            vectorized=False,
            n_resamples=BOOTSTRAP_RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(0),
        )
    values = result.bootstrap_distribution[np.isfinite(result.bootstrap_distribution)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
