"""Tables of scores as rows of cells, and as Markdown."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.evaluation.metric import Score

MAX_COLUMNS = 6
"""Metrics that are the columns of a table; with more metrics, they are its rows."""


def score_grid(
    scores: Sequence[Score], format_cell: Callable[[Score], str], format_metric: Callable[[str], str] = str
) -> list[list[str]]:
    """Returns a header and one row per model, one column per metric; of many metrics, one row per metric.

    Args:
        scores: scores of any models and metrics.
        format_cell: function that writes one score.
        format_metric: function that writes the name of a metric.
    """
    metrics, models = (list(dict.fromkeys(getattr(s, part) for s in scores)) for part in ("metric", "model"))
    cells = {(s.model, s.metric): format_cell(s) for s in scores}
    if len(metrics) > MAX_COLUMNS:
        rows = [[format_metric(metric), *(cells.get((m, metric), "") for m in models)] for metric in metrics]
        return [["metric", *models], *rows]
    rows = [[m, *(cells.get((m, metric), "") for metric in metrics)] for m in models]
    return [["model", *map(format_metric, metrics)], *rows]


def markdown_table(rows: Sequence[Sequence[str]]) -> str:
    """Returns a Markdown table; the first row is its header."""
    header, *others = rows
    return "\n".join(f"| {' | '.join(row)} |" for row in (header, ["---"] * len(header), *others))
