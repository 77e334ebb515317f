"""What several commands print."""

from __future__ import annotations

import contextlib
import math
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.cli.terminal import print_line, print_table

if TYPE_CHECKING:
    from shared.evaluation.metric import Score
    from shared.reports.run import Run
    from shared.task import Task


def print_json(value: Any) -> None:
    """Prints a value as one line of JSON, in UTF-8; NaN and infinity become null."""
    from shared.json_values import to_json_line

    print_line(to_json_line(value))


def print_run(run: Run, version: Path, as_json: bool) -> None:
    """Prints the scores of a training run beside those of its baselines."""
    from shared.reports.grids import score_grid
    from shared.reports.verdict import verdict

    scores = run.evaluation.scores
    if as_json:
        rows = [{"model": s.model, "metric": s.metric, "value": s.value, "low": s.low, "high": s.high} for s in scores]
        outcome = verdict(run).as_json()
        head = {"task": run.task.name, "version": str(version), "minutes": round(run.minutes, 2)}
        print_json({**head, "verdict": outcome, "scores": rows})
        return
    metric = run.task.metric
    header, *cells = score_grid(
        scores, lambda score: metric(score.metric).format(score.value), lambda name: metric(name).heading
    )
    title = f"{run.task.name}: scores on {run.splits.size('test'):,} test records of {run.splits.origin.name}"
    print_table(header, cells, title)
    print_line(str(verdict(run)))
    print_line(f"Trained in {run.minutes:.1f} minutes. Exported and verified: {version} (see card.md in this folder).")


def print_scores(task: Task, scores: Sequence[Score], title: str) -> None:
    """Prints the scores of one model with their intervals; an interval that is not defined stays empty."""
    rows = []
    for score in scores:
        metric = task.metric(score.metric)
        has_interval = math.isfinite(score.low) and math.isfinite(score.high)
        interval = f"{metric.format(score.low)} to {metric.format(score.high)}" if has_interval else ""
        value = metric.format(score.value) if math.isfinite(score.value) else "not defined"
        rows.append([metric.heading, value, interval])
    print_table(["metric", "value", "95 % interval"], rows, title=title)


def stage_printer() -> Callable[[str, float | None], None]:
    """Returns a function that prints the stages of a training run, with the time left in a series of stages."""
    started = time.monotonic()

    def show(name: str, fraction: float | None) -> None:
        nonlocal started
        if not fraction:  # a stage of its own, or the first of a series
            started = time.monotonic()
            print_line(f"{name} …")
            return
        left = (time.monotonic() - started) * (1 - fraction) / fraction
        print_line(f"{name} … (about {left:,.0f} s left)")

    return show


@contextlib.contextmanager
def progress_on_stderr(active: bool) -> Iterator[None]:
    """Sends the progress of training to standard error if `active`, so that standard output holds only JSON."""
    if not active:
        yield
        return
    with contextlib.redirect_stdout(sys.stderr):
        yield
