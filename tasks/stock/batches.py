"""Windows of consecutive days, each with the days that lead up to it, and the log-returns that follow each day."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.pipelines import gather_padded, padded_indices, repeat_epochs, with_cardinality
from tasks.stock.config import ForecastConfig
from tasks.stock.model import FIELDS, Submodels

ROWS = 256  # windows of one call when a whole table is forecast


@dataclass(frozen=True)
class Panel:
    """The days of all tickers, one ticker after the other."""

    fields: Mapping[str, np.ndarray]
    """`FIELDS`, each float32 `(rows,)`."""
    ticker: np.ndarray
    """Name of each row's ticker, objects `(rows,)`."""
    first: np.ndarray
    """Position of the first row of each row's ticker, int64 `(rows,)`."""
    day: np.ndarray
    """Of each row, `(rows,)`."""
    returns: np.ndarray
    """Log-return from each row's close to that so many days on, float32 `(rows, horizons)`; not a number where the answer
    is not on a judged day, or lies beyond the table."""

    @property
    def chosen(self) -> np.ndarray:
        """Which rows have an answer for some horizon, boolean `(rows,)`."""
        return np.isfinite(self.returns).any(axis=1)


def open_panel(frame: pd.DataFrame, forecast: ForecastConfig) -> Panel:
    """Lays out a table of `tasks.stock.data.load`, sorted by ticker and day, with the answers of each day."""
    tickers = pd.factorize(frame["ticker"])[0]
    rows = np.arange(len(frame))
    new = np.r_[True, tickers[1:] != tickers[:-1]]
    first = np.maximum.accumulate(np.where(new, rows, 0))
    close, judged = np.log(frame["close"].to_numpy(np.float64)), frame["judged"].to_numpy()
    returns = np.full((len(frame), len(forecast.horizons)), np.nan, np.float32)
    for k, horizon in enumerate(forecast.horizons):
        here = rows[: max(0, len(rows) - horizon)]
        there = here + horizon
        fine = (tickers[here] == tickers[there]) & judged[there] & (here - first[here] >= forecast.fewest - 1)
        returns[here[fine], k] = (close[there] - close[here])[fine]
    fields = {name: frame[name].to_numpy(np.float32) for name in FIELDS}
    return Panel(fields, frame["ticker"].to_numpy(), first, frame["day"].to_numpy(), returns)


