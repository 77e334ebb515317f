"""Errors name the option as typed; a section can be restored from the metadata of a model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import pytest

from shared.config import (
    LSTMConfig,
    OutputConfig,
    Section,
    SplitConfig,
    TrainingConfig,
    option,
    require_at_least,
    require_different,
    restore_section,
)
from tasks.stock.config import ColumnsConfig as StockColumns


@dataclass(frozen=True)
class DecodingConfig(Section):
    SECTION: ClassVar[str] = "decoding"

    name: str = "a"
    levels: tuple[float, ...] = (0.5,)
    beam_width: int | None = None


def test_a_section_is_restored_from_the_json_values_of_the_metadata():
    assert restore_section(DecodingConfig(name="c"), {"levels": [0.1, 0.9]}) == DecodingConfig("c", (0.1, 0.9))
    with pytest.raises(TypeError, match="window"):
        restore_section(DecodingConfig(), {"window": 3})


def test_option_is_the_name_as_typed_on_the_command_line():
    assert option(TrainingConfig(), "batch_size") == "--training.batch-size"
    assert option(OutputConfig(), "output") == "--output"


@pytest.mark.parametrize(
    ("section", "values", "message"),
    [
        (TrainingConfig, {"epochs": 0}, "--training.epochs must be at least 1. Received: 0"),
        (TrainingConfig, {"learning_rate": 0.0}, "--training.learning-rate must be greater than 0. Received: 0.0"),
        (TrainingConfig, {"ema_decay": 1.0}, r"--training.ema-decay must be in \[0, 1\). Received: 1.0"),
        (LSTMConfig, {"units": ()}, "--lstm.units must have one positive number per layer. Received: nothing"),
        (SplitConfig, {"test_fraction": 1.0}, r"--split.test-fraction must be in \(0, 1\). Received: 1.0"),
        (SplitConfig, {"validation_fraction": 0.0}, r"--split.validation-fraction must be in \(0, 1\). Received: 0.0"),
    ],
)
def test_value_out_of_range_raises_an_error_that_names_the_option(section, values, message):
    with pytest.raises(ValueError, match=f"^{message}$"):
        section(**values)


def test_different_fields_must_not_hold_the_same_value():
    require_different(DecodingConfig(name="", beam_width=None, levels=(0.1, 0.2)), "name", "levels", "beam_width")
    with pytest.raises(
        ValueError, match=r"^--decoding\.name and --decoding\.levels must not name one column twice\. Received: a$"
    ):
        require_different(DecodingConfig(levels=("b", "a")), "name", "levels")
    with pytest.raises(ValueError, match=r"^--decoding\.levels must not name one column twice\. Received: 0\.1$"):
        require_different(DecodingConfig(levels=(0.1, 0.1)), "levels")


def test_none_is_not_checked_against_a_minimum():
    require_at_least(DecodingConfig(), 1, "beam_width")
    with pytest.raises(ValueError, match=r"--decoding\.beam-width"):
        require_at_least(DecodingConfig(beam_width=0), 1, "beam_width")


@pytest.mark.parametrize("value", ["%d/%m/%Q", "today", "", "%"])
def test_an_invalid_time_format_is_an_error_that_names_the_option(value):
    with pytest.raises(ValueError, match=r"--columns.time-format must be a format such as %d/%m/%Y"):
        StockColumns(time_format=value)
    assert StockColumns(time_format="%d/%m/%Y").time_format == "%d/%m/%Y"
