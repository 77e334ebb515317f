"""Scores of forecasts over many days, with block-bootstrap intervals, because days are not independent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shared.evaluation.metric import Metric, Score
from shared.evaluation.scoring import block_bootstrap_score
from tasks.stock.config import EvaluationConfig
from tasks.stock.predictive import ScoredForecast

METRICS = (
    Metric("crps_skill", "CRPS skill"),
    Metric("crps_{days}d", "CRPS {days}d", higher_is_better=False),
    Metric("pinball_{days}d", "pinball {days}d", higher_is_better=False, decimals=3),
    Metric("log_score_{days}d", "log score {days}d", higher_is_better=False, decimals=3),
    *(
        Metric(f"coverage_{level}_{{days}}d", f"{level} % coverage {{days}}d", "%", decimals=1, target=level / 100)
        for level in (80, 95)
    ),
    Metric("mase_{days}d", "MASE {days}d", higher_is_better=False, decimals=3),
    Metric("accuracy_{days}d", "accuracy {days}d", "%", decimals=2),
    Metric("mcc_{days}d", "Matthews correlation {days}d"),
    Metric("trajectory_mse_{days}d", "trajectory MSE {days}d", higher_is_better=False),
)
MEAN_METRICS = ("crps", "pinball", "log_score", "coverage_80", "coverage_95")


def summarize_scores(
    name: str,
    scored: Mapping[str, ScoredForecast],
    returns: np.ndarray,
    days: np.ndarray,
    scales: np.ndarray,
    horizons: Sequence[int],
    config: EvaluationConfig,
) -> list[Score]:
    """Returns the scores of one model: `crps_skill` over all horizons, the scores of each horizon, and those of the direction.

    `crps_skill` is 1 - CRPS / CRPS of the random walk, mean over the horizons. `mase_1d` is the absolute error of the median of the
    log-price, divided by `scales` (Hyndman & Koehler, 2006). `accuracy_1d` and `mcc_1d` (Matthews, 1975) score the direction of the next day.

    Args:
        name: name of the model in the results.
        scored: scored forecasts of all models by name.
        returns: outcomes `(rows, horizons)`.
        days: day of each row `(rows,)`.
        scales: divisors of the absolute errors, `(rows, horizons)`.
        horizons: trading days ahead.
        config: moves that count as up or down.
    """
    own, naive = scored[name].scores, scored["random_walk"].scores["crps"]
    skill_sums = sum_by_day(days, own["crps"], naive)
    scores = [block_bootstrap_score(name, "crps_skill", skill_sums, _skill, block_length(horizons[-1]))]
    for k, horizon in enumerate(horizons):
        values = {metric: own[metric][:, k] for metric in MEAN_METRICS}
        values["mase"] = own["absolute_error"][:, k] / scales[:, k]
        for metric, value in values.items():
            sums = sum_by_day(days, value[:, None])
            scores.append(
                block_bootstrap_score(name, f"{metric}_{horizon}d", sums, means_from_sums, block_length(horizon))
            )
    confusion = direction_confusion(scored[name].up_probability[:, 0], returns[:, 0], config)
    for metric, function in (("accuracy", _accuracy), ("mcc", _mcc)):
        sums = sum_by_day(days, confusion)[:, ::2]
        scores.append(
            block_bootstrap_score(name, f"{metric}_{horizons[0]}d", sums, function, block_length(horizons[0]))
        )
    return scores


def crps_difference(
    scored: Mapping[str, ScoredForecast], other: str, days: np.ndarray, horizons: Sequence[int]
) -> dict[str, str]:
    """Returns the CRPS of the exported model relative to that of another model at each horizon, in %, with its interval."""
    differences = {}
    for k, horizon in enumerate(horizons):
        sums = sum_by_day(days, *(scored[name].scores["crps"][:, k : k + 1] for name in ("exported", other)))
        score = block_bootstrap_score(
            "exported", "crps", sums, lambda totals: -100 * _skill(totals), block_length(horizon)
        )
        differences[f"{horizon}d"] = f"{score.value:+.2f} ({score.low:+.2f} to {score.high:+.2f})"
    return differences


def block_length(horizon: int) -> int:
    """Returns the days in a block of the bootstrap; outcomes this far apart share no day."""
    return max(10, 2 * horizon)


def sum_by_day(days: np.ndarray, *values: np.ndarray) -> np.ndarray:
    """Returns sum and count of the known values of each day, in the order of the days, `(days, 2 x columns)`."""
    _, number = np.unique(days, return_inverse=True)
    columns = []
    for column in np.concatenate(values, axis=1).T:
        is_known = np.isfinite(column)
        columns += [np.bincount(number, np.where(is_known, column, 0)), np.bincount(number, is_known)]
    return np.stack(columns, axis=1)


def direction_confusion(up_probability: np.ndarray, returns: np.ndarray, config: EvaluationConfig) -> np.ndarray:
    """Returns true up, true down, false up and false down as 0 or 1, `(rows, 4)`; all are 0 for a move that does not count."""
    change = np.expm1(returns)
    is_up, is_down = change > config.up_threshold, change < -config.down_threshold
    is_predicted_up = up_probability >= 0.5
    cells = [is_predicted_up & is_up, ~is_predicted_up & is_down, is_predicted_up & is_down, ~is_predicted_up & is_up]
    return np.stack(cells, axis=1).astype(np.float64)


def means_from_sums(totals: np.ndarray) -> np.ndarray:
    """Returns means from sums and counts `(..., 2)`, in this order."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[..., 0] / totals[..., 1])


def _skill(totals: np.ndarray) -> np.ndarray:
    """Returns the skill from sums and counts of the model's columns, followed by those of the reference."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = totals[..., ::2] / totals[..., 1::2]
    half = means.shape[-1] // 2
    return np.asarray(np.mean(1 - means[..., :half] / means[..., half:], axis=-1))


def _accuracy(totals: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((totals[..., 0] + totals[..., 1]) / totals.sum(axis=-1))


def _mcc(totals: np.ndarray) -> np.ndarray:
    """Matthews correlation; 0 if all predictions or all outcomes are equal."""
    true_up, true_down, false_up, false_down = np.moveaxis(totals, -1, 0)
    square = (true_up + false_up) * (true_up + false_down) * (true_down + false_up) * (true_down + false_down)
    return np.asarray((true_up * true_down - false_up * false_down) / np.sqrt(np.maximum(square, 1)))
