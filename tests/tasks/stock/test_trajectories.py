"""The way to a forecast is measured as benchmarks measure it: against cases worked by hand and a slow loop."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import Ridge

from shared.sources import Origin, Splits
from tasks.stock import paths

DAYS, CUTS = 900, {"train": (0, 650), "validation": (650, 760), "test": (760, 900)}


def splits_of(values: dict[str, np.ndarray]) -> Splits:
    day = np.arange(DAYS)
    whole = pd.concat([pd.DataFrame({"ticker": name, "day": day, "close": close}) for name, close in values.items()])
    parts = {}
    for name, (begin, end) in CUTS.items():
        part = whole[whole["day"] < end]
        parts[name] = part.assign(judged=part["day"] >= begin).reset_index(drop=True)
    return Splits(**parts, origin=Origin("made up", "", "", "", ""))


@pytest.fixture
def walks() -> Splits:
    rng = np.random.default_rng(0)
    return splits_of({name: 30 * np.exp(np.cumsum(rng.normal(0, 0.01, DAYS))) for name in ("A", "B")})


def scored(splits: Splits, medians: float, horizons=(5, 20), lengths=(10,)):
    rows = np.flatnonzero(splits.test["day"] >= 700)
    given = np.full((len(rows), len(horizons)), medians)
    return {(s.model, s.metric): s.value for s in paths.scores(splits, rows, given, horizons, lengths)}


def test_repeating_the_last_price_is_scored_as_a_slow_loop_does(walks):
    squares = []
    for _, rows in walks.test.groupby("ticker"):
        close = rows["close"].to_numpy()
        scale = close[:650].std()
        for origin in range(759, DAYS - 10):
            squares.append(np.mean(((close[origin + 1 : origin + 11] - close[origin]) / scale) ** 2))
    found = scored(walks, 0.0)
    assert found["repeat_last", "path_mse_10d"] == pytest.approx(np.mean(squares))
    assert found["exported", "path_mse_10d"] == pytest.approx(np.mean(squares))  # medians of 0 say the same
    assert scored(walks, 0.1)["exported", "path_mse_10d"] > 1.2 * np.mean(squares)


def test_each_way_is_forecast_from_its_own_row(walks):
    rows = np.flatnonzero(walks.test["day"] >= 700)
    rng = np.random.default_rng(1)
    medians = rng.normal(0, 0.05, (len(rows), 2))
    found = {s.model: s.value for s in paths.scores(walks, rows, medians, (5, 20), (10,))}
    place = {int(row): k for k, row in enumerate(rows)}
    squares = []
    for _, part in walks.test.groupby("ticker"):
        close = part["close"].to_numpy()
        for origin in range(759, DAYS - 10):
            one = medians[place[int(part.index[origin])]]
            said = close[origin] * np.exp(np.interp(np.arange(1, 11), [0, 5, 20], [0, *one]))
            squares.append(np.mean(((said - close[origin + 1 : origin + 11]) / close[:650].std()) ** 2))
    assert found["exported"] == pytest.approx(np.mean(squares))


def test_days_that_were_not_forecast_from_are_judged_for_no_model(walks):
    rows = np.flatnonzero((walks.test["day"] >= 700) & (walks.test["day"] < 800))
    found = {s.model: s.value for s in paths.scores(walks, rows, np.zeros((len(rows), 2)), (5, 20), (10,))}
    squares = []
    for _, part in walks.test.groupby("ticker"):
        close = part["close"].to_numpy()
        for origin in range(759, 800):
            squares.append(np.mean(((close[origin + 1 : origin + 11] - close[origin]) / close[:650].std()) ** 2))
    assert found["repeat_last"] == found["exported"] == pytest.approx(np.mean(squares))


def test_the_unit_is_that_of_the_days_that_train(walks):
    late = walks.train.assign(judged=walks.train["day"] >= 300)
    whole, part = scored(walks, 0.0), scored(Splits(late, walks.validation, walks.test, walks.origin), 0.0)
    ratio = []
    for _, rows in walks.train.groupby("ticker"):
        close = rows["close"].to_numpy()
        ratio.append((close.std() / close[300:].std()) ** 2)
    low, high = sorted(ratio)
    assert low <= part["repeat_last", "path_mse_10d"] / whole["repeat_last", "path_mse_10d"] <= high


def test_what_cannot_be_judged_is_told(walks, caplog):
    short = walks.test[walks.test["day"] >= 600].reset_index(drop=True)
    assert scored(Splits(walks.train, walks.validation, short, walks.origin), 0.0) == {}
    assert "--protocol.paths 10 is not judged" in caplog.text


def test_without_training_days_enough_nlinear_is_left_out(walks):
    short = walks.train[walks.train["day"] >= 500].reset_index(drop=True)
    found = scored(Splits(short, walks.validation, walks.test, walks.origin), 0.0)
    assert {model for model, _ in found} == {"exported", "repeat_last"}


def test_a_forecast_that_comes_true_has_no_error():
    growth = 0.001 * np.arange(DAYS)
    splits = splits_of({"A": np.exp(growth)})
    rows = np.flatnonzero(splits.test["day"] >= 700)
    medians = np.tile([0.005, 0.020], (len(rows), 1))
    found = {s.model: s.value for s in paths.scores(splits, rows, medians, (5, 20), (10,))}
    assert found["exported"] == pytest.approx(0, abs=1e-12)
    assert found["repeat_last"] > 1e-4


def test_the_way_runs_straight_between_the_horizons():
    way = paths.interpolation((2, 6), 4)
    np.testing.assert_allclose(way @ [0.2, 0.6], [0.1, 0.2, 0.3, 0.4])
    np.testing.assert_allclose(way @ [0.2, 0.2], [0.1, 0.2, 0.2, 0.2])


def test_nlinear_is_the_ridge_regression_of_what_led_up_to_the_last_price(walks, monkeypatch):
    monkeypatch.setattr(paths, "PENALTIES", np.array([7.0]))
    monkeypatch.setattr(paths, "LOOKBACK", 20)
    found = paths.nlinear(walks, 3)
    assert found is not None
    weights, offset = found
    past, after = [], []
    for _, rows in walks.train.groupby("ticker"):
        values = rows["close"].to_numpy() / rows["close"].std(ddof=0)
        for origin in range(19, len(values) - 3):
            past.append(values[origin - 19 : origin + 1] - values[origin])
            after.append(values[origin + 1 : origin + 4] - values[origin])
    expected = Ridge(alpha=7.0).fit(past, after)
    np.testing.assert_allclose(weights.T, expected.coef_, atol=1e-6)
    np.testing.assert_allclose(offset, expected.intercept_, atol=1e-6)


def test_tickers_too_short_for_a_lookback_are_left_out(walks):
    late = walks.test[~((walks.test["ticker"] == "B") & (walks.test["day"] < 600))].reset_index(drop=True)
    without = walks.test[walks.test["ticker"] == "A"].reset_index(drop=True)
    found, expected = (
        scored(Splits(walks.train, walks.validation, test, walks.origin), 0.0) for test in (late, without)
    )
    assert found == expected


def test_without_lengths_there_is_nothing_to_score(walks):
    assert scored(walks, 0.0, lengths=()) == {}
