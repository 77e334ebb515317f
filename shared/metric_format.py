"""How metrics are named, compared and written: titles, decimals, percent, and which direction is better."""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

import numpy as np

from shared.evaluation import Score

LOWER_IS_BETTER = {
    *("log_loss", "expected_calibration_error", "crps", "pinball", "log_score", "mase", "trajectory_mse"),
    *("perplexity", "perplexity_adaptive", "perplexity_dynamic", "bits_per_character"),
    *("word_error_rate", "character_error_rate"),
}
HORIZON = re.compile(r"_\d+d$")
"""End of the name of a metric for a horizon of so many days."""
COVERAGE = re.compile(r"coverage_(\d+)$")
"""Name of the coverage of prediction intervals, which should equal so many percent."""
PERCENT = ("accuracy", "word_error_rate", "character_error_rate", "coverage")
"""Beginnings of the names of metrics that are written in percent."""
DECIMALS = {"accuracy": 2, "word_error_rate": 2, "character_error_rate": 2, "coverage": 1, "perplexity": 2}
DECIMALS |= {"pinball": 3, "log_score": 3, "mase": 3}
"""Decimals by the beginning of the metric's name; other metrics have four."""
TITLES = {
    "roc_auc": "ROC AUC",
    "log_loss": "log loss, nats",
    "crps": "CRPS",
    "crps_skill": "CRPS skill",
    "mase": "MASE",
    "mcc": "Matthews correlation",
    "trajectory_mse": "trajectory MSE",
    "card_precision_at_100": "card precision@100",
    "perplexity_adaptive": "perplexity with cache",
    "perplexity_dynamic": "perplexity with dynamic evaluation",
    "top_1": "top 1",
    "top_3": "top 3",
    "top_5": "top 5",
}


def title(metric: str) -> str:
    """Returns the name of a metric for a reader, such as "log loss, nats", "accuracy %" or "80 % coverage 5d"."""
    is_percent = metric.startswith(PERCENT) and not COVERAGE.match(HORIZON.sub("", metric))
    return _plain_title(metric) + (" %" if is_percent else "")


def common_title(metrics: Sequence[str]) -> str:
    """Returns one title for several metrics: the words that they share, then those that differ: CRPS 1d / 5d / 20d."""
    if len(metrics) == 1:
        return title(metrics[0])
    words = [metric.split("_") for metric in metrics]
    common = [same[0] for same in itertools.takewhile(lambda same: len(set(same)) == 1, zip(*words, strict=False))]
    name = title("_".join(common))
    unit = " %" if name.endswith(" %") else ""
    return f"{name.removesuffix(unit)} {' / '.join(' '.join(one[len(common) :]) for one in words)}{unit}"


def format_value(metric: str, value: float) -> str:
    """Writes the value of a metric with its usual decimals; rates and accuracies in percent."""
    decimals = next((count for start, count in DECIMALS.items() if metric.startswith(start)), 4)
    return f"{100 * value if metric.startswith(PERCENT) else value:.{decimals}f}"


def format_score(score: Score) -> str:
    """Writes a score with its 95 % interval, such as "83.25 (81.69–84.95)"; the interval is omitted if it is not defined."""
    value = format_value(score.metric, score.value)
    if not (np.isfinite(score.low) and np.isfinite(score.high)) or score.low == score.high:
        return value
    return f"{value} ({format_value(score.metric, score.low)}–{format_value(score.metric, score.high)})"


def best_baseline(scores: Sequence[Score], metric: str, own: Sequence[str]) -> Score | None:
    """Returns the best score by a metric among the models that are not listed in `own`; None if there is none."""
    others = [s for s in scores if s.metric == metric and s.model not in own and np.isfinite(s.value)]
    return min(others, key=lambda s: badness(metric, s.value), default=None)


def badness(metric: str, value: float) -> float:
    """Returns a number that is smaller for a better value of the metric."""
    name = HORIZON.sub("", metric)
    if target := COVERAGE.match(name):
        return abs(value - int(target[1]) / 100)
    return value if name in LOWER_IS_BETTER else -value


def _plain_title(metric: str) -> str:
    horizon = HORIZON.search(metric)
    name = HORIZON.sub("", metric)
    days = f" {horizon[0][1:]}" if horizon else ""
    if coverage := COVERAGE.match(name):
        return f"{coverage[1]} % coverage{days}"
    return TITLES.get(name, name.replace("_", " ")) + days
