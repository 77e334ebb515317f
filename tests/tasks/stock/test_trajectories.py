"""Errors of whole trajectories, compared with cases worked out by hand and with a slow loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from shared.data.sources import Origin, Splits
from tasks.stock import trajectories

DAYS, SPANS = 900, {"train": (0, 650), "validation": (650, 760), "test": (760, 900)}


def build_splits(values: dict[str, np.ndarray]) -> Splits:
    day = np.arange(DAYS)
    table = pd.concat([pd.DataFrame({"ticker": name, "day": day, "close": close}) for name, close in values.items()])
    splits = {}
    for name, (begin, end) in SPANS.items():
        rows = table[table["day"] < end]
        splits[name] = rows.assign(is_scored_row=rows["day"] >= begin).reset_index(drop=True)
    return Splits(**splits, origin=Origin("test", "", "", "", ""))


@pytest.fixture
def walks() -> Splits:
    rng = np.random.default_rng(0)
    return build_splits({name: 30 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS))) for name in ("A", "B")})


def compute_scores(splits: Splits, medians: float, horizons=(5, 20), lengths=(10,)):
    rows = np.flatnonzero(splits.test["day"] >= 700)
    all_medians = np.full((len(rows), len(horizons)), medians)
    return {
        (s.model, s.metric): s.value
        for s in trajectories.score_trajectories(splits, rows, all_medians, horizons, lengths)
    }


def test_repeating_the_last_price_equals_a_slow_loop(walks):
    squares = []
    for _, rows in walks.test.groupby("ticker"):
        close = rows["close"].to_numpy()
        scale = close[:650].std()
        for origin in range(759, DAYS - 10):
            squares.append(np.mean(((close[origin + 1 : origin + 11] - close[origin]) / scale) ** 2))
    scores = compute_scores(walks, 0.0)
    assert scores["repeat_last", "trajectory_mse_10d"] == pytest.approx(np.mean(squares))
    assert scores["exported", "trajectory_mse_10d"] == pytest.approx(
        np.mean(squares)
    )  # medians of 0 are the same forecast
    assert compute_scores(walks, 0.1)["exported", "trajectory_mse_10d"] > 1.2 * np.mean(squares)


def test_each_trajectory_uses_the_forecast_of_its_own_row(walks):
    rows = np.flatnonzero(walks.test["day"] >= 700)
    rng = np.random.default_rng(1)
    medians = rng.normal(0, 0.05, (len(rows), 2))
    scores = {s.model: s.value for s in trajectories.score_trajectories(walks, rows, medians, (5, 20), (10,))}
    position = {int(row): k for k, row in enumerate(rows)}
    squares = []
    for _, part in walks.test.groupby("ticker"):
        close = part["close"].to_numpy()
        for origin in range(759, DAYS - 10):
            median = medians[position[int(part.index[origin])]]
            prediction = close[origin] * np.exp(np.interp(np.arange(1, 11), [0, 5, 20], [0, *median]))
            squares.append(np.mean(((prediction - close[origin + 1 : origin + 11]) / close[:650].std()) ** 2))
    assert scores["exported"] == pytest.approx(np.mean(squares))


def test_days_without_a_forecast_are_scored_for_no_model(walks):
    rows = np.flatnonzero((walks.test["day"] >= 700) & (walks.test["day"] < 800))
    scores = {
        s.model: s.value for s in trajectories.score_trajectories(walks, rows, np.zeros((len(rows), 2)), (5, 20), (10,))
    }
    squares = []
    for _, part in walks.test.groupby("ticker"):
        close = part["close"].to_numpy()
        for origin in range(759, 800):
            squares.append(np.mean(((close[origin + 1 : origin + 11] - close[origin]) / close[:650].std()) ** 2))
    assert scores["repeat_last"] == scores["exported"] == pytest.approx(np.mean(squares))


def test_prices_are_scaled_by_the_training_days(walks):
    late = walks.train.assign(is_scored_row=walks.train["day"] >= 300)
    all_days, late_days = (
        compute_scores(walks, 0.0),
        compute_scores(Splits(late, walks.validation, walks.test, walks.origin), 0.0),
    )
    ratio = []
    for _, rows in walks.train.groupby("ticker"):
        close = rows["close"].to_numpy()
        ratio.append((close.std() / close[300:].std()) ** 2)
    low, high = sorted(ratio)
    assert low <= late_days["repeat_last", "trajectory_mse_10d"] / all_days["repeat_last", "trajectory_mse_10d"] <= high


def test_trajectories_that_cannot_be_scored_cause_a_warning(walks, caplog):
    short = walks.test[walks.test["day"] >= 600].reset_index(drop=True)
    assert compute_scores(Splits(walks.train, walks.validation, short, walks.origin), 0.0) == {}
    assert "--evaluation.trajectory-days 10 is not scored" in caplog.text


def test_nlinear_is_omitted_if_there_are_too_few_training_days(walks):
    short = walks.train[walks.train["day"] >= 500].reset_index(drop=True)
    scores = compute_scores(Splits(short, walks.validation, walks.test, walks.origin), 0.0)
    assert {model for model, _ in scores} == {"exported", "repeat_last"}


def test_a_perfect_forecast_has_no_error():
    growth = 0.001 * np.arange(DAYS)
    splits = build_splits({"A": np.exp(growth)})
    rows = np.flatnonzero(splits.test["day"] >= 700)
    medians = np.tile([0.005, 0.020], (len(rows), 1))
    scores = {s.model: s.value for s in trajectories.score_trajectories(splits, rows, medians, (5, 20), (10,))}
    assert scores["exported"] == pytest.approx(0, abs=1e-12)
    assert scores["repeat_last"] > 1e-4


def test_the_trajectory_is_linear_between_the_horizons():
    matrix = trajectories.interpolation_matrix((2, 6), 4)
    np.testing.assert_allclose(matrix @ [0.2, 0.6], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(matrix @ [0.2, 0.2], [0.1, 0.2, 0.2, 0.2])


def test_nlinear_is_a_ridge_regression_on_the_earlier_changes(walks, monkeypatch):
    monkeypatch.setattr(trajectories, "RIDGE_PENALTIES", np.array([7.0]))
    monkeypatch.setattr(trajectories, "LOOKBACK", 20)
    model = trajectories.fit_nlinear(walks, 3)
    assert model is not None
    weights, offset = model
    inputs, targets = [], []
    for _, rows in walks.train.groupby("ticker"):
        values = rows["close"].to_numpy() / rows["close"].std(ddof=0)
        for origin in range(19, len(values) - 3):
            inputs.append(values[origin - 19 : origin + 1] - values[origin])
            targets.append(values[origin + 1 : origin + 4] - values[origin])
    expected = Ridge(alpha=7.0).fit(inputs, targets)
    np.testing.assert_allclose(weights.T, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(offset, expected.intercept_, atol=1e-6)


def test_tickers_shorter_than_the_lookback_are_omitted(walks):
    late = walks.test[~((walks.test["ticker"] == "B") & (walks.test["day"] < 600))].reset_index(drop=True)
    without = walks.test[walks.test["ticker"] == "A"].reset_index(drop=True)
    scores, expected = (
        compute_scores(Splits(walks.train, walks.validation, test, walks.origin), 0.0) for test in (late, without)
    )
    assert scores == expected


def test_without_lengths_there_are_no_scores(walks):
    assert compute_scores(walks, 0.0, lengths=()) == {}
