"""Settings of the stock task and its presets. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import ClassVar, Literal

from shared import config as shared_config
from shared.config import (
    DefaultInt,
    LSTMConfig,
    Section,
    SplitConfig,
    TaskConfig,
    TrainingConfig,
    as_typed,
    option,
    require_at_least,
    require_different,
    require_fraction,
    require_time_format,
)

SUMMARY = "Forecasts the distribution of prices 1, 5 and 20 trading days ahead from daily prices."
INPUT = "daily prices"
OUTPUT = "distribution of the prices 1, 5 and 20 trading days ahead"
EXAMPLE_DATA = "yahoo:AAPL,MSFT"
DATA_HELP = (
    "Table of prices, tickers of Yahoo Finance such as yahoo:AAPL,MSFT, a data set of TensorFlow Datasets, or sample."
)
FIELDS = ("open", "high", "low", "close", "volume")
"""Values of a day that the model reads."""


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data. Only the close is required; ticker and time may be `None`."""

    SECTION: ClassVar[str] = "columns"

    layout: Literal["long", "wide"] = "long"
    """long: one row per ticker and day; wide: one row per day, and one column of closing prices per ticker."""
    ticker: str | None = "Ticker"
    """Column with the ticker in a long table; `None` if the file has only one."""
    time: str | None = "Date"
    """Column with the time or date; `None` if the rows are in time order without one."""
    time_format: str | None = None
    """Format of the times or dates, such as %d/%m/%Y %H:%M; by default, the whole column shows it."""
    open: str = "Open"
    """Column with the first price of the day."""
    high: str = "High"
    """Column with the highest price of the day."""
    low: str = "Low"
    """Column with the lowest price of the day."""
    close: str = "Close"
    """Column with the last price of the day."""
    volume: str = "Volume"
    """Column with the number of shares traded."""
    adjusted_close: str | None = "Adj Close"
    """Column with the last price adjusted for splits and dividends; if it exists, all prices are adjusted in proportion. `None` reads
    the prices as they are."""
    bars: Literal["daily", "original"] = "daily"
    """daily: several bars of one day become one; original: each row is a time step, and the horizons count rows."""

    def __post_init__(self) -> None:
        require_time_format(self, "time_format")
        require_different(self, "ticker", "time", "open", "high", "low", "close", "volume", "adjusted_close")


@dataclass(frozen=True)
class StockSplitConfig(SplitConfig):
    """How the data are divided into training, validation and test split. A row belongs to the split of the day that
    it forecasts; a given first day replaces the fraction."""

    EVALUATION_FIELDS: ClassVar[frozenset[str]] = frozenset({"test_from", "test_until"})

    training_from: date | None = None
    """First day of the training split, such as 2018-07-25."""
    validation_from: date | None = None
    """First day of the validation split, such as 2018-07-25."""
    test_from: date | None = None
    """First day of the test split, such as 2018-07-25."""
    test_until: date | None = None
    """Last day of the test split, such as 2018-07-25."""

    def __post_init__(self) -> None:
        super().__post_init__()
        days = {
            option(self, name): getattr(self, name)
            for name in ("training_from", "validation_from", "test_from", "test_until")
            if getattr(self, name) is not None
        }
        if list(days.values()) != sorted(days.values()):
            values = ", ".join(f"{name} {day}" for name, day in days.items())
            raise ValueError(f"The days must be in this order: {', '.join(days)}. Received: {values}")


