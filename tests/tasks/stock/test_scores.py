"""Scores over days, worked by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import matthews_corrcoef

from tasks.stock.config import DirectionConfig
from tasks.stock.predictive import scored_of, standardized
from tasks.stock.scores import below, by_day, confusion, summary

DAYS = np.repeat(np.arange(60), 4)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.01, (240, 2)) * (1, 2)
    returns[-8:, 1] = np.nan
    none = np.zeros((240, 2))
    forecasts = {
        "exported": standardized(none, np.full((240, 2), 0.01) * (1, 2), returns, norm),
        "random_walk": standardized(none, np.full((240, 2), 0.04), returns, norm),
    }
    return {name: scored_of(f, returns) for name, f in forecasts.items()}, returns


def found(case, name="exported"):
    scored, returns = case
    scales = np.full((240, 2), 0.005)
    scores = summary(name, scored, returns, DAYS, scales, (1, 5), DirectionConfig())
    return {score.metric: score for score in scores}


def test_means_leave_out_what_is_not_known(case):
    scored, returns = case
    scores = found(case)
    assert scores["crps_5d"].value == pytest.approx(np.nanmean(scored["exported"].scores["crps"][:, 1]))
    assert scores["mase_1d"].value == pytest.approx(np.mean(np.abs(returns[:, 0])) / 0.005, rel=1e-4)
    assert 0.7 < scores["coverage_80_1d"].value < 0.9


def test_skill_is_the_share_of_the_random_walks_crps_that_is_saved(case):
    scored, _ = case
    ratio = [
        np.nanmean(scored["exported"].scores["crps"][:, k]) / np.nanmean(scored["random_walk"].scores["crps"][:, k])
        for k in (0, 1)
    ]
    assert found(case)["crps_skill"].value == pytest.approx(1 - np.mean(ratio))
    assert found(case, "random_walk")["crps_skill"].value == 0


def test_a_better_forecast_lies_below_with_an_interval_that_excludes_nothing(case):
    scored, _ = case
    value, low, high = (
        float(part.strip("("))
        for part in below(scored, "random_walk", DAYS, (1, 5))["1d"].replace(" to ", " ").rstrip(")").split()
    )
    assert low < value < high < 0


def test_small_moves_may_be_left_out_of_the_direction():
    returns = np.log1p(np.array([0.01, 0.001, -0.01, -0.001, np.nan]))
    rise = np.array([0.6, 0.6, 0.6, 0.4, 0.6])
    assert confusion(rise, returns, DirectionConfig()).sum(axis=0).tolist() == [2, 1, 1, 0]
    assert confusion(rise, returns, DirectionConfig(0.0055, 0.005)).sum(axis=0).tolist() == [1, 0, 1, 0]


def test_the_direction_is_scored_as_scikit_learn_does(case):
    scored, returns = case
    rise = np.random.default_rng(1).uniform(size=(240, 2))
    scored["exported"] = dataclasses.replace(scored["exported"], rise=rise)
    scores = found((scored, returns))
    rose, said = returns[:, 0] > 0, rise[:, 0] >= 0.5
    assert scores["mcc_1d"].value == pytest.approx(matthews_corrcoef(rose, said))
    assert scores["accuracy_1d"].value == pytest.approx(np.mean(rose == said))


def test_sums_by_day_skip_what_is_not_known():
    sums = by_day(np.array([5, 5, 7]), np.array([[1.0], [np.nan], [4.0]]))
    assert sums.tolist() == [[1, 1], [4, 1]]
