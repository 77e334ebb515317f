"""Reads files and typed lines for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, cast

import numpy as np
import pandas as pd

from shared.data.chunks import convert_rows
from shared.data.columns import parse_json_lines, raise_where_empty
from shared.data.notices import add_notice
from shared.errors import DataError
from shared.task import Inputs, Readers, line_table, trained_config
from tasks.stock import data, prices
from tasks.stock.bars import ROW
from tasks.stock.config import ColumnsConfig, PredictOptions, StockConfig, StockSplitConfig
from tasks.stock.forecast_table import make_inputs


def read_records(config: StockConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a file of prices into the form of the test split; each day is forecast from the days before it.

    Days up to the last calibration are history and are not scored, unless the file has no later day, or no dates. `--split.test-from` and
    `--split.test-until` choose other days.

    Raises:
        DataError: the file cannot be used, or has no day that the options choose.
    """
    frame, _ = prices.read(config, source, _trained_columns(metadata))
    until, day = metadata.get("calibrated_until"), frame["day"].to_numpy()
    if config.split.test_from is not None or config.split.test_until is not None:
        return frame.assign(is_scored_row=_chosen_days(day, config.split, source, until))
    is_scored = np.ones(len(frame), bool)
    if until is not None and np.issubdtype(day.dtype, np.datetime64):
        is_later = day >= np.datetime64(until, "D") + 1
        if not is_later.any():
            message = f"{source}: the model was trained or calibrated on all days, so the scores are too good."
            add_notice(message, hint=f"Use days after {until}, or train with --training.no-refit.")
        is_scored = is_later if is_later.any() else is_scored
    return frame.assign(is_scored_row=is_scored)


def _chosen_days(day: np.ndarray, split: StockSplitConfig, source: str, calibrated_until: str | None) -> np.ndarray:
    """Returns the rows that the options choose, bool `(rows,)`."""
    if not np.issubdtype(day.dtype, np.datetime64):
        raise DataError(f"{source}: the data have no dates, so --split cannot name a day.")
    is_chosen = np.ones(len(day), bool)
    if split.test_from is not None:
        is_chosen &= day >= np.datetime64(split.test_from, "D")
    if split.test_until is not None:
        is_chosen &= day < np.datetime64(split.test_until, "D") + 1
    if not is_chosen.any():
        raise DataError(
            f"{source}: the days are {str(day.min())[:10]} to {str(day.max())[:10]}; none is chosen by --split.test-from "
            f"{split.test_from} and --split.test-until {split.test_until}."
        )
    if calibrated_until is not None and (day[is_chosen] < np.datetime64(calibrated_until, "D") + 1).any():
        add_notice(
            f"{source}: the model was trained or calibrated on the days until {calibrated_until}, so the scores of these days are too "
            "good.",
            hint="Name a later day with --split.test-from, or train with --training.no-refit.",
        )
    return is_chosen


def read_inputs(
    config: StockConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the days of a file for `predict`; they are read together, so that the rows of one ticker are its history.

    A row that training would drop gets no forecast, and several bars of a day get one.

    Raises:
        DataError: the file cannot be read, a column is missing, a row has an invalid value, or no row has a close.
    """
    frame, config = prices.read_rows(config, source, _trained_columns(metadata))
    frame = frame if ROW in frame else frame.assign(**{ROW: np.arange(1, len(frame) + 1)})
    converted = convert_rows(frame, lambda rows: prices.convert_inputs(rows, config, source), options.skips_errors)
    if converted[0] is not None and converted[0].empty:
        raise DataError(f"{source}: no row has a close above 0. Give at least one price.")
    yield make_inputs(frame, frame, converted, config.columns, source, options)


def parse_inputs(
    config: StockConfig, lines: Sequence[str], metadata: dict[str, Any], options: PredictOptions
) -> Inputs:
    """Converts lines, each a JSON object with the columns of one ticker and day, like the rows of a file (see `read_inputs`).

    Raises:
        DataError: a line is not a JSON object, lacks a column, or has an invalid value; the close is required.
    """
    columns = config.columns

    def convert(frame: pd.DataFrame) -> pd.DataFrame:
        records = prices.convert_all(frame, config, "input")
        is_empty = records.set_index(prices.POSITION)["close"].sort_index().isna()
        raise_where_empty(is_empty, frame[columns.close], "input")
        return records

    frame = parse_json_lines(lines, list(prices.required_columns(columns)))
    converted = convert_rows(frame, convert, options.skips_errors)
    return make_inputs(line_table(lines), frame, converted, columns, "input", options)


def read_newer(config: StockConfig, metadata: dict[str, Any]) -> tuple[pd.DataFrame, StockConfig]:
    """Reads the prices for `tasks.stock.recalibration.recalibrate`, and returns the configuration with the columns that were read.

    Raises:
        DataError: the prices cannot be used, or are not newer than the calibration of the model.
    """
    frame, _, config = data.read_all(config)
    _require_newer(frame["day"].max(), metadata, config)
    return frame, config


def _trained_columns(metadata: dict[str, Any]) -> ColumnsConfig:
    return cast("StockConfig", trained_config(metadata)).columns


def _require_newer(last: Any, metadata: dict[str, Any], config: StockConfig) -> None:
    """Raises a `DataError` if the prices end before those of the last calibration; rows without dates are not checked."""
    until = metadata.get("calibrated_until")
    if until is not None and isinstance(last, pd.Timestamp) and str(last)[:10] < until:
        raise DataError(
            f"{config.data}: the prices end on {str(last)[:10]}, but the model was calibrated on prices until {until}. Use newer "
            "prices."
        )


READERS = Readers(read_inputs, read_records, parse_inputs, read_newer=read_newer)
