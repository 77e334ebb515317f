"""Options of the toy task `dates`, with the sections that every task has."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from shared.config import LSTMConfig, Section, TaskConfig, TrainingConfig

SUMMARY = "Converts dates to ISO 8601."
INPUT = "date"
OUTPUT = "date in ISO 8601"
EXAMPLE_DATA = "dates.csv"
DATA_HELP = "Table of dates, or sample."


@dataclass(frozen=True)
class ColumnsConfig(Section):
    """Names of the columns in the data."""

    SECTION: ClassVar[str] = "columns"

    source: str = "source"
    """Column with the date."""
    target: str = "target"
    """Column with the date in ISO 8601."""


@dataclass(frozen=True)
class DatesConfig(TaskConfig):
    """All options."""

    columns: ColumnsConfig = field(default_factory=ColumnsConfig)
    lstm: LSTMConfig = field(default_factory=LSTMConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)


SAMPLE = DatesConfig(data="sample", training=TrainingConfig(epochs=12, learning_rate=1e-2, weight_decay=0.0))
PRESETS = {"sample": SAMPLE, "default": SAMPLE, "large": SAMPLE}
