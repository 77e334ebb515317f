"""Scores of forecasts over many days, with intervals that know that the days hang together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from shared.evaluation import Score, block_bootstrap_score
from tasks.stock.config import DirectionConfig
from tasks.stock.predictive import Scored

MEANS = ("crps", "pinball", "log_score", "coverage_80", "coverage_95")


def summary(
    name: str,
    scored: Mapping[str, Scored],
    returns: np.ndarray,
    days: np.ndarray,
    scales: np.ndarray,
    horizons: Sequence[int],
    direction: DirectionConfig,
) -> list[Score]:
    """Returns one model's scores: `crps_skill` over all horizons, those of each horizon, and those of the direction.

    `crps_skill` is 1 - CRPS / CRPS of the random walk, mean over the horizons; `mase_1d` the absolute error of the median,
    of the logarithm of the price, by `scales` (Hyndman & Koehler, 2006); `accuracy_1d` and `mcc_1d` (Matthews, 1975) those
    of rise or fall the next day.

    Args:
        name: of the model, in the results.
        scored: all models by name.
        returns: what came to pass, `(rows, horizons)`.
        days: of the rows `(rows,)`.
        scales: what divides the absolute errors, `(rows, horizons)`.
        horizons: trading days ahead.
        direction: which moves count.
    """
    mine, naive = scored[name].scores, scored["random_walk"].scores["crps"]
    longest = block_length(horizons[-1])
    scores = [block_bootstrap_score(name, "crps_skill", by_day(days, mine["crps"], naive), _skill, longest)]
    for k, horizon in enumerate(horizons):
        values = {metric: mine[metric][:, k] for metric in MEANS}
        values["mase"] = mine["absolute_error"][:, k] / scales[:, k]
        for metric, value in values.items():
            sums = by_day(days, value[:, None])
            scores.append(block_bootstrap_score(name, f"{metric}_{horizon}d", sums, mean_of, block_length(horizon)))
    confused = confusion(scored[name].rise[:, 0], returns[:, 0], direction)
    for metric, measure in (("accuracy", _accuracy), ("mcc", _mcc)):
        sums = by_day(days, confused)[:, ::2]
        scores.append(block_bootstrap_score(name, f"{metric}_{horizons[0]}d", sums, measure, block_length(horizons[0])))
    return scores


def below(scored: Mapping[str, Scored], other: str, days: np.ndarray, horizons: Sequence[int]) -> dict[str, str]:
    """Returns by how much the exported model's CRPS lies beside another's at each horizon, in %, with its interval."""
    found = {}
    for k, horizon in enumerate(horizons):
        sums = by_day(days, *(scored[name].scores["crps"][:, k : k + 1] for name in ("exported", other)))
        score = block_bootstrap_score("exported", "crps", sums, lambda totals: -100 * _skill(totals), block_length(horizon))
        found[f"{horizon}d"] = f"{score.value:+.2f} ({score.low:+.2f} to {score.high:+.2f})"
    return found


def block_length(horizon: int) -> int:
    """Returns how many days a block of the bootstrap has: answers of days this far apart share no day but by chance."""
    return max(10, 2 * horizon)


def by_day(days: np.ndarray, *values: np.ndarray) -> np.ndarray:
    """Returns sum and number of the known values of each day, in the order of the days, `(days, 2 x columns)`."""
    _, number = np.unique(days, return_inverse=True)
    columns = []
    for column in np.concatenate(values, axis=1).T:
        known = np.isfinite(column)
        columns += [np.bincount(number, np.where(known, column, 0)), np.bincount(number, known)]
    return np.stack(columns, axis=1)


def confusion(rise: np.ndarray, returns: np.ndarray, direction: DirectionConfig) -> np.ndarray:
    """Returns right rises, right falls, wrong rises and wrong falls as 0 or 1, `(rows, 4)`; 0 throughout where no move counts."""
    change = np.expm1(returns)
    rose, fell = change > direction.rise, change < -direction.fall
    said = rise >= 0.5
    return np.stack([said & rose, ~said & fell, said & fell, ~said & rose], axis=1).astype(np.float64)


def mean_of(totals: np.ndarray) -> np.ndarray:
    """Returns the means of sums and numbers `(..., 2)`, in this order."""
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(totals[..., 0] / totals[..., 1])


def _skill(totals: np.ndarray) -> np.ndarray:
    """Of sums and numbers of one's own columns and then of as many of the other's."""
    with np.errstate(invalid="ignore", divide="ignore"):
        means = totals[..., ::2] / totals[..., 1::2]
    half = means.shape[-1] // 2
    return np.asarray(np.mean(1 - means[..., :half] / means[..., half:], axis=-1))


def _accuracy(totals: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((totals[..., 0] + totals[..., 1]) / totals.sum(axis=-1))


def _mcc(totals: np.ndarray) -> np.ndarray:
    """Matthews correlation, 0 where all days are said or found to be of one kind."""
    rises, falls, false_rises, false_falls = np.moveaxis(totals, -1, 0)
    square = (rises + false_rises) * (rises + false_falls) * (falls + false_rises) * (falls + false_falls)
    return np.asarray((rises * falls - false_rises * false_falls) / np.sqrt(np.maximum(square, 1)))
