"""How near the middle of the forecast comes to the whole way that a price takes, as benchmarks of long forecasts measure it.

The mean squared error over all days of the way, of prices divided by the standard deviation of their training days (Lai et
al., 2018; Wu et al., 2021), beside repeating the last price and NLinear (Zeng et al., 2023).
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view

from shared.evaluation import Score, block_bootstrap_score
from shared.sources import Splits
from tasks.stock.scores import block_length, by_day, mean_of

LOOKBACK = 336  # days that NLinear reads, as published
PENALTIES = 10.0 ** np.arange(-2, 7)  # of its weights' squares; validation chooses


def scores(
    splits: Splits, rows: np.ndarray, medians: np.ndarray, horizons: Sequence[int], lengths: Sequence[int]
) -> list[Score]:
    """Returns `path_mse_<length>d` of the exported model, of the last price repeated, and of NLinear.

    Judged are the ways that lie wholly in the test days, from each day before one of them that was forecast from and has
    `LOOKBACK` days of history, of tickers that have training days; for all models the same. Where there is none, a warning
    says so, and NLinear is left out where training is too short for it.

    Args:
        splits: from `tasks.stock.data.load`.
        rows: of the test table, from which the model forecast, increasing.
        medians: of the log-returns there `(rows, horizons)`.
        horizons: their trading days ahead.
        lengths: of the ways, at most the longest horizon.
    """
    found = []
    placed = np.full(len(splits.test), -1)
    placed[rows] = np.arange(len(rows))
    for length in lengths:
        linear = nlinear(splits, length)
        way = interpolation(horizons, length)
        errors: dict[str, list[np.ndarray]] = {}
        days = []
        for begin, values, origins in _series(splits.test, _scales(splits), length):
            origins = origins[placed[begin + origins] >= 0]
            last, truth = values[origins, None], _changes(values, origins, length)
            median = medians[placed[begin + origins]]
            says = {"exported": last * np.expm1(median @ way.T), "repeat_last": np.zeros_like(truth)}
            if linear is not None:
                says["nlinear"] = _past(values, origins) @ linear[0] + linear[1]
            for name, said in says.items():
                errors.setdefault(name, []).append(np.mean((said - truth) ** 2, axis=1))
            days.append(splits.test["day"].to_numpy()[begin + origins])
        if not sum(map(len, days)):
            logging.getLogger(__name__).warning(
                "--protocol.paths %d is not judged: no ticker has %d days of history and %d test days after them.",
                length, LOOKBACK, length,
            )  # fmt: skip
            continue
        for name, parts in errors.items():
            sums = by_day(np.concatenate(days), np.concatenate(parts)[:, None])
            found.append(block_bootstrap_score(name, f"path_mse_{length}d", sums, mean_of, block_length(length)))
    return found


def interpolation(horizons: Sequence[int], length: int) -> np.ndarray:
    """Returns what turns log-returns at the horizons into those of the days 1 to `length`, on straight lines from 0 through
    them, `(length, horizons)`."""
    days, knots = np.arange(1, length + 1), np.r_[0, horizons]
    return np.stack([np.interp(days, knots, np.r_[0, one]) for one in np.eye(len(horizons))], axis=1)


def nlinear(splits: Splits, length: int) -> tuple[np.ndarray, np.ndarray] | None:
    """Returns weights `(LOOKBACK, length)` and offset `(length,)` of a linear forecast of the changes from the last price, of
    the changes that led up to it; one for all tickers, its ridge penalty chosen on validation, and the strongest where
    that is too short.

    None where no ticker has training days enough.
    """
    scales = _scales(splits)
    square, product = np.zeros((LOOKBACK + 1, LOOKBACK + 1)), np.zeros((LOOKBACK + 1, length))
    for _, values, origins in _series(splits.train, scales, length):
        past = np.c_[_past(values, origins), np.ones(len(origins))]
        square += past.T @ past
        product += past.T @ _changes(values, origins, length)
    if not square[-1, -1]:
        return None
    best, least = product, np.inf
    judged = list(_series(splits.validation, scales, length))
    for penalty in PENALTIES:
        weights = np.linalg.solve(square + penalty * np.diag(np.r_[np.ones(LOOKBACK), 1e-9]), product)
        errors = [
            np.mean(
                (_past(values, origins) @ weights[:-1] + weights[-1] - _changes(values, origins, length)) ** 2, axis=1
            )
            for _, values, origins in judged
        ]
        error = np.mean(np.concatenate(errors)) if errors else -penalty
        if error < least:
            best, least = weights, error
    return best[:-1], best[-1]


def _scales(splits: Splits) -> Mapping[str, float]:
    """Returns the standard deviation of each ticker's closes on its training days."""
    return splits.train[splits.train["judged"]].groupby("ticker")["close"].std(ddof=0).to_dict()


def _series(
    frame: pd.DataFrame, scales: Mapping[str, float], length: int
) -> Iterator[tuple[int, np.ndarray, np.ndarray]]:
    """Yields for each ticker its first row, its closes in units of `scales`, and the days whose ways lie on judged days."""
    tickers = frame["ticker"].to_numpy()
    starts = np.flatnonzero(np.r_[True, tickers[1:] != tickers[:-1]])
    close, judged = frame["close"].to_numpy(np.float64), frame["judged"].to_numpy()
    for begin, end in zip(starts, np.r_[starts[1:], len(frame)], strict=True):
        scale = scales.get(tickers[begin], 0.0)
        if not scale > 0 or not judged[begin:end].any():
            continue
        first = max(LOOKBACK - 1, int(np.argmax(judged[begin:end])) - 1)
        origins = np.arange(first, end - begin - length)
        if len(origins):
            yield int(begin), close[begin:end] / scale, origins


def _changes(values: np.ndarray, origins: np.ndarray, length: int) -> np.ndarray:
    """Returns the changes from the origins to the days after, `(origins, length)`."""
    return sliding_window_view(values, length)[origins + 1] - values[origins, None]


def _past(values: np.ndarray, origins: np.ndarray) -> np.ndarray:
    """Returns the values up to the origins less the last, `(origins, LOOKBACK)`."""
    return sliding_window_view(values, LOOKBACK)[origins - LOOKBACK + 1] - values[origins, None]
