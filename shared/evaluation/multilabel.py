"""Metrics of multi-label classifiers, the choice of their thresholds, and the `Metric`s that use them.

`labels` are 0 and 1 for each class, `probabilities` are those of each class, and `has_label` says which classes are predicted: each
`(examples, classes)`. A label that neither occurs nor is predicted does not count in a mean over labels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from shared.evaluation import classification
from shared.evaluation.metric import Metric

DEFAULT_THRESHOLD = 0.5
MIN_POSITIVES = 10
"""Validation examples that a label needs for a threshold of its own."""


def choose_thresholds(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the threshold of each class that maximizes its F1, float64 `(classes,)`.

    A class with fewer than `MIN_POSITIVES` examples gets the threshold that maximizes the micro F1 of all classes, because a threshold
    from so few examples would be chance. Of the thresholds that find at most one example less than the best one does, the nearest to
    0.5 is chosen. A threshold is the mean of two neighboring probabilities, so that it is as far from both as possible.

    Args:
        labels: 0 and 1 of the validation split.
        probabilities: those of the model.
    """
    common = _best_threshold(labels.ravel(), probabilities.ravel())
    return np.array(
        [
            _best_threshold(labels[:, k], probabilities[:, k]) if labels[:, k].sum() >= MIN_POSITIVES else common
            for k in range(labels.shape[1])
        ]
    )


def _best_threshold(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the threshold nearest to `DEFAULT_THRESHOLD` whose F1 is the highest, or lower by less than one example."""
    if not (labels > 0).any():
        return DEFAULT_THRESHOLD
    order = np.argsort(-probabilities, kind="stable")
    sorted_values = probabilities[order].astype(np.float64)
    hits = np.cumsum(labels[order] > 0)
    total = np.arange(1, len(hits) + 1) + hits[-1]
    following = np.append(sorted_values[1:], 0.0)
    is_cut = sorted_values > following  # equal probabilities are predicted together
    if not is_cut.any():
        return DEFAULT_THRESHOLD
    thresholds, hits, total = ((sorted_values + following) / 2)[is_cut], hits[is_cut], total[is_cut]
    best = int(np.argmax(hits / total))
    candidates = thresholds[hits / total >= (hits[best] - 1) / total[best]]
    return float(candidates[np.argmin(np.abs(candidates - DEFAULT_THRESHOLD))])


def f1_macro(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the mean over the labels of F1, the harmonic mean of precision and recall, in [0, 1]; NaN if no label counts."""
    return _mean(_f1(labels > 0, has_label, axis=0))


def f1_micro(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns F1 over all decisions together, in [0, 1]; NaN if no label occurs or is predicted."""
    return float(_f1((labels > 0).ravel(), has_label.ravel(), axis=0))


def f1_samples(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the mean over the examples of F1, in [0, 1]; it is 1 for an example without a label that gets none."""
    return float(np.mean(np.nan_to_num(_f1(labels > 0, has_label, axis=1), nan=1.0)))


def exact_match(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the fraction of examples whose labels are all correct (subset accuracy), in [0, 1]."""
    return float(np.mean(np.all((labels > 0) == has_label, axis=1)))


def hamming_loss(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the fraction of wrong decisions over all examples and labels, in [0, 1]."""
    return float(np.mean((labels > 0) != has_label))


def average_precision(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the mean over the labels that occur of the average precision, in [0, 1]; NaN if none occurs."""
    return _mean(_average_precisions(labels, probabilities))


def log_loss(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the mean negative natural logarithm of the probability of each correct decision, in nats."""
    correct = np.where(labels > 0, probabilities, 1.0 - probabilities.astype(np.float64))
    return float(-np.log(np.maximum(correct, np.finfo(np.float64).eps)).mean())


def expected_calibration_error(labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray) -> float:
    """Returns the mean absolute difference of confidence and accuracy over all decisions (see `shared.evaluation.classification`)."""
    return classification.expected_calibration_error(*as_decisions(labels, probabilities))


def as_decisions(labels: np.ndarray, probabilities: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns each pair of example and label as an example of two classes: class ids `(decisions,)`, probabilities `(decisions, 2)`."""
    flat = probabilities.ravel()
    return (labels > 0).ravel().astype(np.int64), np.stack([1.0 - flat, flat], axis=1)


def scores_by_label(
    labels: np.ndarray, probabilities: np.ndarray, has_label: np.ndarray, classes: Sequence[str], thresholds: np.ndarray
) -> dict[str, dict[str, float]]:
    """Returns precision, recall, F1, average precision, support (the number of examples) and threshold of each label by its name.

    Precision is NaN for a label that is never predicted, recall and average precision for a label that does not occur; F1 is NaN if
    neither happens.
    """
    result, average_precisions = {}, _average_precisions(labels, probabilities)
    for k, name in enumerate(classes):
        is_true, predicted = labels[:, k] > 0, has_label[:, k]
        hits = int((is_true & predicted).sum())
        values = {
            "precision": hits / predicted.sum() if predicted.any() else float("nan"),
            "recall": hits / is_true.sum() if is_true.any() else float("nan"),
            "f1": float(_f1(is_true, predicted, axis=0)),
            "average_precision": average_precisions[k],
            "threshold": float(thresholds[k]),
        }
        result[name] = {key: round(float(value), 4) for key, value in values.items()} | {"support": int(is_true.sum())}
    return result


def _average_precisions(labels: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
    """Returns the average precision of each label as in scikit-learn, `(classes,)`, NaN for one that does not occur.

    All labels are computed together, because a bootstrap interval needs them hundreds of times.
    """
    order = np.argsort(-probabilities, axis=0, kind="stable")
    values, is_hit = (np.take_along_axis(array, order, axis=0) for array in (probabilities, labels > 0))
    hits, rows = np.cumsum(is_hit, axis=0), np.arange(len(values))[:, None]
    is_last = np.append(values[1:] != values[:-1], np.ones_like(values[:1], bool), axis=0)
    last = np.minimum.accumulate(np.where(is_last, rows, len(values))[::-1], axis=0)[::-1]  # of equal probabilities
    precision = np.take_along_axis(hits / (rows + 1), last, axis=0)
    return np.where(hits[-1] > 0, (precision * is_hit).sum(axis=0) / np.maximum(hits[-1], 1), np.nan)


def _f1(is_true: np.ndarray, has_label: np.ndarray, axis: int) -> np.ndarray:
    """Returns F1 along an axis; NaN where no label occurs or is predicted."""
    hits = (is_true & has_label).sum(axis=axis)
    total = is_true.sum(axis=axis) + has_label.sum(axis=axis)
    return np.where(total > 0, 2 * hits / np.maximum(total, 1), np.nan)


def _mean(values: np.ndarray) -> float:
    known = values[np.isfinite(values)]
    return float(known.mean()) if len(known) else float("nan")


F1_MACRO = dataclasses.replace(classification.F1_MACRO, compute=f1_macro)
MULTILABEL_METRICS = (
    F1_MACRO,
    Metric("f1_micro", "micro F1", compute=f1_micro),
    Metric("f1_samples", "samples F1", compute=f1_samples),
    Metric("average_precision_macro", "macro average precision", compute=average_precision),
    Metric("exact_match", "exact match", unit="%", decimals=2, compute=exact_match),
    Metric("hamming_loss", "Hamming loss", higher_is_better=False, compute=hamming_loss),
    dataclasses.replace(classification.LOG_LOSS, compute=log_loss),
    dataclasses.replace(classification.CALIBRATION_ERROR, compute=expected_calibration_error),
)
