"""What the fraud task draws."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import PrecisionRecallDisplay

from shared.plots import new_figure, save


def precision_recall(labels: np.ndarray, probabilities: Mapping[str, np.ndarray], path: Path) -> None:
    """Precision over recall of every model on the test days."""
    figure, (axis,) = new_figure(1)
    for name, answer in probabilities.items():
        PrecisionRecallDisplay.from_predictions(labels, answer, name=name, ax=axis)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(loc="lower left", fontsize=8)
    save(figure, path)


def alerts(table: Mapping[str, Mapping[str, int]], threshold: float, path: Path) -> None:
    """Cards alerted a day at the exported threshold, and how many of them were misused, of `evaluate.alerts_table`."""
    figure, (axis,) = new_figure(1)
    numbers = np.arange(1, len(table) + 1)
    counts = {name: [row[name] for row in table.values()] for name in ("alerts", "right", "of")}
    axis.bar(numbers, counts["alerts"], label="alerts", color="lightgrey")
    axis.bar(numbers, counts["right"], label="right")
    axis.plot(numbers, counts["of"], "k_", markersize=18, label="cards with fraud")
    axis.set(xlabel="test day", ylabel="cards", title=f"threshold {threshold:.3f}")
    axis.legend()
    save(figure, path)


def drivers(rises: Mapping[str, np.ndarray], path: Path) -> None:
    """By how much each kind of input raised the log-odds of the transactions alerted."""
    figure, (axis,) = new_figure(1, width=7)
    axis.boxplot(list(rises.values()), orientation="horizontal", tick_labels=list(rises), showfliers=False)
    axis.axvline(0, color="grey", linewidth=1)
    axis.set(xlabel="rise of the log-odds in alerts, beside the input at its mean")
    save(figure, path)
