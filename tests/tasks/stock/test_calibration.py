"""Conformal calibration: coverage on new data, and the properties of the calibrated distribution."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import norm, t

from shared.data.notices import collect_notices
from tasks.stock.calibration import (
    KNOT_Z_SCORES,
    KNOTS,
    calibrate,
    conformal_z_scores,
    count_independent,
    interpolate_z_scores,
    notice_few_periods,
    z_scores_at_levels,
)
from tasks.stock.predictive import LEVELS


def test_calibration_corrects_a_forecast_with_small_scale_and_light_tails():
    rng = np.random.default_rng(0)
    validation, test = (1.5 * t(4).rvs((20_000, 1), random_state=rng) for _ in range(2))
    z_scores = conformal_z_scores(validation)
    for level in (0.025, 0.1, 0.5, 0.9, 0.975):
        coverage = np.mean(test < interpolate_z_scores(z_scores[0], norm.ppf(level)))
        assert coverage == pytest.approx(level, abs=0.01)


def test_quantiles_of_many_outcomes_are_conformal_and_symmetric():
    outcomes = np.arange(1, 100_000, dtype=float)[:, None] / 1e5  # 99,999 outcomes: k / 100,000 is exactly a quantile
    z_scores = conformal_z_scores(outcomes)[0]
    np.testing.assert_allclose(z_scores[KNOTS > 0.5], 2 * KNOTS[KNOTS > 0.5] - 1, rtol=6e-3)
    np.testing.assert_array_equal(z_scores, -z_scores[::-1])


def test_calibration_does_not_move_the_median():
    z_scores = conformal_z_scores(0.5 + np.random.default_rng(0).normal(size=(5000, 1)))
    assert interpolate_z_scores(z_scores[0], np.zeros(1))[0] == 0


def coverage_of_many_samples(count: int, horizons: int = 1, level: float = 0.975) -> float:
    """Returns the mean coverage of a central interval that is calibrated on `count` outcomes of scale 1.2, over 1,000 samples."""
    rng = np.random.default_rng(0)
    ends = [conformal_z_scores(1.2 * rng.normal(size=(count, horizons)))[-1] for _ in range(1000)]
    return float(
        np.mean(2 * norm.cdf(np.array([interpolate_z_scores(e, norm.ppf([level]))[0] for e in ends]) / 1.2) - 1)
    )


@pytest.mark.parametrize("count", [8, 12, 30, 300])
def test_few_outcomes_give_honest_intervals(count):
    assert 0.925 < coverage_of_many_samples(count) < 0.97
    assert 0.755 < coverage_of_many_samples(count, level=0.9) < 0.82


def test_a_long_horizon_with_few_outcomes_follows_the_short_one():
    short = 2.0 * np.random.default_rng(0).normal(size=1000)
    long = np.where(np.arange(1000) < 3, short, np.nan)
    z_scores = conformal_z_scores(np.stack([short, long], axis=1), np.array([1000.0, 3.0]))
    assert z_scores[1, -3] / z_scores[0, -3] == pytest.approx(1, abs=0.3)
    no_outcomes = conformal_z_scores(np.stack([short, np.full(1000, np.nan)], axis=1), np.array([1000.0, 0.0]))
    assert (no_outcomes[1, KNOTS > 0.5] > z_scores[0, KNOTS > 0.5]).all()  # wider by the error of the scale


def test_without_new_outcomes_an_earlier_calibration_stays():
    prior = 1.3 * np.tile(KNOT_Z_SCORES, (2, 1))
    np.testing.assert_array_equal(conformal_z_scores(np.full((50, 2), np.nan), np.zeros(2), prior), prior)


def test_independent_outcomes_are_periods_times_independent_tickers():
    rng = np.random.default_rng(0)
    day = np.tile(np.arange(400), 10)
    independent, common = rng.normal(size=(4000, 1)), np.tile(rng.normal(size=400), 10)[:, None]
    assert count_independent(independent, day, (1,))[0] == pytest.approx(4000, rel=0.2)
    assert count_independent(common, day, (1,))[0] == pytest.approx(400, rel=0.05)
    assert count_independent(common, day, (20,))[0] == pytest.approx(20, rel=0.05)
    assert count_independent(np.full((3, 1), np.nan), day[:3], (1,))[0] == 0


def test_the_calibrated_density_integrates_to_one():
    z_scores = conformal_z_scores(1.4 * np.random.default_rng(0).normal(size=(5000, 1)))
    outcomes = np.linspace(-12, 12, 20_001)[:, None]
    density, nominal = calibrate(norm.logpdf(outcomes), outcomes, z_scores)
    assert np.trapezoid(np.exp(density[:, 0]), outcomes[:, 0]) == pytest.approx(1, abs=1e-3)
    np.testing.assert_allclose(interpolate_z_scores(z_scores[0], nominal[:, 0]), outcomes[:, 0], atol=1e-6)


def test_calibrated_z_scores_increase_with_the_level():
    z_scores = conformal_z_scores(np.random.default_rng(0).normal(size=(300, 2)))
    assert z_scores_at_levels(z_scores).shape == (2, len(LEVELS))
    assert (np.diff(z_scores_at_levels(z_scores), axis=1) > 0).all()


def test_few_periods_are_noticed_with_what_to_do():
    day = np.repeat(np.arange("2020-01-01", "2020-10-27", dtype="datetime64[D]"), 2)
    with collect_notices() as notices:
        notice_few_periods("prices.csv", day, (1, 5, 20))
        notice_few_periods("prices.csv", day, (1, 5))
    (notice,) = notices
    assert "300 days hold only 15 separate periods of 20 trading days" in notice.message
    assert notice.hint == "Use at least 600 days, or shorter --forecast.horizons."
