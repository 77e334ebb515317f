"""What the stock task draws."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.plots import model_style, new_figure, save
from tasks.stock.predictive import INTERVALS, LEVELS, MIDDLE, Scored

SHOWN = 120  # days before and behind the forecast in the fan chart
MONTH = 21  # days over which the walk-forward plot averages


def fan(close: np.ndarray, place: int, quantiles: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """The closes of one ticker, the fan that was forecast from one of its days, and what came to pass.

    Args:
        close: prices of the ticker `(days,)`.
        place: the day forecast from.
        quantiles: log-returns at `LEVELS` `(horizons, levels)`.
        horizons: trading days ahead.
        path: of the file.
    """
    figure, (axis,) = new_figure(1, width=8)
    begin, end = max(0, place - SHOWN), min(len(close), place + max(horizons) + 1)
    axis.plot(np.arange(begin, place + 1) - place, close[begin : place + 1], color="black", label="known")
    axis.plot(np.arange(place, end) - place, close[place:end], color="black", linestyle=":", label="came to pass")
    steps = np.r_[0, horizons]
    for alpha, (low, high) in zip((0.35, 0.2), INTERVALS.values(), strict=True):
        edges = [close[place] * np.exp(np.r_[0, quantiles[:, np.argmin(np.abs(LEVELS - q))]]) for q in (low, high)]
        axis.fill_between(steps, *edges, color="tab:blue", alpha=alpha, label=f"{high - low:.0%} interval")
    axis.plot(steps, close[place] * np.exp(np.r_[0, quantiles[:, MIDDLE]]), color="tab:blue", label="median")
    axis.set(xlabel="trading days", ylabel="price")
    axis.legend(loc="upper left", fontsize=8)
    save(figure, path)


def calibration(scored: Mapping[str, Scored], returns: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """How often what came to pass lay below a quantile, less its level, for every model and horizon."""
    figure, axes = new_figure(len(horizons))
    for k, (axis, horizon) in enumerate(zip(axes, horizons, strict=True)):
        known = np.isfinite(returns[:, k]).sum()
        for name, one in scored.items():
            below = one.below[k] / known
            axis.plot(LEVELS, below - LEVELS, label=name, **model_style(name))
        axis.axhline(0, color="grey", linewidth=1)
        axis.set(xlabel="level", ylabel="share below, less the level", title=f"{horizon} days ahead")
    axes[0].legend(fontsize=8)
    save(figure, path)


def walk_forward(scored: Mapping[str, Scored], days: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """CRPS of every model by that of the random walk, mean over a month, along the test days."""
    figure, axes = new_figure(len(horizons), width=6)
    unique, number = np.unique(days, return_inverse=True)
    month = number // MONTH
    for k, (axis, horizon) in enumerate(zip(axes, horizons, strict=True)):
        naive = _means(scored["random_walk"].scores["crps"][:, k], month)
        for name, one in scored.items():
            axis.plot(
                unique[::MONTH][: len(naive)],
                _means(one.scores["crps"][:, k], month) / naive,
                label=name,
                **model_style(name),
            )
        axis.set(ylabel="CRPS / random walk's", title=f"{horizon} days ahead")
        axis.tick_params(axis="x", rotation=45)
    axes[0].legend(fontsize=8)
    save(figure, path)


def _means(values: np.ndarray, month: np.ndarray) -> np.ndarray:
    known = np.isfinite(values)
    count = np.bincount(month, known)
    return np.bincount(month, np.where(known, values, 0)) / np.where(count > 0, count, np.nan)
