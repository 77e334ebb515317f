"""Evaluation of a trained model and its baselines."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from shared import workflow
from shared.data.sources import Origin, Splits
from tasks.stock import forecasts, train
from tasks.stock.batches import build_panel
from tasks.stock.config import EvaluationConfig
from tasks.stock.evaluate import coverage_by_year, error_scales, naive_errors
from tests.evaluations import evaluate


@pytest.fixture(scope="module")
def long_market():
    """Two tickers of 900 days each, whose volatility changes every 30 days."""
    import pandas as pd

    rng = np.random.default_rng(0)
    tables = []
    for name in ("AAA", "BBB"):
        deviation = 0.01 * np.exp(np.repeat(rng.normal(0, 0.7, 30), 30))
        close = 50 * np.exp(np.cumsum(rng.normal(0, 1, 900) * deviation))
        day = np.datetime64("2018-01-01", "s") + np.arange(900) * np.timedelta64(86_400, "s")
        table = {"ticker": name, "day": day, "close": close, **dict.fromkeys(("open", "high", "low", "volume"), np.nan)}
        tables.append(pd.DataFrame(table))
    return pd.concat(tables, ignore_index=True)


@pytest.fixture
def evaluated(long_market, config, tmp_path):
    days = np.unique(long_market["day"])
    spans = {"train": (0, 600), "validation": (600, 750), "test": (750, 900)}
    tables = {}
    for name, (begin, end) in spans.items():
        table = long_market[long_market["day"] <= days[end - 1]]
        tables[name] = table.assign(is_scored_row=table["day"] >= days[begin]).reset_index(drop=True)
    splits = Splits(**tables, origin=Origin("walks", "generated", "0", "none", "by days"))
    config = dataclasses.replace(config, evaluation=EvaluationConfig(trajectory_days=(2,)))
    trained_model = workflow.train_model(train.TASK, config, splits, tmp_path)
    return trained_model, splits, evaluate("stock", trained_model, splits, config)


def test_every_model_has_every_score(evaluated, config):
    _, _, evaluation = evaluated
    models = {score.model for score in evaluation.scores}
    trajectory_models = {score.model for score in evaluation.scores if score.metric == "trajectory_mse_2d"}
    assert trajectory_models == {"exported", "repeat_last", "nlinear"}
    models -= {"repeat_last", "nlinear"}
    baselines = {"random_walk", "drift", "ewma", "garch", "garch_t", "gradient_boosting"}
    assert models == {"exported", "recalibrated", *baselines}
    metrics = {score.metric for score in evaluation.scores} - {"trajectory_mse_2d"}
    assert {
        "crps_skill",
        "crps_1d",
        "crps_3d",
        "pinball_3d",
        "log_score_1d",
        "coverage_80_3d",
        "coverage_95_1d",
        "mase_3d",
        "mcc_1d",
    } <= metrics
    assert len(evaluation.scores) == len(models) * len(metrics) + len(trajectory_models)
    assert all(np.isfinite(score.value) for score in evaluation.scores)
    values = {(s.model, s.metric): s.value for s in evaluation.scores}
    assert values["ewma", "crps_skill"] > values["random_walk", "crps_skill"] == 0  # recent volatility is informative


def test_scores_do_not_depend_on_the_size_of_the_blocks(evaluated, config, monkeypatch):
    trained_model, splits, evaluation = evaluated
    config = dataclasses.replace(config, evaluation=EvaluationConfig(trajectory_days=(2,)))
    monkeypatch.setattr(forecasts, "ROWS_PER_BLOCK", 10)
    blockwise = evaluate("stock", trained_model, splits, config)
    for one, other in zip(evaluation.scores, blockwise.scores, strict=True):
        assert (one.model, one.metric, one.value) == (other.model, other.metric, pytest.approx(other.value, rel=1e-6))


def test_plots_can_be_drawn(evaluated, tmp_path):
    for name, draw in evaluated[2].description.plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_the_scale_of_the_mase_is_the_naive_error_of_the_training_days(evaluated, config):
    _, splits, _ = evaluated
    panel = build_panel(splits.test, config)
    rows = np.flatnonzero(panel.has_outcome)
    errors = json.loads(json.dumps(naive_errors(splits.train, config.forecast.horizons), allow_nan=False))
    scales = error_scales(errors, panel.ticker[rows])
    close = np.log(splits.train["close"][splits.train["ticker"] == "BBB"].to_numpy())
    expected = np.mean(np.abs(close[3:] - close[:-3]))
    np.testing.assert_allclose(scales[panel.ticker[rows] == "BBB", 1], expected)
    (scale,) = error_scales(errors, np.array(["new ticker"], object))
    np.testing.assert_allclose(scale, np.mean([*errors["tickers"].values()], axis=0))


def test_coverage_by_year_uses_the_day_of_the_forecast():
    days = np.array(["2019-12-30", "2019-12-31", "2020-01-02"], "datetime64[s]")
    scores = {name: np.array([[1.0], [0.0], [1.0]]) for name in ("coverage_80", "coverage_95")}
    assert coverage_by_year(scores, days, (1,)) == {}  # too few days per year
    coverage = coverage_by_year(scores, days, (1,), min_days=1)
    assert coverage["2019 coverage_80 1d"] == 0.5
    assert coverage["2020 coverage_95 1d"] == 1.0


def test_the_metadata_can_be_written_as_json(evaluated):
    metadata = json.loads(json.dumps(evaluated[0].metadata))
    assert metadata["task"] == "stock"
    assert dataclasses.is_dataclass(evaluated[0].history)
