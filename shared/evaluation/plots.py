"""Figures that several tasks draw, and functions to create, style and save a figure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from shared.evaluation.classification import expected_calibration_error
from shared.evaluation.classification import reliability as compute_reliability

matplotlib.use("Agg")  # works without a display, as on a server
from matplotlib import pyplot as plt

MAX_CONFUSION_CLASSES = 20
MAX_HORIZONTAL_CLASSES = 6
MAX_LABELS = 30
MAX_NAME_LENGTH = 24


def new_figure(axes: int, width: float = 4.8, height: float = 4.2) -> tuple[Any, Sequence[Any]]:
    """Returns a new figure and its axes, in one row.

    Args:
        axes: number of axes, at least 1.
        width: width of each of the axes, in inches.
        height: height of the figure, in inches.
    """
    figure, grid = plt.subplots(1, axes, figsize=(width * axes, height), squeeze=False)
    return figure, grid[0]


def save(figure: Any, path: Path) -> None:
    """Writes a figure to a PNG file and closes it."""
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def model_style(model: str) -> dict[str, Any]:
    """Returns the Matplotlib line style of a model: a thick black line for the exported model, a thin line for the others."""
    return {"linewidth": 2.5, "color": "black"} if model == "exported" else {"linewidth": 1}


def learning_curve(epochs: Sequence[Mapping[str, float]], path: Path) -> None:
    """Plots the loss, and the accuracy if it was measured, of the training and the validation split by epoch.

    Args:
        epochs: metrics of each epoch by their Keras names, such as `History.epochs`.
        path: PNG file to write.
    """
    names = [name for name in ("loss", "accuracy") if any(name in epoch for epoch in epochs)] or ["loss"]
    figure, axes = new_figure(len(names), height=3.5)
    epoch_numbers = np.arange(1, len(epochs) + 1)
    for axis, name in zip(axes, names, strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            values = [epoch[prefix + name] for epoch in epochs if prefix + name in epoch]
            if values:
                axis.plot(epoch_numbers[: len(values)], values, marker="o", label=label)
        axis.set(xlabel="epoch", ylabel=name)
        if axis.lines:
            axis.legend()
    save(figure, path)


def reliability(labels: np.ndarray, probabilities: np.ndarray, path: Path) -> None:
    """Plots accuracy over confidence, with the expected calibration error in the title.

    Args:
        labels: class ids of the test split, int `(examples,)`.
        probabilities: `(examples, classes)`.
        path: PNG file to write.
    """
    fraction, confidence, accuracy = compute_reliability(labels, probabilities)
    figure, (axis,) = new_figure(1, height=4.5)
    axis.plot([0, 1], [0, 1], color="grey", linewidth=1, label="perfect")
    axis.scatter(confidence, accuracy, s=20 + 400 * fraction, alpha=0.7, label="test (area: fraction of examples)")
    error = expected_calibration_error(labels, probabilities)
    axis.set(xlabel="confidence", ylabel="accuracy", title=f"expected calibration error {error:.3f}")
    axis.legend(loc="upper left")
    save(figure, path)


def confusion(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """Plots the confusion matrix: number of examples by correct class and predicted class, of the most confused classes if there are
    many.

    Args:
        labels: class ids, int `(examples,)`.
        probabilities: `(examples, classes)`; the most probable class is the prediction.
        classes: name of each class.
        path: PNG file to write.
    """
    from sklearn.metrics import ConfusionMatrixDisplay, confusion_matrix

    matrix = confusion_matrix(labels, probabilities.argmax(axis=1), labels=np.arange(len(classes)))
    shown = most_confused(matrix)
    figure, (axis,) = new_figure(1, 1.2 * len(shown) + 3, 1.2 * len(shown) + 2)
    names = [_short_name(classes[k]) for k in shown]
    ConfusionMatrixDisplay(matrix[np.ix_(shown, shown)], display_labels=names).plot(
        ax=axis, colorbar=False, xticks_rotation="vertical" if len(shown) > MAX_HORIZONTAL_CLASSES else "horizontal"
    )
    if len(shown) < len(classes):
        axis.set_title(f"the {len(shown)} most confused of {len(classes)} classes")
    save(figure, path)


def scores_by_label(scores: Mapping[str, Mapping[str, float]], path: Path) -> None:
    """Plots precision, recall and F1 of each label as bars; of many labels, those with the lowest F1.

    Args:
        scores: precision, recall, f1 and support by label, from `shared.evaluation.multilabel.scores_by_label`.
        path: PNG file to write.
    """
    shown = sorted(scores, key=lambda name: np.nan_to_num(scores[name]["f1"]))[:MAX_LABELS]
    figure, (axis,) = new_figure(1, 7.0, 0.45 * len(shown) + 1.5)
    positions = np.arange(len(shown))[::-1]
    for k, key in enumerate(("precision", "recall", "f1")):
        values = [np.nan_to_num(scores[name][key]) for name in shown]
        axis.barh(positions + 0.27 * (1 - k), values, height=0.27, label="F1" if key == "f1" else key)
    names = [f"{_short_name(name)} ({scores[name]['support']:,})" for name in shown]
    axis.set_yticks(positions, names)
    count = f"the {len(shown)} labels of {len(scores)} with the lowest F1" if len(shown) < len(scores) else "labels"
    axis.set(xlim=(0, 1), title=f"{count} on the test split (number of texts)")
    axis.legend(loc="upper left", bbox_to_anchor=(1, 1))
    save(figure, path)


def most_confused(matrix: np.ndarray) -> np.ndarray:
    """Returns the class ids of the classes with the most errors, at most `MAX_CONFUSION_CLASSES`, in ascending order.

    Args:
        matrix: number of examples by correct class and predicted class, int `(classes, classes)`.
    """
    errors = matrix.sum(axis=0) + matrix.sum(axis=1) - 2 * np.diag(matrix)
    return np.sort(np.argsort(-errors, kind="stable")[:MAX_CONFUSION_CLASSES])


def _short_name(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 1]}…"
