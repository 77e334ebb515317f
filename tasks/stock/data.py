"""Reads daily prices from any source and divides them by days into training, validation and test split."""

from __future__ import annotations

import dataclasses
from typing import Any, cast

import numpy as np
import pandas as pd

from shared.config import is_default, option
from shared.data.notices import add_notice
from shared.data.sources import Origin, Splits, load_source, sha256_records
from shared.data.tfds import read_tfds
from shared.errors import DataError
from tasks.stock import prices, sample, yahoo
from tasks.stock.calibration import notice_few_periods
from tasks.stock.config import ColumnsConfig, StockConfig


def load(config: StockConfig) -> Splits:
    """Reads the prices and divides them by the day that is forecast.

    Returns:
        Splits whose tables hold all rows from the start of the data to the last day of the split, because a forecast reads earlier days,
        sorted by ticker and day. Columns: `ticker`, `day`, `open`, `high`, `low`, `close`, `volume` and `is_scored_row`, True on the
        days that are forecast. A forecast whose horizon ends after its split does not count: no price of the validation split is an
        outcome in training. `config` holds the columns that were read, and default horizons that were shortened to fit few days.

    Raises:
        DataError: a file cannot be used (see `tasks.stock.prices.read`), or a split has too few days.
    """
    frame, origin, config = read_all(config)
    config = _fit_horizons(frame, config)
    notice_few_periods(config.data, frame["day"].to_numpy(), config.forecast.horizons)
    return _split_by_days(frame, config, origin)


def split_boundaries(days: np.ndarray, config: StockConfig) -> tuple[np.generic, np.generic, np.generic]:
    """Returns the first day of the validation split, and the first and the last day of the test split.

    Args:
        days: all days of the data, increasing.
        config: settings of the task.

    Raises:
        DataError: `--split` names a day, but the data have no dates, or end before it.
    """
    split = config.split
    has_dates = np.issubdtype(days.dtype, np.datetime64)
    if not has_dates and any((split.training_from, split.validation_from, split.test_from, split.test_until)):
        raise DataError(
            f"{config.data}: the data have no dates, so --split cannot name a day. Use --split.test-fraction and "
            "--split.validation-fraction."
        )
    until: Any = _as_day(split.test_until, days) if split.test_until else days[-1]
    if split.test_until and has_dates:
        until = until + np.timedelta64(1, "D") - np.timedelta64(1, "s")  # bars of this day belong to it
    days = days[days <= until]
    if not len(days):
        raise DataError(f"{config.data}: there is no day up to --split.test-until {split.test_until}.")
    test = _as_day(split.test_from, days) if split.test_from else days[-max(1, round(len(days) * split.test_fraction))]
    earlier = days[days < test]
    if split.validation_from:
        validation = _as_day(split.validation_from, days)
    else:
        count = max(1, round(len(earlier) * split.validation_fraction))
        validation = earlier[-count] if len(earlier) >= count else test
    return validation, test, until


def read_all(config: StockConfig) -> tuple[pd.DataFrame, Origin, StockConfig]:
    """Reads the prices of any source, sorted by ticker and day, describes the source (see `load`), and returns the configuration with
    the columns that were read."""
    return load_source(
        config,
        sample=lambda: _read_sample(config),
        files=lambda: _read_file(config),
        tfds=lambda: _read_tfds(config),
        named={yahoo.PREFIX: lambda _: _read_yahoo(config)},
    )


def _read_file(config: StockConfig) -> tuple[pd.DataFrame, Origin, StockConfig]:
    frame, config = prices.read(config, config.data)
    return frame, Origin.of_files([config.data]), config


def _read_sample(config: StockConfig) -> tuple[pd.DataFrame, Origin, StockConfig]:
    frame = prices.convert(sample.prices(), config, config.data)
    return frame, Origin.of_sample(sample.LOCATION, sha256_records(frame), licence=sample.LICENCE), config


