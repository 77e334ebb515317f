"""Plot of the forecasts of `predict`: the last days of each ticker, and the distribution of its next prices."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pandas as pd

from shared.data.notices import add_notice, mute_notices
from shared.evaluation.plots import new_figure, save
from shared.task import Inputs, Predictions, trained_config
from tasks.stock.bars import FILE_CLOSE
from tasks.stock.config import ForecastConfig, PredictOptions, StockConfig
from tasks.stock.forecast_table import forecast_rows, format_day
from tasks.stock.trading_days import target_days

HISTORY = 60  # days before the forecast
MAX_TICKERS = 4  # panels of a plot


def draw(inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions) -> None:
    """Draws the forecasts after the newest day of the first tickers to the file of `--plot`, one panel per ticker.

    Args:
        inputs: from `tasks.stock.serving.read_inputs` or `parse_inputs`.
        predictions: from `tasks.stock.serving.predict`.
        metadata: metadata of the model.
        options: options of `predict`.
    """
    assert options.plot is not None
    forecast = cast("StockConfig", trained_config(metadata)).forecast
    records, rows = inputs.records, forecast_rows(inputs.records, options)
    is_newest = ~records.duplicated("ticker", keep="last").to_numpy()[rows]
    newest = np.flatnonzero(is_newest)[:MAX_TICKERS]
    if is_newest.sum() > MAX_TICKERS:
        add_notice(f"The plot shows the first {MAX_TICKERS} of {is_newest.sum()} tickers.")
    with mute_notices():  # the table has the same days
        targets = target_days(records, rows[newest], forecast.horizons, options.calendar)
    figure, axes = new_figure(len(newest), width=8 if len(newest) == 1 else 5.5)
    for axis, k, days in zip(axes, newest, targets, strict=True):
        last = records.iloc[rows[k]]
        history = records[records["ticker"] == last["ticker"]].tail(HISTORY)
        _draw_ticker(axis, history, predictions["price_quantiles"][k], days, forecast)
    axes[0].set_ylabel("price")
    axes[0].legend(loc="upper left", fontsize=8)
    save(figure, options.plot.expanduser())


def _draw_ticker(
    axis: Any, history: pd.DataFrame, quantiles: np.ndarray, targets: np.ndarray, forecast: ForecastConfig
) -> None:
    """Draws one panel.

    Args:
        axis: Matplotlib axes.
        history: last days of the ticker.
        quantiles: prices `(horizons, quantiles)` in the unit of the close in the file.
        targets: days that are forecast `(horizons,)`; NaT if unknown, and then the horizontal axis counts rows.
        forecast: horizons and levels of the quantiles.
    """
    last = history.iloc[-1]
    close = history["close"].to_numpy() * (last[FILE_CLOSE] / last["close"])
    has_dates = not np.isnat(targets).any()
    if has_dates:
        past, start, future = history["day"].to_numpy(), history["day"].iloc[-1:].to_numpy(), targets
        axis.tick_params(axis="x", rotation=30)
    else:
        past, start, future = np.arange(1 - len(close), 1), np.zeros(1), np.asarray(forecast.horizons)
        axis.set_xlabel("rows after the newest one")
    axis.plot(past, close, color="black", label="close")
    steps = np.concatenate([start, future.astype(start.dtype)])
    fan = np.concatenate([np.full((1, quantiles.shape[1]), close[-1]), quantiles])
    levels = forecast.quantiles
    bands = [(low, levels.index(high)) for low in range(len(levels)) for high in levels if _is_band(levels[low], high)]
    for k, (low, high) in enumerate(bands):
        label = f"{levels[high] - levels[low]:.0%} interval"
        axis.fill_between(steps, fan[:, low], fan[:, high], color="tab:blue", alpha=0.2 + 0.1 * k, label=label, lw=0)
    if 0.5 in levels:
        axis.plot(steps, fan[:, levels.index(0.5)], color="tab:blue", label="median")
    day, has_forecast = format_day(last["day"]), np.isfinite(quantiles).any()
    title = f"{last['ticker']}, forecast after {day}" if day else f"{last['ticker']}, forecast"
    axis.set_title(title if has_forecast else f"{last['ticker']}: no forecast")


def _is_band(low: float, high: float) -> bool:
    """Returns True if two levels are the limits of a central interval."""
    return low < high and bool(np.isclose(low + high, 1))
