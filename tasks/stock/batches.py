"""Panels of daily prices with the later returns, and batches of training windows cut from them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.data.epoch_batches import EVALUATION_EPOCH, EpochBatches
from shared.data.pipelines import gather_padded, padded_indices
from tasks.stock.config import FIELDS, FeaturesConfig, StockConfig
from tasks.stock.model import Submodels

WINDOWS_PER_CALL = 256  # when a whole table is forecast


@dataclass(frozen=True)
class Panel:
    """The days of all tickers, one ticker after the other."""

    fields: Mapping[str, np.ndarray]
    """`FIELDS`, each float32 `(rows,)`."""
    ticker: np.ndarray
    """Ticker of each row, objects `(rows,)`."""
    first: np.ndarray
    """Position of the first row of the ticker of each row, int64 `(rows,)`."""
    day: np.ndarray
    """Day of each row, `(rows,)`."""
    returns: np.ndarray
    """Log-return from the close of each row over each horizon, float32 `(rows, horizons)`; NaN where the later day is not a scored
    row, or lies beyond the table."""

    @property
    def has_outcome(self) -> np.ndarray:
        """Rows whose return is known for at least one horizon, boolean `(rows,)`."""
        return np.isfinite(self.returns).any(axis=1)


def build_panel(frame: pd.DataFrame, config: StockConfig) -> Panel:
    """Builds the panel of a table from `tasks.stock.data.load`, which is sorted by ticker and day."""
    horizons, min_history = config.forecast.horizons, config.features.min_history
    tickers = pd.factorize(frame["ticker"])[0]
    rows = np.arange(len(frame))
    is_new_ticker = np.r_[True, tickers[1:] != tickers[:-1]]
    first = np.maximum.accumulate(np.where(is_new_ticker, rows, 0))
    log_close, is_scored = np.log(frame["close"].to_numpy(np.float64)), frame["is_scored_row"].to_numpy()
    returns = np.full((len(frame), len(horizons)), np.nan, np.float32)
    for k, horizon in enumerate(horizons):
        start = rows[: max(0, len(rows) - horizon)]
        end = start + horizon
        is_valid = (tickers[start] == tickers[end]) & is_scored[end] & (start - first[start] >= min_history - 1)
        returns[start[is_valid], k] = (log_close[end] - log_close[start])[is_valid]
    fields = {name: frame[name].to_numpy(np.float32) for name in FIELDS}
    return Panel(fields, frame["ticker"].to_numpy(), first, frame["day"].to_numpy(), returns)


def keep_newest(panel: Panel, max_rows: int) -> Panel:
    """Returns the panel with the returns of at most `max_rows` rows, the newest ones that have all returns; the others become NaN."""
    is_complete = np.isfinite(panel.returns).all(axis=1)
    rows = np.flatnonzero(is_complete if is_complete.any() else panel.has_outcome)
    is_kept = np.zeros((len(panel.first), 1), bool)
    is_kept[rows[np.argsort(panel.day[rows], kind="stable")][-max_rows:]] = True
    return dataclasses.replace(panel, returns=np.where(is_kept, panel.returns, np.float32(np.nan)))


class WindowBatches(EpochBatches):
    """Batches of windows; their order and their boundaries depend only on (seed, epoch).

    Each batch is `(inputs of the parameter model, returns (batch, burn_in + window, horizons))`; returns that do not count in the loss
    are NaN.

    Args:
        panel: the days.
        features: lengths of burn-in and window.
        batch_size: windows per batch.
        seed: random seed of order and boundaries.
    """

    def __init__(
        self, panel: Panel, features: FeaturesConfig, batch_size: int = WINDOWS_PER_CALL, seed: int = 0
    ) -> None:
        self.panel, self.features = panel, features
        rows = np.flatnonzero(panel.has_outcome)
        first = np.unique(panel.first[rows])
        begin = rows[np.searchsorted(panel.first[rows], first, "left")]
        end = rows[np.searchsorted(panel.first[rows], first, "right") - 1] + 1
        self.spans = np.stack([begin, end], axis=1)
        count = self.spans[:, 1] - begin
        self.max_windows = -(-count // features.window_length) + 1  # one more, because the first boundary is random

        width = features.burn_in + features.window_length
        inputs = {name: tf.TensorSpec([None, width], tf.float32) for name in FIELDS}
        inputs["length"] = tf.TensorSpec([None], tf.int32)
        returns = tf.TensorSpec([None, width, panel.returns.shape[1]], tf.float32)
        super().__init__((inputs, returns), int(self.max_windows.sum()), batch_size, seed)

    def cut(self, offsets: np.ndarray) -> np.ndarray:
        """Returns start and end of each window, int64 `(windows, 2)`.

        Args:
            offsets: days by which the first window of each ticker is shorter than a full one, `(tickers,)`.
        """
        length = self.features.window_length
        starts = [
            np.arange(begin - offset, end, length) for (begin, end), offset in zip(self.spans, offsets, strict=True)
        ]
        begin = np.concatenate(starts)
        span = np.repeat(self.spans, [len(part) for part in starts], axis=0)
        return np.stack([np.maximum(begin, span[:, 0]), np.minimum(begin + length, span[:, 1])], axis=1)

    def order(self, seed: int, epoch: int) -> np.ndarray:
        """Returns start and end of each window of an epoch, int64 `(windows, 2)`: a window may occur twice, so that every epoch has the
        same number."""
        rng = np.random.default_rng((seed, epoch))
        windows = rng.permutation(self.cut(rng.integers(0, self.features.window_length, len(self.spans))))
        return np.concatenate([windows, windows[: self.rows - len(windows)]])

    def evaluation_order(self) -> np.ndarray:
        """Returns windows from the first row of each ticker that has an outcome, so that each outcome occurs once."""
        return self.cut(np.zeros(len(self.spans), np.int64))

    def collate(self, rows: np.ndarray, epoch: int = EVALUATION_EPOCH) -> tuple[dict[str, np.ndarray], np.ndarray]:
        """Returns `FIELDS` and `length`, and the returns, of windows `(batch, 2)`, padded on the right; the epoch changes nothing."""
        indices, is_in_window = self.indices(rows)
        inputs = {name: gather_padded(self.panel.fields[name], indices) for name in FIELDS}
        inputs["length"] = (indices >= 0).sum(axis=1, dtype=np.int32)
        returns = np.where(is_in_window[..., None], self.panel.returns[np.maximum(indices, 0)], np.float32(np.nan))
        return inputs, returns

    def indices(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of each window and its burn-in `(batch, burn_in + window)`, -1 at padding, and a mask of the window."""
        start, end = windows.T
        begin = np.maximum(start - self.features.burn_in, self.panel.first[start])
        width = self.features.burn_in + self.features.window_length
        indices, _ = padded_indices(begin, end - begin, width)
        return indices, indices >= start[:, None]


