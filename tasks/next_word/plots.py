"""Plots in the report of the next-word task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from shared.evaluation.metric import Metric, Score
from shared.evaluation.plots import model_style, new_figure, save

MIN_PROBABILITY = 1e-300
"""Smaller probabilities count as this one, so that the logarithm is finite."""
COUNT_GROUPS = (1, 10, 100, 1000, 10_000)
"""First count of each group of words but the first, which has the words that training does not have."""


def perplexities(scores: Sequence[Score], metrics: Sequence[Metric], path: Path) -> None:
    """Draws the perplexities of all models with their intervals.

    Args:
        scores: scores of any metrics.
        metrics: three perplexities: static, with cache, and with dynamic evaluation.
        path: PNG file to write.
    """
    figure, (axis,) = new_figure(1, width=8)
    models = list(dict.fromkeys(s.model for s in scores))
    for shift, metric in zip((-0.27, 0.0, 0.27), metrics, strict=True):
        by_model = {s.model: s for s in scores if s.metric == metric.name}
        if not by_model:
            continue
        positions = [k + shift for k, model in enumerate(models) if model in by_model]
        values = [by_model[model] for model in models if model in by_model]
        errors = np.abs([[s.value - s.low for s in values], [s.high - s.value for s in values]])
        axis.barh(positions, [s.value for s in values], 0.26, xerr=np.nan_to_num(errors), label=metric.title)
        axis.set_yticks(range(len(models)), models)
    axis.set(xlabel="perplexity", xscale="log")
    axis.invert_yaxis()
    axis.legend(fontsize=8)
    save(figure, path)


def perplexity_by_frequency(
    probabilities: Mapping[str, np.ndarray], targets: np.ndarray, counts: np.ndarray, path: Path
) -> None:
    """Draws the perplexity over the number of times that the words occur in the training split.

    Args:
        probabilities: probabilities of the words of the test split by each model, `(words,)`.
        targets: token ids of these words, int `(words,)`.
        counts: number of times that each token id occurs in the training split.
        path: file to write.
    """
    figure, (axis,) = new_figure(1, width=8)
    count = np.r_[counts, np.zeros(max(0, targets.max() + 1 - len(counts)), int)][targets]
    group = np.digitize(count, COUNT_GROUPS)
    groups = np.unique(group)
    for model, values in probabilities.items():
        losses = -np.log(np.maximum(values, MIN_PROBABILITY))
        axis.plot([np.exp(losses[group == g].mean()) for g in groups], label=model, marker="o", **model_style(model))
    labels = ["0", *(f"{low} – {high - 1}" for low, high in pairwise(COUNT_GROUPS)), f"≥ {COUNT_GROUPS[-1]}"]
    axis.set_xticks(range(len(groups)), [labels[g] for g in groups])
    axis.set(xlabel="occurrences in the training split", ylabel="perplexity", yscale="log")
    axis.legend(fontsize=8)
    save(figure, path)
