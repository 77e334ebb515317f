"""What a metric is called, how its values are written and compared, and the scores of models."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

PLACEHOLDER = re.compile(r"\\\{(\w+)\\\}")
"""A placeholder such as {days} in the escaped name of a metric; it stands for a number."""


@dataclass(frozen=True)
class Metric:
    """A metric of a task.

    Name and title may contain placeholders for numbers: `Metric("crps_{days}d", "CRPS {days}d")` describes `crps_1d` and `crps_5d`.
    """

    name: str
    """Name in `metrics.json` and `results.json`."""
    title: str
    """Name for a reader."""
    unit: str = ""
    """Unit of the values; with "%", values are written times 100."""
    higher_is_better: bool = True
    decimals: int = 4
    """Decimals of written values."""
    target: float | None = None
    """Best value, if neither the highest nor the lowest is the best, such as 0.8 for the coverage of an 80 % interval."""
    compute: Callable[..., float] | None = None
    """Function of class ids `(examples,)`, of probabilities `(examples, classes)` or what else the task predicts, and of any further
    arrays with one row per example. It returns one number. None if the task computes the metric in another way."""

    @property
    def heading(self) -> str:
        """Title with the unit, such as "log loss, nats", "accuracy %" or "80 % coverage 5d"."""
        if not self.unit or self.unit in self.title:
            return self.title
        return f"{self.title} %" if self.unit == "%" else f"{self.title}, {self.unit}"

    def format(self, value: float) -> str:
        """Writes a value with its usual decimals, without the unit."""
        return f"{100 * value if self.unit == '%' else value:.{self.decimals}f}"

    def badness(self, value: float) -> float:
        """Returns a number that is smaller for a better value."""
        if self.target is not None:
            return abs(value - self.target)
        return -value if self.higher_is_better else value

    def fill(self, name: str) -> Metric | None:
        """Returns this metric with the numbers of a name in place of its placeholders; None if the name does not match."""
        pattern = PLACEHOLDER.sub(r"(?P<\1>\\d+)", re.escape(self.name))
        match = re.fullmatch(pattern, name)
        return match and dataclasses.replace(self, name=name, title=self.title.format(**match.groupdict()))


@dataclass(frozen=True)
class Score:
    """One metric of one model on one split."""

    model: str
    metric: str
    value: float
    low: float
    """Lower limit of the 95 % bootstrap confidence interval; NaN if there is none."""
    high: float
    """Upper limit of the interval; NaN if there is none."""


def find_metric(metrics: Sequence[Metric], name: str) -> Metric:
    """Returns the metric with a name, its placeholders filled.

    Raises:
        ValueError: no metric has this name.
    """
    for metric in metrics:
        if (filled := metric.fill(name)) is not None:
            return filled
    names = ", ".join(metric.name for metric in metrics)
    raise ValueError(f"{name} is not a metric of the task. Add it to `Task.metrics`, which has {names}.")


def format_score(metric: Metric, score: Score) -> str:
    """Writes a score with its 95 % interval, such as "83.25 (81.69–84.95)"; the interval is omitted if it is not defined."""
    value = metric.format(score.value)
    if not (np.isfinite(score.low) and np.isfinite(score.high)) or score.low == score.high:
        return value
    return f"{value} ({metric.format(score.low)}–{metric.format(score.high)})"


def best_baseline(scores: Sequence[Score], metric: Metric, own: Sequence[str]) -> Score | None:
    """Returns the best score by a metric among the models that are not listed in `own`; None if there is none."""
    others = [s for s in scores if s.metric == metric.name and s.model not in own and np.isfinite(s.value)]
    return min(others, key=lambda s: metric.badness(s.value), default=None)


def common_heading(metrics: Sequence[Metric]) -> str:
    """Returns one heading for several metrics: the words that they share, then those that differ: CRPS 1d / 5d / 20d."""
    if len(metrics) == 1:
        return metrics[0].heading
    words = [metric.title.split() for metric in metrics]
    shared = [same[0] for same in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))]
    different = " / ".join(" ".join(one[len(shared) :]) for one in words)
    return dataclasses.replace(metrics[0], title=f"{' '.join(shared)} {different}").heading