class WindowBatches:
    """Batches of windows, in an order and cut at places that hang on (seed, epoch) alone.

    Each is `(inputs of SubmodelBuilder.trainer, returns (batch, history + window, horizons))`; returns that do not count are not
    numbers.

    Args:
        panel: the days.
        forecast: lengths of history and window.
        batch_size: windows in a batch.
        seed: with the epoch, decides order and cuts.
    """

    def __init__(self, panel: Panel, forecast: ForecastConfig, batch_size: int = ROWS, seed: int = 0) -> None:
        self.panel, self.forecast = panel, forecast
        self.batch_size, self.seed = batch_size, seed
        chosen = np.flatnonzero(panel.chosen)
        first = np.unique(panel.first[chosen])
        begin = chosen[np.searchsorted(panel.first[chosen], first, "left")]
        end = chosen[np.searchsorted(panel.first[chosen], first, "right") - 1] + 1
        self.spans = np.stack([begin, end], axis=1)
        count = self.spans[:, 1] - begin
        self.parts = -(-count // forecast.window) + 1  # one more: the first cut lies anywhere

    @property
    def steps(self) -> int:
        """Batches in one epoch, the same in every epoch."""
        return -(-int(self.parts.sum()) // self.batch_size)

    def epochs(self, first: int) -> tf.data.Dataset:
        """Returns the shuffled batches of epoch `first` (counted from 0), then of the next, without end."""
        return repeat_epochs(self._epoch, first)

    def evaluation_batches(self) -> tf.data.Dataset:
        """Returns all batches once, cut from the first chosen day of each ticker, for validation."""
        starts = self.cut(np.zeros(len(self.spans), np.int64))
        steps = -(-len(starts) // self.batch_size)
        return with_cardinality(self._batches(tf.constant(starts), steps), steps).prefetch(2)

    def cut(self, early: np.ndarray) -> np.ndarray:
        """Returns start and end of each window, int64 `(windows, 2)`.

        Args:
            early: by how many days the first window of each ticker is short of a whole one, `(tickers,)`.
        """
        starts = [
            np.arange(begin - less, end, self.forecast.window)
            for (begin, end), less in zip(self.spans, early, strict=True)
        ]
        begin = np.concatenate(starts)
        span = np.repeat(self.spans, [len(part) for part in starts], axis=0)
        return np.stack([np.maximum(begin, span[:, 0]), np.minimum(begin + self.forecast.window, span[:, 1])], axis=1)

    def _epoch(self, epoch: tf.Tensor) -> tf.data.Dataset:
        return self._batches(tf.numpy_function(self._shuffled, [epoch], tf.int64), self.steps)

    def _shuffled(self, epoch: int) -> np.ndarray:
        rng = np.random.default_rng((self.seed, int(epoch)))
        windows = rng.permutation(self.cut(rng.integers(0, self.forecast.window, len(self.spans))))
        short = int(self.parts.sum()) - len(windows)
        return np.concatenate([windows, windows[:short]])  # the same number in every epoch

    def _batches(self, windows: tf.Tensor, steps: int) -> tf.data.Dataset:
        size = self.batch_size
        parts = tf.data.Dataset.range(steps).map(lambda k: windows[k * size : (k + 1) * size])
        return parts.map(self._tensors, num_parallel_calls=tf.data.AUTOTUNE)

    def _tensors(self, windows: tf.Tensor) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        width = self.forecast.history + self.forecast.window
        kinds = [tf.float32] * len(FIELDS) + [tf.int32, tf.float32]
        *fields, length, returns = tf.numpy_function(self.batch, [windows], kinds)
        inputs = {name: tf.ensure_shape(value, [None, width]) for name, value in zip(FIELDS, fields, strict=True)}
        inputs["length"] = tf.ensure_shape(length, [None])
        return inputs, tf.ensure_shape(returns, [None, width, self.panel.returns.shape[1]])

    def batch(self, windows: np.ndarray) -> list[np.ndarray]:
        """Returns `FIELDS`, `length` and the returns of windows `(batch, 2)`, padded on the right."""
        places, counts = self.places(windows)
        fields = [gather_padded(self.panel.fields[name], places) for name in FIELDS]
        returns = np.where(counts[..., None], self.panel.returns[np.maximum(places, 0)], np.float32(np.nan))
        return [*fields, (places >= 0).sum(axis=1, dtype=np.int32), returns]

    def places(self, windows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Returns the rows of each window and its history `(batch, history + window)`, -1 at padding, and which count."""
        start, end = windows.T
        begin = np.maximum(start - self.forecast.history, self.panel.first[start])
        width = self.forecast.history + self.forecast.window
        places, _ = padded_indices(begin, end - begin, width)
        return places, places >= start[:, None]


def forecasts(trainer: keras.Model, batches: WindowBatches) -> np.ndarray:
    """Returns the model's parameters for the chosen rows of a panel, float32 `(chosen, horizons, 5)`.

    Args:
        trainer: from `tasks.stock.model.trainer_of`.
        batches: over the panel.
    """
    (found,) = _over(batches, lambda inputs: [trainer.predict_on_batch(inputs)])
    return found


def inputs_of(parts: Submodels, batches: WindowBatches, units: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns what the LSTM reads of the chosen rows of a panel, float32 `(chosen, features)`, and the daily volatility.

    Args:
        parts: of the model.
        batches: over the panel.
        units: of the LSTM's last layer, whose outputs stand before the features in `hidden`.
    """

    def read(inputs: dict[str, np.ndarray]) -> list[np.ndarray]:
        memory = np.zeros((len(inputs["length"]), parts.state_size), np.float32)
        found = parts.days.predict_on_batch({**inputs, "state": memory})
        return [found["hidden"][..., units:], found["scale"]]

    features, scale = _over(batches, read)
    return features, scale


def _over(batches: WindowBatches, read: Callable[[dict[str, np.ndarray]], list[np.ndarray]]) -> list[np.ndarray]:
    """Returns what `read` makes of the chosen rows, each `(chosen, ...)`."""
    chosen = batches.panel.chosen
    rank = np.cumsum(chosen) - 1
    windows = batches.cut(np.zeros(len(batches.spans), np.int64))
    found: list[np.ndarray] = []
    for start in range(0, len(windows), ROWS):
        part = windows[start : start + ROWS]
        *fields, length, _ = batches.batch(part)
        places, counts = batches.places(part)
        counts &= chosen[np.maximum(places, 0)]
        answers = read({**dict(zip(FIELDS, fields, strict=True)), "length": length})
        found = found or [np.empty((int(chosen.sum()), *answer.shape[2:]), np.float32) for answer in answers]
        for values, answer in zip(found, answers, strict=True):
            values[rank[places[counts]]] = answer[counts]
    return found
