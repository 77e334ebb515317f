"""Metrics of classifiers: functions of class ids and probabilities, and the `Metric`s that use them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.stats import rankdata
from sklearn import metrics

from shared.evaluation.metric import Metric

CALIBRATION_BINS = 15


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

    Classes that do not occur in `labels` do not count; it is NaN if fewer than two occur. Arguments as for `accuracy`.
    """
    if probabilities.shape[1] > 2:
        return _mean_roc_auc(labels, probabilities)
    is_class = labels == 1
    if is_class.all() or not is_class.any():
        return float("nan")
    return float(metrics.roc_auc_score(is_class, probabilities[:, 1]))


def _mean_roc_auc(labels: np.ndarray, probabilities: np.ndarray) -> float:
    """Returns the mean of `roc_auc` of each class against the rest, from ranks (Mann & Whitney, 1947), which is fast for many classes."""
    is_class = np.eye(probabilities.shape[1], dtype=bool)[labels]
    count = is_class.sum(axis=0)
    used = (count > 0) & (count < len(labels))
    if not used.any():
        return float("nan")
    count = count[used]
    ranks = rankdata(probabilities[:, used], axis=0)
    pairs = (ranks * is_class[:, used]).sum(axis=0) - count * (count + 1) / 2
    return float(np.mean(pairs / (count * (len(labels) - count))))


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


def scores_by_class(
    labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str]
) -> dict[str, dict[str, float]]:
    """Returns precision, recall, F1 and support, the number of examples, of each class by its name.

    Precision is NaN for a class that is never predicted, recall for a class that does not occur; F1 is NaN if either is.

    Args:
        labels: class ids, int `(examples,)`.
        probabilities: `(examples, classes)`.
        classes: name of each class.
    """
    values = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1), labels=np.arange(len(classes)), zero_division=np.nan
    )
    names = ("precision", "recall", "f1", "support")
    return {
        name: {
            key: int(value) if key == "support" else round(float(value), 4)
            for key, value in zip(names, row, strict=True)
        }
        for name, row in zip(classes, zip(*values, strict=True), strict=True)
    }


ACCURACY = Metric("accuracy", "accuracy", unit="%", decimals=2, compute=accuracy)
F1_MACRO = Metric("f1_macro", "macro F1", compute=f1_macro)
ROC_AUC = Metric("roc_auc", "ROC AUC", compute=roc_auc)
LOG_LOSS = Metric("log_loss", "log loss", unit="nats", higher_is_better=False, compute=log_loss)
CALIBRATION_ERROR = Metric(
    "expected_calibration_error",
    "expected calibration error",
    higher_is_better=False,
    compute=expected_calibration_error,
)
CLASSIFICATION_METRICS = (ACCURACY, F1_MACRO, ROC_AUC, LOG_LOSS, CALIBRATION_ERROR)