@dataclass(frozen=True)
class FeaturesConfig(Section):
    """What the model reads. Each day is a time step."""

    SECTION: ClassVar[str] = "features"

    burn_in: int = 128
    """Time steps before each training window that set the initial LSTM state; they add nothing to the loss."""
    window_length: int = 64
    """Maximum number of time steps per training window that count in the loss."""
    min_history: int = 20
    """Days that a ticker must have before a forecast of it is trained or scored."""
    half_lives: tuple[float, ...] = (1.0, 3.0, 8.0, 20.0, 60.0)
    """Half-lives of the moving averages, in days, increasing."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "burn_in", "window_length", "min_history")
        _require_increasing(self, "half_lives")


@dataclass(frozen=True)
class ForecastConfig(Section):
    """What the model predicts."""

    SECTION: ClassVar[str] = "forecast"

    horizons: tuple[int, ...] = (DefaultInt(1), DefaultInt(5), DefaultInt(20))
    """Trading days ahead, increasing."""
    quantiles: tuple[float, ...] = (0.025, 0.1, 0.25, 0.5, 0.75, 0.9, 0.975)
    """Levels of the exported quantiles, increasing, in (0, 1)."""
    location: Literal["drift", "fixed", "reversion"] = "drift"
    """drift: the location changes with the horizon, equally on all days; fixed: it stays at the last price, without skew; reversion:
    it also depends on the distance of the price from its moving averages."""

    def __post_init__(self) -> None:
        _require_increasing(self, "horizons", "quantiles")
        if max(self.quantiles) >= 1:
            raise ValueError(f"{option(self, 'quantiles')} must be in (0, 1). Received: {as_typed(self.quantiles)}")


@dataclass(frozen=True)
class ModelConfig(Section):
    """The layers around the LSTM stack. They compute the parameters of the distribution."""

    SECTION: ClassVar[str] = "model"

    hidden_units: int = 64
    """Units of the hidden layer between the LSTM and the outputs."""
    hidden_dropout: float = 0.2
    """Dropout rate of the hidden layer, in [0, 1)."""

    def __post_init__(self) -> None:
        require_at_least(self, 1, "hidden_units")
        require_fraction(self, "hidden_dropout")


@dataclass(frozen=True)
class StockTrainingConfig(TrainingConfig):
    """Optimizer, epochs and random seed."""

    refit: bool = True
    """Train the exported model again on all days after the evaluation, with the best number of epochs; the scores are those of the model
    before, which did not see the test split."""


@dataclass(frozen=True)
class EvaluationConfig(Section):
    """What the report scores."""

    SECTION: ClassVar[str] = "evaluation"

    trajectory_days: tuple[int, ...] = ()
    """Lengths of price trajectories, in days, whose mean squared error is also reported; at most the longest horizon."""
    up_threshold: float = 0.0
    """Relative change of the close above which a day counts as up, in [0, 1); a benchmark may ignore small moves."""
    down_threshold: float = 0.0
    """Relative change of the close, with opposite sign, below which a day counts as down, in [0, 1)."""

    def __post_init__(self) -> None:
        require_fraction(self, "up_threshold", "down_threshold")


@dataclass(frozen=True)
class StockConfig(TaskConfig):
    """Settings of the stock task."""

    DOWNLOAD_FIELDS: ClassVar[frozenset[str]] = frozenset({"yahoo_period"})

    yahoo_period: str = "10y"
    """Period to download from Yahoo Finance, such as 2y, 10y or max."""
    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    split: StockSplitConfig = field(default_factory=StockSplitConfig)
    features: FeaturesConfig = field(default_factory=FeaturesConfig)
    forecast: ForecastConfig = field(default_factory=ForecastConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    training: StockTrainingConfig = field(default_factory=StockTrainingConfig)
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)

    def __post_init__(self) -> None:
        days, max_horizon = self.evaluation.trajectory_days, max(self.forecast.horizons)
        if days and not 1 <= min(days) <= max(days) <= max_horizon:
            raise ValueError(
                f"{option(self.evaluation, 'trajectory_days')} must be from 1 to the longest of "
                f"{option(self.forecast, 'horizons')}, {max_horizon}. Received: {as_typed(days)}"
            )


PLOT_FORMATS = (".png", ".svg", ".pdf")
"""Suffixes of the plots that `predict` can write."""


@dataclass(frozen=True)
class PredictOptions(shared_config.PredictOptions):
    """Options of `predict`, at the top level."""

    every_day: bool = False
    """Forecast after every row of the input and keep its columns; by default, one forecast per ticker after its newest day."""
    calendar: str | None = None
    """Calendar of the target dates: the code of an exchange, such as XNYS, or 24/5 for weekdays, or 24/7 for all days. By default, the
    calendar that fits the recent days of each ticker."""
    plot: Path | None = None
    """File for a plot of the forecasts after the newest days; its name ends in .png, .svg or .pdf."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.plot is not None and self.plot.suffix.lower() not in PLOT_FORMATS:
            formats = ", ".join(PLOT_FORMATS)
            raise ValueError(f"{option(self, 'plot')} must name a file that ends in {formats}. Received: {self.plot}")
        if self.calendar is not None:
            from tasks.stock.trading_days import require_calendar  # loads the calendars only if one is named

            object.__setattr__(self, "calendar", require_calendar(self.calendar))

    @property
    def needs_plot(self) -> bool:
        """True if the options ask for a plot of the predictions."""
        return self.plot is not None

    @property
    def output_files(self) -> dict[str, Path]:
        """Files that the command writes, by option."""
        return {**super().output_files, **({} if self.plot is None else {option(self, "plot"): self.plot})}


def _require_increasing(config: Section, *names: str) -> None:
    for name in names:
        values = getattr(config, name)
        if not values or min(values) <= 0 or list(values) != sorted(set(values)):
            raise ValueError(f"{option(config, name)} must be positive and increasing. Received: {as_typed(values)}")


PRESETS = {
    "sample": StockConfig(
        data="sample",
        model=ModelConfig(hidden_units=16),
        lstm=LSTMConfig(units=(16,)),
        training=StockTrainingConfig(epochs=6, batch_size=32, learning_rate=5e-3, patience=3),
    ),
    "default": StockConfig(
        lstm=LSTMConfig(units=(32,)),
        training=StockTrainingConfig(epochs=15, batch_size=16, learning_rate=1e-3, patience=4),
    ),
    "large": StockConfig(
        features=FeaturesConfig(burn_in=256, window_length=128),
        model=ModelConfig(hidden_units=128),
        lstm=LSTMConfig(units=(128, 128), dropout=0.2, residual=True),
        training=StockTrainingConfig(epochs=30, batch_size=64, learning_rate=1e-3, patience=5),
    ),
}
