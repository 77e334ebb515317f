"""Scores on real stocks, with the settings of the README of the task."""

from __future__ import annotations

import dataclasses
from datetime import date

import numpy as np
import pytest

from shared import workflow
from tasks.stock import data
from tasks.stock.batches import build_panel
from tasks.stock.config import PRESETS, ColumnsConfig, EvaluationConfig, StockSplitConfig
from tasks.stock.scores import direction_confusion
from tasks.stock.train import TASK


@pytest.fixture
def kdd17(real_data, tmp_path):
    return dataclasses.replace(
        PRESETS["default"],
        data=str(real_data / "stock" / "kdd17" / "ohlcv.csv.xz"),
        split=StockSplitConfig(validation_from=date(2015, 1, 2), test_from=date(2016, 1, 4)),
        evaluation=EvaluationConfig(up_threshold=0.0055, down_threshold=0.005),
        output=str(tmp_path),
    )


@pytest.fixture
def djia(real_data, tmp_path):
    return dataclasses.replace(
        PRESETS["default"],
        data=str(real_data / "stock" / "djia31-2006-2017" / "ohlcv.csv.xz"),
        columns=ColumnsConfig(ticker="Name"),
        split=StockSplitConfig(validation_from=date(2014, 1, 2), test_from=date(2015, 1, 2)),
        output=str(tmp_path),
    )


def test_the_days_and_moves_are_those_of_the_benchmark(kdd17):
    """7,398 instances on the test days and 52.85 % of them up, as in the log and the files of the benchmark."""
    panel = build_panel(data.load(kdd17).test, kdd17)
    returns = panel.returns[:, 0].astype(np.float64)
    up, _, down, _ = direction_confusion(np.ones(len(returns)), returns, kdd17.evaluation).sum(axis=0)
    assert up + down == pytest.approx(7398, rel=0.002)
    assert up / (up + down) == pytest.approx(0.5285, abs=0.0005)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["kdd17", "djia"])
def test_the_crps_is_lower_than_that_of_garch_and_the_coverage_is_nominal(name, request):
    config = request.getfixturevalue(name)
    _, run = workflow.train(TASK, config, "lstm-suite train stock")
    scores = {(s.model, s.metric): s.value for s in run.evaluation.scores}
    for horizon in config.forecast.horizons:
        for baseline in ("random_walk", "ewma", "garch", "garch_t"):
            assert scores["exported", f"crps_{horizon}d"] < scores[baseline, f"crps_{horizon}d"]
        assert scores["exported", f"mase_{horizon}d"] <= 1
        assert scores["exported", f"coverage_80_{horizon}d"] == pytest.approx(0.80, abs=0.03)
        assert scores["exported", f"coverage_95_{horizon}d"] == pytest.approx(0.95, abs=0.02)
    assert run.minutes <= 30
