"""Scores over days, compared with cases worked out by hand."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy.stats import norm
from sklearn.metrics import matthews_corrcoef

from tasks.stock.config import EvaluationConfig
from tasks.stock.predictive import location_scale_forecast, score_forecast
from tasks.stock.scores import crps_difference, direction_confusion, sum_by_day, summarize_scores

DAYS = np.repeat(np.arange(60), 4)


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    returns = rng.normal(0, 0.01, (240, 2)) * (1, 2)
    returns[-8:, 1] = np.nan
    zero = np.zeros((240, 2))
    forecasts = {
        "exported": location_scale_forecast(zero, np.full((240, 2), 0.01) * (1, 2), returns, norm),
        "random_walk": location_scale_forecast(zero, np.full((240, 2), 0.04), returns, norm),
    }
    return {name: score_forecast(f, returns) for name, f in forecasts.items()}, returns


def compute_scores(case, name="exported"):
    scored, returns = case
    scales = np.full((240, 2), 0.005)
    scores = summarize_scores(name, scored, returns, DAYS, scales, (1, 5), EvaluationConfig())
    return {score.metric: score for score in scores}


def test_means_ignore_unknown_outcomes(case):
    scored, returns = case
    scores = compute_scores(case)
    assert scores["crps_5d"].value == pytest.approx(np.nanmean(scored["exported"].scores["crps"][:, 1]))
    assert scores["mase_1d"].value == pytest.approx(np.mean(np.abs(returns[:, 0])) / 0.005, rel=1e-4)
    assert 0.7 < scores["coverage_80_1d"].value < 0.9


def test_skill_is_the_relative_improvement_over_the_random_walk(case):
    scored, _ = case
    ratio = [
        np.nanmean(scored["exported"].scores["crps"][:, k]) / np.nanmean(scored["random_walk"].scores["crps"][:, k])
        for k in (0, 1)
    ]
    assert compute_scores(case)["crps_skill"].value == pytest.approx(1 - np.mean(ratio))
    assert compute_scores(case, "random_walk")["crps_skill"].value == 0


def test_a_better_forecast_has_a_negative_difference_and_interval(case):
    scored, _ = case
    value, low, high = (
        float(part.strip("("))
        for part in crps_difference(scored, "random_walk", DAYS, (1, 5))["1d"].replace(" to ", " ").rstrip(")").split()
    )
    assert low < value < high < 0


def test_small_moves_can_be_ignored_in_the_direction():
    returns = np.log1p(np.array([0.01, 0.001, -0.01, -0.001, np.nan]))
    up_probability = np.array([0.6, 0.6, 0.6, 0.4, 0.6])
    assert direction_confusion(up_probability, returns, EvaluationConfig()).sum(axis=0).tolist() == [2, 1, 1, 0]
    assert direction_confusion(up_probability, returns, EvaluationConfig((), 0.0055, 0.005)).sum(axis=0).tolist() == [
        1,
        0,
        1,
        0,
    ]


def test_the_scores_of_the_direction_equal_scikit_learn(case):
    scored, returns = case
    up_probability = np.random.default_rng(1).uniform(size=(240, 2))
    scored["exported"] = dataclasses.replace(scored["exported"], up_probability=up_probability)
    scores = compute_scores((scored, returns))
    is_up, is_predicted_up = returns[:, 0] > 0, up_probability[:, 0] >= 0.5
    assert scores["mcc_1d"].value == pytest.approx(matthews_corrcoef(is_up, is_predicted_up))
    assert scores["accuracy_1d"].value == pytest.approx(np.mean(is_up == is_predicted_up))


def test_sums_by_day_ignore_unknown_values():
    sums = sum_by_day(np.array([5, 5, 7]), np.array([[1.0], [np.nan], [4.0]]))
    assert sums.tolist() == [[1, 1], [4, 1]]
