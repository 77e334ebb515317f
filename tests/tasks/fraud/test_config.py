"""Invalid options are rejected when the configuration is built."""

from __future__ import annotations

import json
from datetime import date

import pytest

from shared.config import as_dict
from tasks.fraud.config import (
    PRESETS,
    ColumnsConfig,
    EvaluationConfig,
    FeaturesConfig,
    FraudSplitConfig,
    ModelConfig,
)


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: FraudSplitConfig(training_days=0), "--split.training-days"),
        (lambda: FraudSplitConfig(label_delay_days=0), "--split.label-delay-days"),  # 0: a row would know its own label
        (
            lambda: ColumnsConfig(numeric=("TX_AMOUNT",)),
            "--columns.amount and --columns.numeric must not name one column twice. Received: TX_AMOUNT",
        ),
        (lambda: ColumnsConfig(card="account", categorical=("card",)), "Rename the column"),
        (lambda: ColumnsConfig(numeric=("a/b",)), "Rename the column"),
        (lambda: FeaturesConfig(terminal_history_length=0), "--features.terminal-history-length"),
        (lambda: ModelConfig(hidden_dropout=1.0), "--model.hidden-dropout"),
        (lambda: ModelConfig(terminal_units=()), "--model.terminal-units .* Received: nothing"),
        (lambda: ModelConfig(terminal_units=(8, 0)), "--model.terminal-units .* Received: 8 0"),
        (lambda: EvaluationConfig(alerts_per_day=0), "--evaluation.alerts-per-day"),
    ],
)
def test_an_invalid_option_is_rejected_with_its_name(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_every_preset_can_be_saved_as_json():
    for config in PRESETS.values():
        saved = json.loads(json.dumps(as_dict(config)))
        assert saved["features"]["terminal_history_length"] == config.features.terminal_history_length
    assert as_dict(FraudSplitConfig(training_from=date(2018, 7, 25)))["training_from"] == "2018-07-25"


def test_the_model_has_valid_names_for_all_columns():
    columns = ColumnsConfig(numeric=("V1", "Größe"), categorical=("Use Chip", "Errors?", "金"))
    assert columns.numeric_fields == ("V1", "Grxf6xdfe")
    assert columns.categorical_fields == ("Use_Chip", "Errorsx3f", "x91d1")
    with pytest.raises(ValueError, match="Received: a b, a_b"):
        ColumnsConfig(numeric=("a b",), categorical=("a_b",))


def test_one_name_stands_for_one_column():
    assert ColumnsConfig(card="a", time="b", terminal="c") == ColumnsConfig(card=("a",), time=("b",), terminal=("c",))
    assert ColumnsConfig(terminal=()).terminal is None
    for columns in ({"card": ()}, {"time": ()}):
        with pytest.raises(ValueError, match="must name at least one column"):
            ColumnsConfig(**columns)


def test_lengths_are_days_or_whole_hours():
    assert FraudSplitConfig(training_days=0.5, test_days=0.3333).test_days == 0.3333
    with pytest.raises(ValueError, match=r"--split.training-days must be a number of days, or of whole hours"):
        FraudSplitConfig(training_days=0.03)
