"""Daily prices from any source, and which days train, which choose, and which judge."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from shared import sources
from shared.errors import DataError
from shared.sources import Origin, Splits
from tasks.stock import prices, sample, yahoo
from tasks.stock.config import StockConfig


def load(config: StockConfig) -> Splits:
    """Reads the prices and parts them by the day that is forecast.

    Returns:
        Splits whose tables hold all rows from the beginning to the split's last day, since a forecast reads what came
        before, sorted by ticker and day: columns `ticker`, `day`, `open`, `high`, `low`, `close`, `volume` and `judged`,
        True on the days that are forecast. A forecast of more days than are left to the split's end counts nowhere: no
        price of validation is an answer in training.

    Raises:
        DataError: a file cannot be used (see `tasks.stock.prices.read`), or a split holds too few days.
    """
    for name in ("validation_data", "test_data", "group_column"):
        if value := getattr(config, name):
            raise DataError(
                f"--{name.replace('_', '-')} {value}: the stock task splits one file by days; see "
                "--protocol.validation-from and --protocol.test-from. Leave it out."
            )
    frame, origin = read_all(config)
    return _by_days(frame, config, origin)


def boundaries(days: np.ndarray, config: StockConfig) -> tuple[np.generic, np.generic, np.generic]:
    """Returns the first day of validation, the first and the last of test.

    Args:
        days: all days that occur, increasing.
        config: the task's settings.
    """
    protocol = config.protocol
    dated = np.issubdtype(days.dtype, np.datetime64)
    if not dated and any((protocol.train_from, protocol.validation_from, protocol.test_from, protocol.test_until)):
        raise DataError(f"{config.data}: has no dates, so --protocol days cannot be found in it. Use the fractions.")
    until = _day(protocol.test_until, days) if protocol.test_until else days[-1]
    days = days[days <= until]
    if not len(days):
        raise DataError(f"{config.data}: has no day up to --protocol.test-until {protocol.test_until}.")
    count = len(days)
    test = _day(protocol.test_from, days) if protocol.test_from else days[-max(1, round(count * config.test_fraction))]
    before = days[days < test]
    if protocol.validation_from:
        validation = _day(protocol.validation_from, days)
    else:
        kept = max(1, round(len(before) * config.validation_fraction))
        validation = before[-kept] if len(before) >= kept else test
    return validation, test, until


def read_all(config: StockConfig) -> tuple[pd.DataFrame, Origin]:
    """Reads the prices of any source, sorted by ticker and day, and tells where they come from (see `load`)."""
    source = config.data
    if source == "sample":
        frame, name, licence = prices.tidy(sample.prices(), config, source), "sample", sample.LICENCE
        location, digest = sample.LOCATION, sources.sha256_records(frame)
    elif source.startswith(yahoo.PREFIX):
        frame = prices.tidy(yahoo.download(source, config.table.period), config, source)
        name, licence = "yahoo", "Yahoo's terms of use: for your own use"
        location, digest = f"Yahoo Finance, {config.table.period}", sources.sha256_records(frame)
    elif sources.is_path(source):
        frame, licence = prices.read(config, source), sources.USER_FILE_LICENCE
        name, location = Path(source).expanduser().resolve().parent.name, Path(source).name
        digest = sources.sha256(source)
    else:
        table = config.table
        wanted = {column: column for column in (table.ticker, table.date, table.close) if column}
        tables, info = sources.read_tfds(source, wanted)
        frame = prices.tidy(pd.concat(tables.values(), ignore_index=True), config, source)
        name, licence = info.name, info.redistribution_info.license or "not stated"
        location, digest = info.full_name, sources.sha256_records(frame)
    return frame, Origin(name, location, digest, licence, split_description="")


def _by_days(frame: pd.DataFrame, config: StockConfig, origin: Origin) -> Splits:
    days = np.unique(frame["day"].to_numpy())
    validation, test, until = boundaries(days, config)
    start = _day(config.protocol.train_from, days) if config.protocol.train_from else days[0]
    spans = {"train": (start, validation), "validation": (validation, test), "test": (test, None)}
    splits, sizes = {}, {}
    for name, (begin, end) in spans.items():
        part = frame[frame["day"] < end] if end is not None else frame[frame["day"] <= until]
        splits[name] = part.assign(judged=part["day"] >= begin).reset_index(drop=True)
        sizes[name] = int(splits[name]["judged"].sum())
        found = len(np.unique(part["day"].to_numpy()[part["day"] >= begin]))
        needed = max(config.forecast.horizons) + (config.forecast.fewest if name == "train" else 0)
        if found < needed:
            raise DataError(
                f"{config.data}: {found} days of {name} are too few, {needed} are needed. Give more days, or move "
                "--protocol.train-from, --protocol.validation-from and --protocol.test-from, or forecast fewer with "
                "--forecast.horizons."
            )
    how = (
        f"by the day that is forecast: training from {_text(start)}, validation from {_text(validation)}, test from {_text(test)} to {_text(until)}; "
        "no forecast reaches over the end of its split"
    )
    return Splits(
        **splits, origin=Origin(origin.name, origin.location, origin.sha256, origin.licence, how), sizes=sizes
    )


def _day(value: object, days: np.ndarray) -> np.generic:
    return np.datetime64(str(value)).astype(days.dtype)


def _text(day: np.generic) -> str:
    return str(day)[:10]
