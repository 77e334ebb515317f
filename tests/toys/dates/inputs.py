"""Reads files for an exported model, without importing TensorFlow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd

from shared.config import PredictOptions
from shared.inputs import read_independent_inputs
from shared.task import Inputs, Readers
from tests.toys.dates import data
from tests.toys.dates.config import DatesConfig


def read_records(config: DatesConfig, source: str, metadata: dict[str, Any]) -> pd.DataFrame:
    """Reads a table of dates and their ISO forms."""
    return data.read_records(config, source)


def read_inputs(
    config: DatesConfig, source: str, metadata: dict[str, Any], options: PredictOptions
) -> Iterator[Inputs]:
    """Reads the dates of a table."""
    return read_independent_inputs(source, config.columns.source, "--columns.source", list, options)


READERS = Readers(read_inputs, read_records)
