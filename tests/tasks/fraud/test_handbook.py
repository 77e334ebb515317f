"""The figures on the Handbook's simulated transactions, made again with the code and settings of the task's page."""

from __future__ import annotations

import dataclasses
from datetime import date

import pandas as pd
import pytest

from shared import workflow
from tasks.fraud import data
from tasks.fraud.config import PRESETS, ProtocolConfig
from tasks.fraud.train import TASK

FIRST_DAY = date(2018, 7, 25)


@pytest.fixture
def config(real_data, tmp_path):
    return dataclasses.replace(
        PRESETS["default"],
        data=str(real_data / "fraud" / "handbook-simulated" / "transactions.parquet"),
        protocol=ProtocolConfig(first_day=FIRST_DAY),
        output=str(tmp_path),
    )


def test_the_published_transactions_are_read_and_laid_out_as_the_book_does(config):
    splits = data.load(config)
    assert str(pd.to_datetime(splits.test["time"].max(), unit="s").date()) == "2018-08-14"
    assert splits.size("train") == pytest.approx(67_000, rel=0.01)
    judged = splits.test[splits.test["judged"]]
    assert len(judged) == 58_264  # counted by the book's own rule
    assert judged["fraud"].sum() == 385


@pytest.mark.slow
def test_the_model_is_ahead_of_every_baseline_on_average_precision(config):
    _, run = workflow.train(TASK, config, "lstm-suite train fraud")
    precision = {s.model: s.value for s in run.evaluation.scores if s.metric == "average_precision"}
    area = {s.model: s.value for s in run.evaluation.scores if s.metric == "roc_auc"}
    assert precision["exported"] >= 0.70
    assert precision["exported"] == max(precision.values())
    assert area["exported"] >= 0.88
    assert run.minutes <= 20
