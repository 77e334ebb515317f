"""Settings of the stock task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from typing import Literal

from shared.config import LSTMConfig, TaskConfig, TrainingConfig, require_at_least, require_fraction

SUMMARY = "Daily prices in, the distribution of the prices 1, 5 and 20 trading days ahead out."


@dataclass(frozen=True)
class TableConfig:
    """What a file looks like."""

    layout: Literal["long", "wide"] = "long"
    """long: a row for each ticker and day; wide: a row for each day, and in each column the closing prices of one ticker."""
    ticker: str | None = "Ticker"
    """Column of the ticker in a long table; None where the file holds but one."""
    date: str | None = "Date"
    """Column of the day, such as 2016-01-29; None takes the rows for consecutive days."""
    date_format: str | None = None
    """Such as %d.%m.%Y where days are not written in the ISO form."""
    open: str = "Open"
    """Column of the first price of the day; a file may do without."""
    high: str = "High"
    """Column of the highest price; a file may do without."""
    low: str = "Low"
    """Column of the lowest price; a file may do without."""
    close: str = "Close"
    """Column of the last price."""
    volume: str = "Volume"
    """Column of the shares traded; a file may do without."""
    adjusted_close: str = "Adj Close"
    """Column of the last price adjusted for splits and dividends; where there is one, all prices are adjusted alike."""
    period: str = "10y"
    """How far back to ask Yahoo Finance, such as 2y, 10y or max."""

    def __post_init__(self) -> None:
        names = (self.open, self.high, self.low, self.close, self.volume, self.adjusted_close, self.ticker, self.date)
        named = [name for name in names if name]
        twice = {name for name in named if named.count(name) > 1}
        if twice:
            raise ValueError(f"Each column has one meaning. Received: {', '.join(sorted(twice))} twice")


@dataclass(frozen=True)
class ForecastConfig:
    """What is forecast, and from how many days."""

    horizons: tuple[int, ...] = (1, 5, 20)
    """Trading days ahead, increasing."""
    quantiles: tuple[float, ...] = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
    """Levels that are served, increasing, in (0, 1)."""
    history: int = 128
    """Days that lead up to a window in training, and are asked for at least when a forecast is judged."""
    window: int = 64
    """Days of one training example whose forecasts count."""
    fewest: int = 20
    """Days that a ticker must have before a forecast of it is judged or learned from."""
    half_lives: tuple[float, ...] = (1.0, 3.0, 8.0, 20.0, 60.0)
    """Days after which a day's weight in the moving averages is half."""
    hidden_units: int = 64
    """Units of the layer between the LSTM and the distribution."""
    dropout: float = 0.2
    """Share of these set to zero in training, in [0, 1)."""
    middle: Literal["drift", "still", "reversion"] = "drift"
    """drift: the distribution's middle moves with time, the same for all days; still: it stays at the last price, and what is
    above mirrors what is below; reversion: it hangs, besides, on how far the price lies from its moving averages."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "history", "window", "fewest", "hidden_units")
        require_fraction(self, "dropout")
        for name in ("horizons", "quantiles", "half_lives"):
            values = getattr(self, name)
            if not values or min(values) <= 0 or list(values) != sorted(set(values)):
                raise ValueError(f"Expected `{name}` positive and increasing. Received: {name}={values}")
        if max(self.quantiles) >= 1:
            raise ValueError(f"Expected `quantiles` in (0, 1). Received: quantiles={self.quantiles}")


@dataclass(frozen=True)
class ProtocolConfig:
    """Which days train, which choose, and which judge, by the day that is forecast."""

    validation_from: date | None = None
    """First day that chooses the epoch and calibrates; by default, what `validation_fraction` gives."""
    test_from: date | None = None
    """First day that judges; by default, the last `test_fraction` of the days."""
    test_until: date | None = None
    """Last day that judges; by default, the last of all."""
    train_from: date | None = None
    """First day that trains; by default, the first of all. Days before it are read as history."""
    paths: tuple[int, ...] = ()
    """Days of the ways whose mean squared error is judged too, each at most the longest horizon."""

    def __post_init__(self) -> None:
        given = (self.train_from, self.validation_from, self.test_from, self.test_until)
        days = [day for day in given if day is not None]
        if days != sorted(days):
            raise ValueError(
                "Expected train_from, validation_from, test_from and test_until in this order. Received: "
                + ", ".join(str(day) for day in days)
            )


@dataclass(frozen=True)
class DirectionConfig:
    """Which days count when rise and fall of the next day are judged; a benchmark may leave small moves out."""

    rise: float = 0.0
    """A relative change of the close above this is a rise."""
    fall: float = 0.0
    """A relative change below minus this is a fall."""

    def __post_init__(self) -> None:
        require_fraction(self, "rise", "fall")


@dataclass(frozen=True)
class StockConfig(TaskConfig):
    """Settings of the stock task."""

    table: TableConfig = field(default_factory=TableConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    protocol: ProtocolConfig = field(default_factory=ProtocolConfig)
    direction: DirectionConfig = field(default_factory=DirectionConfig)

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.lstm.bidirectional:
            raise ValueError("A forecast sees the past alone. Received: bidirectional=True")
        if self.protocol.paths and not 1 <= min(self.protocol.paths) <= max(self.protocol.paths) <= max(
            self.forecast.horizons
        ):
            raise ValueError(
                "Expected `paths` from 1 to the longest of `horizons`. Received: "
                f"paths={self.protocol.paths}, horizons={self.forecast.horizons}"
            )


PRESETS = {
    "sample": StockConfig(
        lstm=LSTMConfig(units=(16,)),
        training=TrainingConfig(epochs=6, batch_size=32, learning_rate=5e-3, patience=3),
        forecast=ForecastConfig(hidden_units=16),
    ),
    "default": StockConfig(
        lstm=LSTMConfig(units=(32,)),
        training=TrainingConfig(epochs=15, batch_size=16, learning_rate=1e-3, patience=4),
    ),
    "large": StockConfig(
        lstm=LSTMConfig(units=(128, 128), dropout=0.2, residual=True),
        training=TrainingConfig(epochs=30, batch_size=64, learning_rate=1e-3, patience=5),
        forecast=ForecastConfig(history=256, window=128, hidden_units=128),
    ),
}
