"""Reads daily prices from any source and divides them by days into training, validation and test split."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd

from shared.config import option
from shared.data.notices import add_notice
from shared.data.sources import Origin, Splits, load_source, sha256_records
from shared.data.tfds import read_tfds
from shared.errors import DataError
from tasks.stock import prices, sample, yahoo
from tasks.stock.calibration import notice_few_periods
from tasks.stock.config import ColumnsConfig, StockConfig, StockSplitConfig


def load(config: StockConfig) -> Splits:
    """Reads the prices and divides them by the day that is forecast.

    Returns:
        Splits whose tables hold all rows from the start of the data to the last day of the split, because a forecast reads earlier days,
        sorted by ticker and day. Columns: `ticker`, `day`, `open`, `high`, `low`, `close`, `volume` and `is_scored_row`, True on the
        days that are forecast. A forecast whose horizon ends after its split does not count: no price of the validation split is an
        outcome in training.

    Raises:
        DataError: a file cannot be used (see `tasks.stock.prices.read`), or a split has too few days.
    """
    frame, origin, config = read_all(config)
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
    until = _as_day(split.test_until, days) if split.test_until else days[-1]
    days = days[days <= until]
    if not len(days):
        raise DataError(f"{config.data}: there is no day up to --split.test-until {split.test_until}.")
    fitted = _fit_lengths(len(days), config)
    length = fitted[1] if fitted else max(1, round(len(days) * split.test_fraction))
    test = _as_day(split.test_from, days) if split.test_from else days[-length]
    earlier = days[days < test]
    if split.validation_from:
        validation = _as_day(split.validation_from, days)
    else:
        count = fitted[0] if fitted else max(1, round(len(earlier) * split.validation_fraction))
        validation = earlier[-count] if len(earlier) >= count else test
    return validation, test, until


def _fit_lengths(days: int, config: StockConfig) -> tuple[int, int] | None:
    """Returns how many days the validation and the test split need for the longest horizon, with a notice, if the default fractions give
    fewer; None if they are long enough, if the user chose a split, or if too few days remain for training."""
    needed = max(config.forecast.horizons)
    is_default = config.split == dataclasses.replace(StockSplitConfig(), test_until=config.split.test_until)
    validation = round((days - round(days * config.split.test_fraction)) * config.split.validation_fraction)
    if not is_default or validation >= needed or days < _min_days(config):
        return None
    test = max(needed, round(days * config.split.test_fraction))
    if days - test - needed < needed + config.features.min_history:
        test = needed
    add_notice(
        f"{config.data}: {days} days are few for the default fractions. The split is fitted to them: {days - test - needed} training, "
        f"{needed} validation and {test} test days.",
        hint="Use more days, or choose the split with --split.validation-from and --split.test-from.",
    )
    return needed, test


def _min_days(config: StockConfig) -> int:
    """Returns the number of days with which each split has an outcome of the longest horizon."""
    return 3 * max(config.forecast.horizons) + config.features.min_history


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


def _split_by_days(frame: pd.DataFrame, config: StockConfig, origin: Origin) -> Splits:
    days = np.unique(frame["day"].to_numpy())
    validation, test, until = split_boundaries(days, config)
    start = _as_day(config.split.training_from, days) if config.split.training_from else days[0]
    spans = {"train": (start, validation), "validation": (validation, test), "test": (test, None)}
    splits, sizes = {}, {}
    for name, (begin, end) in spans.items():
        table = frame[frame["day"] < end] if end is not None else frame[frame["day"] <= until]
        splits[name] = table.assign(is_scored_row=table["day"] >= begin).reset_index(drop=True)
        sizes[name] = int(splits[name]["is_scored_row"].sum())
        count = len(np.unique(table["day"].to_numpy()[table["day"] >= begin]))
        needed = max(config.forecast.horizons) + (config.features.min_history if name == "train" else 0)
        if count < needed:
            raise DataError(
                f"{config.data}: the {name} split has {count} days; {needed} are needed. Use at least {_min_days(config)} days, or "
                "change --split.training-from, --split.validation-from and --split.test-from, or use shorter --forecast.horizons."
            )
    description = (
        f"by the day that is forecast: training from {_format_day(start)}, validation from {_format_day(validation)}, test from "
        f"{_format_day(test)} to {_format_day(until)}; no forecast extends beyond the end of its split"
    )
    origin = dataclasses.replace(origin, split_description=description)
    return Splits(**splits, origin=origin, sizes=sizes, config=config)


def _as_day(value: object, days: np.ndarray) -> np.generic:
    return np.datetime64(str(value)).astype(days.dtype)


def _format_day(day: np.generic) -> str:
    return str(day)[:10]
