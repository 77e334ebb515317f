"""Scores of a model or a baseline with bootstrap confidence intervals."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence

import numpy as np
from scipy.stats import DegenerateDataWarning, bootstrap

from shared.evaluation.metric import Metric, Score

BOOTSTRAP_RESAMPLES = 500
MIN_BLOCKS = 4
"""Minimum number of blocks of a block bootstrap: with fewer, nearly all resamples contain the same days."""


def score(
    model: str, labels: np.ndarray, probabilities: np.ndarray, metrics: Sequence[Metric], *extra: np.ndarray
) -> list[Score]:
    """Scores one model by several metrics, each with a 95 % percentile bootstrap interval over the examples.

    Args:
        model: name of the model in the results.
        labels: class ids, int `(examples,)`.
        probabilities: `(examples, classes)`, each row sums to 1; or whatever the metrics take as their second argument.
        metrics: metrics with a function `compute`.
        extra: further arguments of the metrics, arrays `(examples, ...)`.

    Returns:
        One score per metric; with fewer than two examples, the interval is NaN.
    """
    scores = []
    for metric in metrics:
        if metric.compute is None:
            raise ValueError(f"The metric {metric.name} has no function `compute`.")
        value = metric.compute(labels, probabilities, *extra)
        low, high = _interval(metric.compute, labels, probabilities, *extra)
        scores.append(_score_with_interval(model, metric.name, value, low, high))
    return scores


def group_bootstrap_score(
    model: str, metric: str, compute: Callable[[np.ndarray, np.ndarray], float], groups: np.ndarray
) -> Score:
    """Scores a model with a 95 % percentile bootstrap interval over groups of examples, such as all transactions of a card.

    A metric that counts groups needs resamples of whole groups, in which a group that is drawn twice counts as two groups: resampled
    examples would hold fewer distinct groups than the data.

    Args:
        model: name of the model in the results.
        metric: name of the metric in the results.
        compute: function from the positions of examples and the ids of their groups, int64 `(examples,)` each, to the metric.
        groups: id of the group of each example, int `(examples,)`.

    Returns:
        The score; with fewer than two groups, the interval is NaN.
    """
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, np.diff(groups[order]) != 0])
    lengths = np.diff(np.r_[starts, len(order)])
    value = compute(np.arange(len(groups)), groups)
    if len(starts) < 2:
        return Score(model, metric, value, float("nan"), float("nan"))
    rng, values = np.random.default_rng(0), []
    for _ in range(BOOTSTRAP_RESAMPLES):
        drawn = rng.integers(0, len(starts), len(starts))
        ids = np.repeat(np.arange(len(drawn)), lengths[drawn])
        offsets = np.arange(len(ids)) - np.repeat(np.cumsum(lengths[drawn]) - lengths[drawn], lengths[drawn])
        values.append(compute(order[np.repeat(starts[drawn], lengths[drawn]) + offsets], ids))
    return _score_with_interval(model, metric, value, *_limits(np.array(values)))


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
    return _score_with_interval(model, metric, value, *_limits(compute(sums[resamples].sum(axis=1))))


def _interval(metric: Callable[..., float], *arrays: np.ndarray) -> tuple[float, float]:
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
    return _limits(result.bootstrap_distribution)


def _limits(values: np.ndarray) -> tuple[float, float]:
    """Returns the 2.5 % and 97.5 % quantiles of the finite values; NaN if there are none."""
    values = values[np.isfinite(values)]
    if not len(values):
        return float("nan"), float("nan")
    low, high = np.quantile(values, [0.025, 0.975])
    return float(low), float(high)


def _score_with_interval(model: str, metric: str, value: float, low: float, high: float) -> Score:
    """Returns a score whose interval contains its value: the quantiles of a skewed distribution of resamples may leave it out."""
    if np.isfinite(value) and np.isfinite(low):
        low, high = min(low, value), max(high, value)
    return Score(model, metric, value, low, high)
