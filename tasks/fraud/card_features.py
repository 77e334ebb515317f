"""Features of transactions as Keras operations, inside the model: amounts, times and the frauds at a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from keras import ops

DAY, WEEK, HOUR = 86_400, 7 * 86_400, 3_600  # seconds
MONTH = 30.0  # days
HISTORY_SPANS = (1, 7, 30)  # days before the label delay; one count and one fraud rate for each
AMOUNT_FEATURES, TIME_FEATURES = 6, 5  # without the steps at the amount edges
NEVER = 90.0  # days; stands for the time since an event that has not happened
PRIOR_COUNT = 2.0  # transactions of mean amount that are added to the history of every card
PRIOR_SPREAD = 0.5  # standard deviation of the amounts of these transactions, as a fraction of their mean


def noisy_or(first: Any, second: Any) -> Any:
    """Returns the log-odds that at least one of two independent events happens, from the log-odds of each."""
    return ops.logaddexp(ops.logaddexp(first, second), first + second)


def amount_features(amount: Any, count: Any, total: Any, squares: Any) -> list[Any]:
    """Returns features `(batch, time)` of amounts compared with the earlier amounts of the card.

    Args:
        amount: amounts in units of the mean of the training split.
        count: number of earlier transactions.
        total: sum of their amounts.
        squares: sum of the squares of their amounts.
    """
    weight = count + PRIOR_COUNT
    mean = (total + PRIOR_COUNT) / weight
    variance = (squares + PRIOR_COUNT * (1 + PRIOR_SPREAD**2)) / weight - mean * mean
    deviation = ops.sqrt(ops.maximum(variance, ops.square(0.1 * mean)))
    size = ops.maximum(ops.abs(mean), 0.01)
    return [
        signed_log(amount),
        ops.clip(amount, -10.0, 10.0) / 3,
        signed_log(amount / size),
        ops.clip((amount - mean) / deviation, -10.0, 10.0) / 3,
        signed_log(mean),
        ops.log1p(count) / 4,
    ]


def terminal_counts(fraud: Any, days: Any, is_real: Any, delay: float) -> dict[str, Any]:
    """Returns features `(batch,)` by name of the labelled history `(batch, history)`, oldest first.

    They are the count and the fraud rate in the days before the label delay, whether the newest transaction was fraud, the length and
    age of the run of frauds at the end, and the days since the newest fraud and the newest genuine transaction.
    """
    features = {}
    for span in HISTORY_SPANS:
        within = is_real * ops.cast(days <= delay + span, "float32")
        features[f"count_{span}_days"] = count = ops.sum(within, axis=-1)
        features[f"risk_{span}_days"] = ops.sum(fraud * within, axis=-1) / ops.maximum(count, 1.0)
    reversed_run = ops.cumprod(ops.flip(fraud + 1 - is_real, axis=-1), axis=-1)
    run = ops.flip(reversed_run, axis=-1) * is_real  # 1 in the run of frauds at the end
    features |= {
        "last_label": ops.max(run, axis=-1),
        "run": ops.sum(run, axis=-1),
        "run_days": ops.max(run * days, axis=-1),
    }
    for name, kind in (("fraud", fraud), ("genuine", is_real - fraud)):
        features[f"days_since_{name}"] = ops.min(kind * days + (1 - kind) * NEVER, axis=-1)
    return features


def terminal_statistics(fraud: Any, days: Any, is_real: Any, delay: float) -> Any:
    """Returns the features of `terminal_counts` in ranges that suit a network, `(batch, features)`."""
    counts = terminal_counts(fraud, days, is_real, delay)
    features = []
    for span in HISTORY_SPANS:
        features += [ops.log1p(counts[f"count_{span}_days"]) / 3, counts[f"risk_{span}_days"]]
    features += [counts["last_label"], ops.log1p(counts["run"]) / 3, counts["run_days"] / MONTH]
    for name in ("fraud", "genuine"):
        since = counts[f"days_since_{name}"]
        features += [since / MONTH, ops.log1p(since) / 3]
    return ops.stack(features, axis=-1)


def time_features(time: Any, elapsed: Any) -> list[Any]:
    """Returns features `(batch, time)` of times in seconds since 1970, and of the seconds since the previous transaction."""
    features = [ops.log1p(elapsed / HOUR) / 4]
    for period in (DAY, WEEK):
        phase = ops.cast(ops.mod(time, period), "float32") * (2 * np.pi / period)
        features += [ops.sin(phase), ops.cos(phase)]
    return features


def flat_positions(like: Any) -> Any:
    """Returns the position of each element of `(batch, time)` in the flattened tensor, without the symbolic shape."""
    ones = ops.ones_like(like, dtype="int32")
    row, column = ops.cumsum(ones, axis=0) - 1, ops.cumsum(ones, axis=1) - 1
    return row * (ops.max(column) + 1) + column


def exclusive_sums(values: Any) -> Any:
    """Returns the sum of all earlier values at each step, `(batch, time)`."""
    return ops.pad(ops.cumsum(values, axis=1), [[0, 0], [1, 0]])[:, :-1]


def step_features(values: Any, edges: Sequence[float]) -> list[Any]:
    """Returns for each edge 0 below and 1 from it on; a smooth network learns such steps slowly."""
    return [ops.cast(values >= edge, "float32") for edge in edges]


def signed_log(value: Any) -> Any:
    return ops.sign(value) * ops.log1p(ops.abs(value))
