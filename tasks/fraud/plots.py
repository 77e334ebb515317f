"""Plots of the fraud task."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.metrics import PrecisionRecallDisplay

from shared.evaluation.plots import new_figure, save


def precision_recall(labels: np.ndarray, probabilities: Mapping[str, np.ndarray], path: Path) -> None:
    """Draws the precision-recall curve of every model on the test days."""
    figure, (axis,) = new_figure(1)
    for name, values in probabilities.items():
        PrecisionRecallDisplay.from_predictions(labels, values, name=name, ax=axis)
    axis.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    axis.legend(loc="lower left", fontsize=8)
    save(figure, path)


def alerts(table: Mapping[str, Mapping[str, int]], threshold: float, path: Path) -> None:
    """Draws the alerts per day at the exported threshold and how many were correct, from `evaluate.alerts_table`."""
    figure, (axis,) = new_figure(1)
    days = np.arange(1, len(table) + 1)
    counts = {name: [row[name] for row in table.values()] for name in ("alerts", "correct", "compromised cards")}
    axis.bar(days, counts["alerts"], label="alerts", color="lightgrey")
    axis.bar(days, counts["correct"], label="correct alerts")
    axis.plot(days, counts["compromised cards"], "k_", markersize=18, label="compromised cards")
    axis.set(xlabel="test day", ylabel="cards", title=f"threshold {threshold:.3f}")
    axis.legend()
    save(figure, path)


def attributions(values: Mapping[str, np.ndarray], path: Path) -> None:
    """Draws box plots of the attributions of each kind of input over the alerted transactions."""
    figure, (axis,) = new_figure(1, width=7)
    axis.boxplot(list(values.values()), orientation="horizontal", tick_labels=list(values), showfliers=False)
    axis.axvline(0, color="grey", linewidth=1)
    axis.set(xlabel="increase of the log-odds in alerts, compared with the mean input")
    save(figure, path)
