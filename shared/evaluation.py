"""Metrics with bootstrap intervals, calibration, and baselines scored by the same code."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize
from scipy.special import log_softmax, softmax
from scipy.stats import DegenerateDataWarning, bootstrap
from sklearn import metrics

RESAMPLES = 500
FEWEST_BLOCKS = 4  # of days: fewer are all but the same days in every resample
CALIBRATION_BINS = 15
FACTORS = (-6.0, 2.0)  # natural logarithms of the least and greatest factor in calibration: even a perfect
# validation split must not make a model sure beyond measure

Metric = Callable[..., float]
"""From class numbers `(examples,)` and probabilities `(examples, classes)` or, of two classes, `(examples,)` of the second,
and whatever else the metric needs of each example, to a number."""


@dataclass(frozen=True)
class Score:
    """One metric of one model on one split."""

    model: str
    metric: str
    value: float
    low: float
    """Lower end of the bootstrap 95 % interval."""
    high: float
    """Upper end of it."""


def accuracy(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Share of examples whose most probable class is right."""
    return float(np.mean(probabilities.argmax(axis=1) == labels))


def f1_macro(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean over the classes of the harmonic mean of precision and recall."""
    return float(metrics.f1_score(labels, probabilities.argmax(axis=1), average="macro", zero_division=0.0))


def log_loss(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean negative natural logarithm of the right class's probability, in nats."""
    return float(metrics.log_loss(labels, probabilities, labels=np.arange(probabilities.shape[1])))


def roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Area under the ROC curve; with more than two classes the mean of one class against the rest.

    Not a number where a class does not occur.
    """
    classes = range(probabilities.shape[1]) if probabilities.shape[1] > 2 else [1]
    areas = []
    for k in classes:
        inside = labels == k
        if inside.all() or not inside.any():
            return float("nan")
        areas.append(metrics.roc_auc_score(inside, probabilities[:, k]))
    return float(np.mean(areas))


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Mean distance of confidence and accuracy over 15 equal bins of confidence (Guo et al., 2017), in [0, 1]."""
    share, confidence, right = reliability(labels, probabilities)
    return float(np.sum(share * np.abs(confidence - right)))


def reliability(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns share of examples, mean confidence and accuracy of each occupied bin of confidence."""
    confidence = probabilities.max(axis=1)
    right = probabilities.argmax(axis=1) == labels
    bins = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    count = np.bincount(bins, minlength=CALIBRATION_BINS)
    used = count > 0
    mean = [np.bincount(bins, weights, CALIBRATION_BINS)[used] / count[used] for weights in (confidence, right)]
    return count[used] / len(labels), mean[0], mean[1]


CLASSIFICATION_METRICS: Mapping[str, Metric] = {
    "accuracy": accuracy,
    "f1_macro": f1_macro,
    "roc_auc": roc_auc,
    "log_loss": log_loss,
    "expected_calibration_error": expected_calibration_error,
}


def score(
    model: str, labels: np.ndarray, probabilities: np.ndarray, names: Mapping[str, Metric], *further: np.ndarray
) -> list[Score]:
    """Scores one model by every metric, each with a percentile bootstrap 95 % interval over the examples.

    Args:
        model: name in the results.
        labels: class numbers `(examples,)`.
        probabilities: `(examples, classes)`, rows summing to 1; or what else the metrics take.
        names: the metrics.
        further: arrays `(examples, ...)` that the metrics take besides.
    """
    scores = []
    for name, metric in names.items():
        value = metric(labels, probabilities, *further)
        low, high = _interval(metric, labels, probabilities, *further)
        scores.append(Score(model, name, value, low, high))
    return scores


def block_bootstrap_score(
    model: str, metric: str, sums: np.ndarray, value: Callable[[np.ndarray], np.ndarray], length: int
) -> Score:
    """Scores a model by sums over days, with a 95 % interval by a circular block bootstrap (Politis & Romano, 1992): days
    next to each other are no independent witnesses, nor are the series of one day.

    Args:
        model: name in the results.
        metric: name in the results.
        sums: whatever the metric is made of, summed over each day, in the order of the days `(days, parts)`.
        value: from such sums over many days, `(..., parts)`, to the metric `(...)`.
        length: days of a block. Of fewer than four blocks no interval is drawn: its ends are not numbers.
    """
    days = len(sums)
    if days < FEWEST_BLOCKS * length:
        return Score(model, metric, float(value(sums.sum(axis=0))), float("nan"), float("nan"))
    draws = np.random.default_rng(0).integers(0, days, (RESAMPLES, -(-days // length)))
    chosen = ((draws[..., None] + np.arange(length)) % days).reshape(RESAMPLES, -1)[:, :days]
    values = value(sums[chosen].sum(axis=1))
    values = values[np.isfinite(values)]
    low, high = np.quantile(values, [0.025, 0.975]) if len(values) else (np.nan, np.nan)
    return Score(model, metric, float(value(sums.sum(axis=0))), float(low), float(high))


def calibrate(logits: list[np.ndarray], labels: np.ndarray) -> tuple[float, ...]:
    """Chooses a factor for each model's logits so that softmax of their weighted sum predicts best.

    Of one model that is temperature scaling (Guo et al., 2017), the factor being 1 / temperature; of several it is their
    product of experts. Minimises the log loss, on the validation split.

    Args:
        logits: `(examples, classes)` of each model.
        labels: class numbers `(examples,)`.

    Returns:
        Factors, one for each model, from 0.0025 to 7.4.
    """
    stacked = np.stack(logits)

    def loss(logarithms: np.ndarray) -> float:
        mixed = np.tensordot(np.exp(logarithms), stacked, axes=1)
        return float(-log_softmax(mixed, axis=1)[np.arange(len(labels)), labels].mean())

    start = np.full(len(logits), -np.log(len(logits)))
    found = minimize(loss, start, method="Nelder-Mead", bounds=[FACTORS] * len(logits), options={"maxiter": 2000})
    return tuple(float(factor) for factor in np.exp(found.x))


def undo_temperature(probabilities: np.ndarray, factor: float) -> np.ndarray:
    """Returns what softmax gave before the logits were multiplied by `factor`, `(examples, classes)`."""
    return np.asarray(softmax(np.log(np.maximum(probabilities, 1e-30)) / factor, axis=1))


def mix_probabilities(logits: list[np.ndarray], shares: tuple[float, ...]) -> np.ndarray:
    """Returns softmax of the logits' weighted sum, `(examples, classes)`."""
    return np.asarray(softmax(np.tensordot(np.asarray(shares), np.stack(logits), axes=1), axis=1))


def _interval(metric: Metric, *examples: np.ndarray) -> tuple[float, float]:
    count = len(examples[0])
    if count < 2:
        return float("nan"), float("nan")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DegenerateDataWarning)  # of the interval that we do not ask for
        drawn = bootstrap(
            (np.arange(count),),
            lambda chosen: metric(*(values[chosen] for values in examples)),
            vectorized=False,
            n_resamples=RESAMPLES,
            method="percentile",
            rng=np.random.default_rng(0),
        )
    values = drawn.bootstrap_distribution[np.isfinite(drawn.bootstrap_distribution)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)
