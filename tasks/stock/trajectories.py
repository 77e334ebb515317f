"""Mean squared error of the median over whole price trajectories, as in benchmarks of long forecasts.

The error is over all days of the trajectory, in prices divided by the standard deviation of their training days (Lai et al., 2018; Wu
et al., 2021), beside the last price repeated and NLinear (Zeng et al., 2023).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from shared.data.notices import add_notice
from shared.data.sources import Splits
from shared.evaluation.metric import Score
from shared.evaluation.scoring import block_bootstrap_score
from tasks.stock.scores import block_length, means_from_sums, sum_by_day

LOOKBACK = 336  # days that NLinear reads, as published
RIDGE_PENALTIES = 10.0 ** np.arange(-2, 7)  # chosen on the validation split


def score_trajectories(
    splits: Splits, rows: np.ndarray, medians: np.ndarray, horizons: Sequence[int], lengths: Sequence[int]
) -> list[Score]:
    """Returns `trajectory_mse_<length>d` of the exported model, of the last price repeated, and of NLinear.

    All models are scored on the same trajectories: those that lie completely in the test days, start at a forecast with `LOOKBACK` days
    of history, and belong to a ticker with training days. Without any, a warning is logged; NLinear is omitted if the training split
    is too short for it.

    Args:
        splits: from `tasks.stock.data.load`.
        rows: rows of the test table with a forecast, increasing.
        medians: medians of the log-returns for these rows `(rows, horizons)`.
        horizons: trading days ahead.
        lengths: lengths of the trajectories, at most the longest horizon.
    """
    scores = []
    forecast_of_row = np.full(len(splits.test), -1)
    forecast_of_row[rows] = np.arange(len(rows))
    for length in lengths:
        linear = fit_nlinear(splits, length)
        weights = interpolation_matrix(horizons, length)
        errors: dict[str, list[np.ndarray]] = {}
        days = []
        for begin, values, origins in _iterate_series(splits.test, _price_scales(splits), length):
            origins = origins[forecast_of_row[begin + origins] >= 0]
            last, outcome = values[origins, None], _later_changes(values, origins, length)
            median = medians[forecast_of_row[begin + origins]]
            predictions = {"exported": last * np.expm1(median @ weights.T), "repeat_last": np.zeros_like(outcome)}
            if linear is not None:
                predictions["nlinear"] = _earlier_changes(values, origins) @ linear[0] + linear[1]
            for name, prediction in predictions.items():
                errors.setdefault(name, []).append(np.mean((prediction - outcome) ** 2, axis=1))
            days.append(splits.test["day"].to_numpy()[begin + origins])
        if not sum(map(len, days)):
            add_notice(
                f"--evaluation.trajectory-days {length} is not scored: no ticker has {LOOKBACK} days of history followed by {length} test "
                "days."
            )
            continue
        for name, parts in errors.items():
            sums = sum_by_day(np.concatenate(days), np.concatenate(parts)[:, None])
            metric, block = f"trajectory_mse_{length}d", block_length(length)
            scores.append(block_bootstrap_score(name, metric, sums, means_from_sums, block))
    return scores


def interpolation_matrix(horizons: Sequence[int], length: int) -> np.ndarray:
    """Returns the matrix from log-returns at the horizons to those of the days 1 to `length`, linear between 0 and the horizons,
    `(length, horizons)`."""
    days, knots = np.arange(1, length + 1), np.r_[0, horizons]
    return np.stack([np.interp(days, knots, np.r_[0, column]) for column in np.eye(len(horizons))], axis=1)


def fit_nlinear(splits: Splits, length: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns weights `(LOOKBACK, length)` and offset `(length,)` of a linear model from earlier to later changes of the price.

    One model for all tickers; changes are relative to the last price. The ridge penalty is chosen on the validation split, or is the
    largest if that split is too short. None if no ticker has enough training days.
    """
    scales = _price_scales(splits)
    square, product = np.zeros((LOOKBACK + 1, LOOKBACK + 1)), np.zeros((LOOKBACK + 1, length))
    for _, values, origins in _iterate_series(splits.train, scales, length):
        inputs = np.c_[_earlier_changes(values, origins), np.ones(len(origins))]
        square += inputs.T @ inputs
        product += inputs.T @ _later_changes(values, origins, length)
    if not square[-1, -1]:
        return None
    best, best_error = product, np.inf
    validation = list(_iterate_series(splits.validation, scales, length))
    for penalty in RIDGE_PENALTIES:
        weights = np.linalg.solve(square + penalty * np.diag(np.r_[np.ones(LOOKBACK), 1e-9]), product)
        errors = []
        for _, values, origins in validation:
            prediction = _earlier_changes(values, origins) @ weights[:-1] + weights[-1]
            errors.append(np.mean((prediction - _later_changes(values, origins, length)) ** 2, axis=1))
        error = np.mean(np.concatenate(errors)) if errors else -penalty
        if error < best_error:
            best, best_error = weights, error
    return best[:-1], best[-1]


def _price_scales(splits: Splits) -> Mapping[str, float]:
    """Returns the standard deviation of the closes of each ticker on its training days."""
    return splits.train[splits.train["is_scored_row"]].groupby("ticker")["close"].std(ddof=0).to_dict()


def _iterate_series(
    frame: pd.DataFrame, scales: Mapping[str, float], length: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields for each ticker its first row, its scaled closes, and the days whose trajectories lie in scored rows."""
    tickers = frame["ticker"].to_numpy()
    starts = np.flatnonzero(np.r_[True, tickers[1:] != tickers[:-1]])
    close, is_scored = frame["close"].to_numpy(np.float64), frame["is_scored_row"].to_numpy()
    for begin, end in zip(starts, np.r_[starts[1:], len(frame)], strict=True):
        scale = scales.get(tickers[begin], 0.0)
        if not scale > 0 or not is_scored[begin:end].any():
            continue
        first = max(LOOKBACK - 1, int(np.argmax(is_scored[begin:end])) - 1)
        origins = np.arange(first, end - begin - length)
        if len(origins):
            yield int(begin), close[begin:end] / scale, origins


def _later_changes(values: np.ndarray, origins: np.ndarray, length: int) -> np.ndarray:
    """Returns the changes from the origins to the following days, `(origins, length)`."""
    return sliding_window_view(values, length)[origins + 1] - values[origins, None]


def _earlier_changes(values: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Returns the values up to the origins minus the last value, `(origins, LOOKBACK)`."""
    return sliding_window_view(values, LOOKBACK)[origins - LOOKBACK + 1] - values[origins, None]
