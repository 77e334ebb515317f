"""Figures that several tasks draw, and how one is made and saved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np

from shared import evaluation

matplotlib.use("Agg")  # no screen on a server
from matplotlib import pyplot as plt


def new_figure(axes: int, width: float = 4.8, height: float = 4.2) -> tuple[Any, Sequence[Any]]:
    """Returns a figure with so many axes side by side."""
    figure, found = plt.subplots(1, axes, figsize=(width * axes, height), squeeze=False)
    return figure, found[0]


def save(figure: Any, path: Path) -> None:
    """Writes a figure and forgets it."""
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    plt.close(figure)


def model_style(model: str) -> dict[str, Any]:
    """Returns how a model's line is drawn: the exported one stands out."""
    return {"linewidth": 2.5, "color": "black"} if model == "exported" else {"linewidth": 1}


def learning_curve(epochs: Sequence[Mapping[str, float]], path: Path) -> None:
    """Loss, and accuracy where it was watched, on training and validation by epoch."""
    names = [name for name in ("loss", "accuracy") if any(name in epoch for epoch in epochs)] or ["loss"]
    figure, axes = new_figure(len(names), height=3.5)
    numbers = np.arange(1, len(epochs) + 1)
    for axis, name in zip(axes, names, strict=True):
        for prefix, label in (("", "training"), ("val_", "validation")):
            values = [epoch[prefix + name] for epoch in epochs if prefix + name in epoch]
            if values:
                axis.plot(numbers[: len(values)], values, marker="o", label=label)
        axis.set(xlabel="epoch", ylabel=name)
        if axis.lines:
            axis.legend()
    save(figure, path)


def reliability(labels: np.ndarray, probabilities: np.ndarray, path: Path) -> None:
    """Accuracy over confidence, of class numbers `(examples,)` and probabilities `(examples, classes)`."""
    share, confidence, right = evaluation.reliability(labels, probabilities)
    figure, (axis,) = new_figure(1, height=4.5)
    axis.plot([0, 1], [0, 1], color="grey", linewidth=1, label="perfect")
    axis.scatter(confidence, right, s=20 + 400 * share, alpha=0.7, label="test (area: share of examples)")
    error = evaluation.expected_calibration_error(labels, probabilities)
    axis.set(xlabel="confidence", ylabel="accuracy", title=f"expected calibration error {error:.3f}")
    axis.legend(loc="upper left")
    save(figure, path)


def confusion(labels: np.ndarray, probabilities: np.ndarray, classes: Sequence[str], path: Path) -> None:
    """How often each class was taken for which."""
    from sklearn.metrics import ConfusionMatrixDisplay

    figure, (axis,) = new_figure(1, 1.2 * len(classes) + 3, 1.2 * len(classes) + 2)
    ConfusionMatrixDisplay.from_predictions(
        labels,
        probabilities.argmax(axis=1),
        labels=np.arange(len(classes)),
        display_labels=list(classes),
        ax=axis,
        colorbar=False,
    )
    save(figure, path)
