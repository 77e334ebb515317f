"""A trained model is judged beside its baselines by one code, and the file's scores say what the run's do."""

from __future__ import annotations

import dataclasses
from itertools import pairwise

import numpy as np
import pytest

from shared.sources import Origin, Splits
from tasks.stock import evaluate as evaluate_module
from tasks.stock import train
from tasks.stock.batches import WindowBatches, forecasts, open_panel
from tasks.stock.config import ProtocolConfig
from tasks.stock.evaluate import coverage_by_year, evaluate, naive_scales
from tasks.stock.model import get_submodels, trainer_of
from tasks.stock.recalibration import answers_of, walk_forward


@pytest.fixture(scope="module")
def longer():
    """Two tickers whose volatility comes in spells, 900 days each."""
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
def judged(longer, config, tmp_path):
    days = np.unique(longer["day"])
    cuts = {"train": (0, 600), "validation": (600, 750), "test": (750, 900)}
    parts = {}
    for name, (begin, end) in cuts.items():
        part = longer[longer["day"] <= days[end - 1]]
        parts[name] = part.assign(judged=part["day"] >= days[begin]).reset_index(drop=True)
    splits = Splits(**parts, origin=Origin("walks", "made up", "0", "none", "by days"))
    config = dataclasses.replace(config, protocol=ProtocolConfig(paths=(2,)))
    trained_model = train.train_model(config, splits, tmp_path)
    return trained_model, splits, evaluate(trained_model, splits, config)


def test_every_model_has_every_score(judged, config):
    _, _, evaluation = judged
    models = {score.model for score in evaluation.scores}
    ways = {score.model for score in evaluation.scores if score.metric == "path_mse_2d"}
    assert ways == {"exported", "repeat_last", "nlinear"}
    models -= {"repeat_last", "nlinear"}
    baselines = {"random_walk", "drift", "ewma", "garch", "garch_t", "gradient_boosting"}
    assert models == {"exported", "recalibrated", *baselines}
    metrics = {score.metric for score in evaluation.scores} - {"path_mse_2d"}
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
    assert len(evaluation.scores) == len(models) * len(metrics) + len(ways)
    assert all(np.isfinite(score.value) for score in evaluation.scores)
    by = {(s.model, s.metric): s.value for s in evaluation.scores}
    assert by["ewma", "crps_skill"] > by["random_walk", "crps_skill"] == 0  # spells of volatility can be followed


def test_the_recalibrated_row_is_the_model_by_what_was_known_on_each_day(judged, config):
    trained_model, splits, _ = judged
    panel, before = open_panel(splits.test, config.forecast), open_panel(splits.validation, config.forecast)
    returns = panel.returns[panel.chosen].astype(np.float64)
    trainer = trainer_of(get_submodels(trained_model.model))
    parameters, earlier = (forecasts(trainer, WindowBatches(p, config.forecast)) for p in (panel, before))
    make = evaluate_module._recalibrated(trained_model, panel, parameters, returns, splits, config)
    found = make(slice(0, len(returns)))["recalibrated"]
    learned = answers_of(before, earlier, config.forecast)
    start = np.asarray(trained_model.metadata["normals"])
    periods = list(walk_forward(learned, answers_of(panel, parameters, config.forecast), start))
    assert len(periods) > 5
    assert not np.allclose(periods[0][1], periods[-1][1])
    for rows, normals in periods:
        expected = evaluate_module.exported(parameters[rows], returns[rows], normals)
        np.testing.assert_allclose(found.quantiles[rows], expected.quantiles, rtol=1e-6)
        np.testing.assert_allclose(found.log_density[rows], expected.log_density, rtol=1e-6)
        np.testing.assert_allclose(found.rise[rows], expected.rise, rtol=1e-6)


def test_scores_are_the_same_however_many_rows_are_in_memory(judged, config, monkeypatch):
    trained_model, splits, evaluation = judged
    config = dataclasses.replace(config, protocol=ProtocolConfig(paths=(2,)))
    monkeypatch.setattr(evaluate_module, "ROWS", 10)
    again = evaluate_module.evaluate(trained_model, splits, config)
    for one, other in zip(evaluation.scores, again.scores, strict=True):
        assert (one.model, one.metric, one.value) == (other.model, other.metric, pytest.approx(other.value, rel=1e-6))


def test_parts_in_memory_are_whole_tickers(monkeypatch):
    monkeypatch.setattr(evaluate_module, "ROWS", 4)
    first = np.repeat([0, 9, 20, 31], [3, 2, 5, 1])
    parts = evaluate_module._blocks(first)
    assert np.concatenate([np.arange(11)[part] for part in parts]).tolist() == list(range(11))
    assert len(parts) > 1
    for one, next_one in pairwise(parts):
        assert first[one.stop - 1] != first[next_one.start]


def test_plots_can_be_drawn(judged, tmp_path):
    for name, draw in judged[2].plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_the_scale_of_an_error_is_the_naive_error_of_training(judged, config):
    _, splits, _ = judged
    panel = open_panel(splits.test, config.forecast)
    asked = np.flatnonzero(panel.chosen)
    scales = naive_scales(splits.train, panel, asked, config.forecast.horizons)
    close = np.log(splits.train["close"][splits.train["ticker"] == "BBB"].to_numpy())
    expected = np.mean(np.abs(close[3:] - close[:-3]))
    np.testing.assert_allclose(scales[panel.ticker[asked] == "BBB", 1], expected)


def test_coverage_is_told_by_the_year_forecast_from():
    days = np.array(["2019-12-30", "2019-12-31", "2020-01-02"], "datetime64[s]")
    scored = {name: np.array([[1.0], [0.0], [1.0]]) for name in ("coverage_80", "coverage_95")}
    assert coverage_by_year(scored, days, (1,)) == {}  # a few days of a year say nothing of it
    found = coverage_by_year(scored, days, (1,), fewest=1)
    assert found["2019 coverage_80 1d"] == 0.5
    assert found["2020 coverage_95 1d"] == 1.0


def test_the_facts_are_json(judged):
    import json

    metadata = json.loads(json.dumps(judged[0].metadata))
    assert metadata["task"] == "stock"
    assert dataclasses.is_dataclass(judged[0].history)
