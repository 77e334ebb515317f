"""What the next-word task draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from shared.evaluation import Score
from shared.plots import model_style, new_figure, save

TINY = 1e-300  # least probability that is told
GROUPS = (1, 10, 100, 1000, 10_000)
"""Times that a word came in training, from which on it belongs to the next group."""


def perplexities(scores: Sequence[Score], path: Path) -> None:
    """The perplexities of all models, static and adaptive, with their intervals."""
    figure, (axis,) = new_figure(1, width=8)
    for shift, metric in ((-0.27, "perplexity"), (0.0, "perplexity_adaptive"), (0.27, "perplexity_dynamic")):
        chosen = {s.model: s for s in scores if s.metric == metric}
        models = list(dict.fromkeys(s.model for s in scores))
        if not chosen:
            continue
        places = [k + shift for k, model in enumerate(models) if model in chosen]
        values = [chosen[model] for model in models if model in chosen]
        ends = np.abs([[s.value - s.low for s in values], [s.high - s.value for s in values]])
        axis.barh(places, [s.value for s in values], 0.26, xerr=np.nan_to_num(ends), label=metric.replace("_", ", "))
        axis.set_yticks(range(len(models)), models)
    axis.set(xlabel="perplexity", xscale="log")
    axis.invert_yaxis()
    axis.legend(fontsize=8)
    save(figure, path)


def by_frequency(found: Mapping[str, np.ndarray], targets: np.ndarray, counts: np.ndarray, path: Path) -> None:
    """Perplexity by how often the word that came had come in training.

    Args:
        found: the models' probabilities of the words that came, `(words,)`.
        targets: their token_ids.
        counts: of each number in training.
        path: of the file.
    """
    figure, (axis,) = new_figure(1, width=8)
    often = np.r_[counts, np.zeros(max(0, targets.max() + 1 - len(counts)), int)][targets]
    group = np.digitize(often, GROUPS)
    present = np.unique(group)
    for name, p in found.items():
        logs = -np.log(np.maximum(p, TINY))
        axis.plot([np.exp(logs[group == g].mean()) for g in present], label=name, marker="o", **model_style(name))
    labels = ["0", *(f"{low} – {high - 1}" for low, high in pairwise(GROUPS)), f"{GROUPS[-1]} on"]
    axis.set_xticks(range(len(present)), [labels[g] for g in present])
    axis.set(xlabel="times in training", ylabel="perplexity", yscale="log")
    axis.legend(fontsize=8)
    save(figure, path)