def predict_parameters(parameter_model: keras.Model, batches: WindowBatches) -> np.ndarray:
    """Returns the parameters of the distributions for the rows of a panel with an outcome, float32 `(rows, horizons, 5)`.

    Args:
        parameter_model: from `tasks.stock.model.build_parameter_model`.
        batches: batches of the panel.
    """
    (parameters,) = _map_windows(batches, lambda inputs: [parameter_model.predict_on_batch(inputs)])
    return parameters


def compute_features(submodels: Submodels, batches: WindowBatches, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns the input features of the LSTM for the rows of a panel with an outcome, float32 `(rows, features)`, and the volatility.

    Args:
        submodels: the submodels of the model.
        batches: batches of the panel.
        units: units of the last LSTM layer, whose outputs precede the features in `hidden`.
    """

    def compute(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        state = np.zeros((len(inputs["length"]), submodels.state_size), np.float32)
        outputs = submodels.days.predict_on_batch({**inputs, "state": state})
        return [outputs["hidden"][..., units:], outputs["scale"]]

    features, scale = _map_windows(batches, compute)
    return features, scale


def _map_windows(
    batches: WindowBatches, function: Callable[[dict[str, np.ndarray]], list[np.ndarray]]
) -> list[np.ndarray]:
    """Returns the outputs of a function for the rows with an outcome, each `(rows, ...)`."""
    has_outcome = batches.panel.has_outcome
    rank = np.cumsum(has_outcome) - 1
    windows = batches.evaluation_order()
    results: list[np.ndarray] = []
    for start in range(0, len(windows), WINDOWS_PER_CALL):
        part = windows[start : start + WINDOWS_PER_CALL]
        inputs, _ = batches.collate(part)
        indices, mask = batches.indices(part)
        mask &= has_outcome[np.maximum(indices, 0)]
        outputs = function(inputs)
        if not results:
            results = [np.empty((int(has_outcome.sum()), *output.shape[2:]), np.float32) for output in outputs]
        for result, output in zip(results, outputs, strict=True):
            result[rank[indices[mask]]] = output[mask]
    return results
