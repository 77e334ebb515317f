"""Settings that cannot be meant are refused where they are made."""

from __future__ import annotations

import json
from datetime import date

import pytest

from shared.config import LSTMConfig, as_dict
from tasks.fraud.config import PRESETS, AlertsConfig, ColumnsConfig, FraudConfig, MemoryConfig, ProtocolConfig


@pytest.mark.parametrize(
    ("build", "complaint"),
    [
        (lambda: FraudConfig(lstm=LSTMConfig(bidirectional=True)), "as it comes"),
        (lambda: ProtocolConfig(training_days=0), "training_days"),
        (lambda: ProtocolConfig(delay_days=0), "delay_days"),  # a transaction would know its own label
        (lambda: ColumnsConfig(numeric=("TX_AMOUNT",)), "TX_AMOUNT twice"),
        (lambda: ColumnsConfig(card="account", categorical=("card",)), "rename the column"),
        (lambda: ColumnsConfig(numeric=("a/b",)), "rename the column"),
        (lambda: MemoryConfig(reports=0), "reports"),
        (lambda: MemoryConfig(dropout=1.0), "dropout"),
        (lambda: AlertsConfig(per_day=0), "per_day"),
    ],
)
def test_a_setting_out_of_range_is_refused(build, complaint):
    with pytest.raises(ValueError, match=complaint):
        build()


def test_every_preset_can_be_saved_with_its_model():
    for config in PRESETS.values():
        assert json.loads(json.dumps(as_dict(config)))["state"]["reports"] == config.memory.reports
    assert as_dict(ProtocolConfig(first_day=date(2018, 7, 25)))["first_day"] == "2018-07-25"
