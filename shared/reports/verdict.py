"""The verdict on a run: whether the exported model is better than its best baseline, and what to try if it is not."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from shared.evaluation.metric import Metric, Score, best_baseline, format_score
from shared.reports.run import Run
from shared.task import EXPORTED

AHEAD, LEVEL, BEHIND, UNDEFINED = "ahead", "level", "behind", "undefined"
FEW_RECORDS = 10_000
"""Training records below which more data is the first suggestion."""


@dataclass(frozen=True)
class Verdict:
    """The comparison of the exported model with the best baseline by the primary metric.

    Attributes:
        status: "ahead" or "behind" if neither value lies in the 95 % interval of the other, otherwise "level"; "undefined" if a value
            is missing.
        sentence: the comparison with both values.
        suggestions: what to try, one sentence each; empty if the model is ahead.
        metric: name of the primary metric.
        baseline: name of the best baseline; None if there is none.
    """

    status: str
    sentence: str
    suggestions: tuple[str, ...]
    metric: str
    baseline: str | None

    def __str__(self) -> str:
        return " ".join((self.sentence, *self.suggestions))

    def as_json(self) -> dict[str, Any]:
        """Returns the field `verdict` of `metrics.json`."""
        return {"status": self.status, "metric": self.metric, "baseline": self.baseline, "text": str(self)}


def verdict(run: Run) -> Verdict:
    """Compares the exported model with the best baseline by the primary metric of the task."""
    metric = run.task.metric(run.primary_metric)
    model = next(s for s in run.evaluation.scores if s.model == EXPORTED and s.metric == metric.name)
    baseline = best_baseline(run.evaluation.scores, metric, run.own_models)
    if not np.isfinite(model.value):
        sentence = (
            f"The {metric.title} of the model is not defined on this test split, so it is not compared with a baseline."
        )
        return Verdict(UNDEFINED, sentence, (), metric.name, baseline.model if baseline else None)
    if baseline is None:
        return Verdict(UNDEFINED, f"There is no baseline with a defined {metric.title}.", (), metric.name, None)
    status = _compare(metric, model, baseline)
    suggestions = () if status == AHEAD else tuple(_suggest(run))
    return Verdict(status, _describe(metric, model, baseline, status), suggestions, metric.name, baseline.model)


def _compare(metric: Metric, model: Score, baseline: Score) -> str:
    if metric.format(model.value) == metric.format(baseline.value):
        return LEVEL
    if model.low <= baseline.value <= model.high or baseline.low <= model.value <= baseline.high:
        return LEVEL
    return AHEAD if metric.badness(model.value) < metric.badness(baseline.value) else BEHIND


def _describe(metric: Metric, model: Score, baseline: Score, status: str) -> str:
    unit = " %" if metric.unit == "%" else ""
    values = f"{format_score(metric, model)}{unit} against {format_score(metric, baseline)}{unit}"
    if status == LEVEL:
        difference = metric.badness(baseline.value) - metric.badness(model.value)
        tendency = "slightly better" if difference > 0 else "slightly worse"
        if metric.format(model.value) == metric.format(baseline.value):
            tendency = "equal"
        return (
            f"By {metric.title}, the model is level with the best baseline, {baseline.model} ({values}): {tendency}, within the 95 % "
            "interval."
        )
    comparison = "ahead of" if status == AHEAD else "BEHIND"
    return f"By {metric.title}, the model is {comparison} the best baseline, {baseline.model} ({values})."


def _suggest(run: Run) -> list[str]:
    """Returns what to try, from the history of the training and the size of the data."""
    history, suggestions = run.trained_model.history, []
    epochs = len(history.epochs)
    if epochs and history.best_epoch == epochs:
        suggestions.append(f"The best epoch was the last one: try --training.epochs {2 * epochs}.")
    if run.splits.size("train") < FEW_RECORDS:
        suggestions.append(f"There are only {run.splits.size('train'):,} training records: more data helps most.")
    if "--preset sample" in run.command and run.splits.origin.name != "sample":
        suggestions.append("The preset sample is small: try --preset default.")
    elif not suggestions:
        suggestions.append("Try --preset large, or other settings of --lstm and --training.")
    return suggestions