def _read_yahoo(config: StockConfig) -> tuple[pd.DataFrame, Origin, StockConfig]:
    own_columns = dataclasses.replace(config, columns=ColumnsConfig())  # those of Yahoo, whatever files have
    frame = prices.convert(yahoo.download(config.data, config.yahoo_period), own_columns, config.data)
    location, licence = f"Yahoo Finance, {config.yahoo_period}", "Yahoo's terms of use: for your own use"
    return frame, Origin("yahoo", location, sha256_records(frame), licence, split_description=""), config


def _read_tfds(config: StockConfig) -> tuple[pd.DataFrame, Origin, StockConfig]:
    names = [name for name in ("ticker", "time", "close") if getattr(config.columns, name)]
    options = {getattr(config.columns, name): option(config.columns, name) for name in names}
    tables, info = read_tfds(config.data, {column: column for column in options}, options)
    frame = prices.convert(pd.concat(tables.values(), ignore_index=True), config, config.data)
    return frame, Origin.of_tfds(info, sha256_records(frame)), config


def _fit_horizons(frame: pd.DataFrame, config: StockConfig) -> StockConfig:
    """Returns the configuration without the default horizons that are too long for the data, which a notice names."""
    horizons = config.forecast.horizons
    if not is_default(horizons):
        return config
    days = np.unique(frame["day"].to_numpy())
    for count in range(len(horizons), 0, -1):
        fitted = dataclasses.replace(config, forecast=dataclasses.replace(config.forecast, horizons=horizons[:count]))
        if _find_short_split(days, fitted) is None:
            break
    else:
        return config
    if count < len(horizons):
        left_out = " and ".join(map(str, horizons[count:]))
        add_notice(
            f"{config.data}: {len(days)} days are too few for forecasts of {left_out} days, which are left out. Scores and intervals from so "
            "few days are largely chance.",
            hint="Use more days, or name shorter --forecast.horizons.",
        )
    return fitted


def _find_short_split(days: np.ndarray, config: StockConfig) -> tuple[str, int, int] | None:
    """Returns the name of a split with too few days, their number and the number that it needs; None if there is none."""
    for name, (begin, end) in _spans(days, config).items():
        count = int(((days >= begin) & (days < end)).sum())
        needed = max(config.forecast.horizons) + (config.features.min_history if name == "train" else 0)
        if count < needed:
            return name, count, needed
    return None


def _spans(days: np.ndarray, config: StockConfig) -> dict[str, tuple[Any, Any]]:
    """Returns the first day of each split and the day after its last one."""
    validation, test, until = cast("tuple[Any, Any, Any]", split_boundaries(days, config))
    start = _as_day(config.split.training_from, days) if config.split.training_from else days[0]
    return {"train": (start, validation), "validation": (validation, test), "test": (test, until + 1)}


def _split_by_days(frame: pd.DataFrame, config: StockConfig, origin: Origin) -> Splits:
    days = np.unique(frame["day"].to_numpy())
    short = _find_short_split(days, config)
    if short is not None:
        name, count, needed = short
        raise DataError(
            f"{config.data}: the {name} split has {count} days; {needed} are needed. Use more days, or change "
            "--split.training-from, --split.validation-from and --split.test-from, or use shorter --forecast.horizons."
        )
    spans = _spans(days, config)
    splits, sizes = {}, {}
    for name, (begin, end) in spans.items():
        table = frame[frame["day"] < end]
        splits[name] = table.assign(is_scored_row=table["day"] >= begin).reset_index(drop=True)
        sizes[name] = int(splits[name]["is_scored_row"].sum())
    (start, validation), (_, test), (_, until) = spans.values()
    description = (
        f"by the day that is forecast: training from {_format_day(start)}, validation from {_format_day(validation)}, test from "
        f"{_format_day(test)} to {_format_day(until - 1)}; no forecast extends beyond the end of its split"
    )
    origin = dataclasses.replace(origin, split_description=description)
    return Splits(**splits, origin=origin, sizes=sizes, config=config, display={"is_scored_row": None})


def _as_day(value: object, days: np.ndarray) -> np.generic:
    return np.datetime64(str(value)).astype(days.dtype)


def _format_day(day: np.generic) -> str:
    return str(day)[:10]
