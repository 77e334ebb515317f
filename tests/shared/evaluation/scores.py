"""Scores of an exported model and two baselines, for the tests of formats and reports."""

from __future__ import annotations

from shared.evaluation.metric import Score


def score(model: str, metric: str, value: float, low: float | None = None, high: float | None = None) -> Score:
    """Returns a score; without bounds, its interval is the value."""
    return Score(model, metric, value, value if low is None else low, value if high is None else high)


SCORES = [
    score("exported", "accuracy", 0.9),
    score("a", "accuracy", 0.8),
    score("b", "accuracy", 0.7),
    score("exported", "log_loss", 0.3),
    score("a", "log_loss", 0.5),
    score("b", "log_loss", 0.4),
    score("a", "roc_auc", float("nan")),
]
