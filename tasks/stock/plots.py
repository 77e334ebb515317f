"""Plots of the stock task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from shared.evaluation.plots import model_style, new_figure, save
from tasks.stock.predictive import INTERVALS, LEVELS, MEDIAN, ScoredForecast

FAN_HISTORY = 120  # days before the forecast in the fan chart
MONTH = 21  # trading days; the walk-forward plot averages over them


def fan(close: np.ndarray, position: int, quantiles: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """Draws the closes of one ticker, the fan chart of a forecast, and the outcome.

    Args:
        close: prices of the ticker `(days,)`.
        position: day of the forecast.
        quantiles: log-returns at `LEVELS` `(horizons, levels)`.
        horizons: trading days ahead.
        path: path of the file.
    """
    figure, (axis,) = new_figure(1, width=8)
    begin, end = max(0, position - FAN_HISTORY), min(len(close), position + max(horizons) + 1)
    axis.plot(np.arange(begin, position + 1) - position, close[begin : position + 1], color="black", label="history")
    axis.plot(np.arange(position, end) - position, close[position:end], color="black", linestyle=":", label="outcome")
    steps = np.r_[0, horizons]
    for alpha, (low, high) in zip((0.35, 0.2), INTERVALS.values(), strict=True):
        edges = [close[position] * np.exp(np.r_[0, quantiles[:, np.argmin(np.abs(LEVELS - q))]]) for q in (low, high)]
        axis.fill_between(steps, *edges, color="tab:blue", alpha=alpha, label=f"{high - low:.0%} interval")
    axis.plot(steps, close[position] * np.exp(np.r_[0, quantiles[:, MEDIAN]]), color="tab:blue", label="median")
    axis.set(xlabel="trading days", ylabel="price")
    axis.legend(loc="upper left", fontsize=8)
    save(figure, path)


def calibration(scored: Mapping[str, ScoredForecast], returns: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """Draws the fraction of outcomes below each quantile minus its level, for every model and horizon."""
    figure, axes = new_figure(len(horizons))
    for k, (axis, horizon) in enumerate(zip(axes, horizons, strict=True)):
        count = np.isfinite(returns[:, k]).sum()
        for name, forecast in scored.items():
            axis.plot(LEVELS, forecast.count_below[k] / count - LEVELS, label=name, **model_style(name))
        axis.axhline(0, color="grey", linewidth=1)
        axis.set(xlabel="level", ylabel="fraction below minus level", title=f"{horizon} days ahead")
    axes[0].legend(fontsize=8)
    save(figure, path)


def walk_forward(scored: Mapping[str, ScoredForecast], days: np.ndarray, horizons: Sequence[int], path: Path) -> None:
    """Draws the monthly mean of the CRPS of every model, divided by that of the random walk, over the test days."""
    figure, axes = new_figure(len(horizons), width=6)
    unique, number = np.unique(days, return_inverse=True)
    month = number // MONTH
    for k, (axis, horizon) in enumerate(zip(axes, horizons, strict=True)):
        naive = _monthly_means(scored["random_walk"].scores["crps"][:, k], month)
        for name, forecast in scored.items():
            axis.plot(
                unique[::MONTH][: len(naive)],
                _monthly_means(forecast.scores["crps"][:, k], month) / naive,
                label=name,
                **model_style(name),
            )
        axis.set(ylabel="CRPS / CRPS of random walk", title=f"{horizon} days ahead")
        axis.tick_params(axis="x", rotation=45)
    axes[0].legend(fontsize=8)
    save(figure, path)


def _monthly_means(values: np.ndarray, month: np.ndarray) -> np.ndarray:
    is_known = np.isfinite(values)
    count = np.bincount(month, is_known)
    return np.bincount(month, np.where(is_known, values, 0)) / np.where(count > 0, count, np.nan)
