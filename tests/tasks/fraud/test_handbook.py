"""The scores on the simulated transactions of the Fraud Detection Handbook can be reproduced with the settings in the README."""

from __future__ import annotations

import dataclasses
from datetime import date

import pandas as pd
import pytest

from shared import workflow
from tasks.fraud import data
from tasks.fraud.config import PRESETS, FraudSplitConfig
from tasks.fraud.train import TASK

TRAINING_FROM = date(2018, 7, 25)


@pytest.fixture
def config(real_data, tmp_path):
    return dataclasses.replace(
        PRESETS["default"],
        data=str(real_data / "fraud" / "handbook-simulated" / "transactions.parquet"),
        split=FraudSplitConfig(training_from=TRAINING_FROM),
        output=str(tmp_path),
    )


def test_the_published_transactions_are_split_as_in_the_handbook(config):
    splits = data.load(config)
    assert str(pd.to_datetime(splits.test["time"].max(), unit="s").date()) == "2018-08-14"
    assert splits.size("train") == pytest.approx(67_000, rel=0.01)
    scored_rows = splits.test[splits.test["is_scored_row"]]
    assert len(scored_rows) == 58_264  # counted by the rule of the Handbook
    assert scored_rows["fraud"].sum() == 385


@pytest.mark.slow
def test_the_exported_model_has_a_higher_average_precision_than_every_baseline(config):
    _, run = workflow.train(TASK, config, "lstm-suite train fraud")
    average_precision = {s.model: s.value for s in run.evaluation.scores if s.metric == "average_precision"}
    roc_auc = {s.model: s.value for s in run.evaluation.scores if s.metric == "roc_auc"}
    assert average_precision["exported"] >= 0.70
    assert average_precision["exported"] == max(average_precision.values())
    assert roc_auc["exported"] >= 0.88
    assert run.minutes <= 20
