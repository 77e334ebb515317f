"""The simulator makes what the Handbook's makes."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.fraud.sample import SAMPLE, Simulation, generate

PUBLISHED = {0: 1_739_474, 1: 973, 2: 9_077, 3: 4_631}  # transactions of each scenario in the published data


@pytest.fixture(scope="module")
def world():
    return generate(Simulation(), seed=0)


def test_as_many_transactions_and_frauds_of_each_kind_as_published(world):
    counts = world["TX_FRAUD_SCENARIO"].value_counts()
    assert counts[0] == pytest.approx(PUBLISHED[0], rel=0.03)
    for scenario in (1, 2, 3):
        assert counts[scenario] == pytest.approx(PUBLISHED[scenario], rel=0.2)
    assert world["TX_FRAUD"].mean() == pytest.approx(0.0084, abs=0.0008)


def test_customers_pay_nearby_at_noon_and_about_their_own_mean(world):
    genuine = world[world["TX_FRAUD"] == 0]
    of_each = genuine.groupby("CUSTOMER_ID").agg(
        mean=("TX_AMOUNT", "mean"),
        spread=("TX_AMOUNT", "std"),
        shops=("TERMINAL_ID", "nunique"),
        n=("TX_AMOUNT", "size"),
    )
    often = of_each[of_each["n"] > 200]
    assert (often["spread"] / often["mean"]).median() == pytest.approx(0.47, abs=0.03)  # a half, but for the negatives
    assert often["shops"].median() == pytest.approx(10_000 * np.pi * 25 / 10_000, rel=0.1)
    hours = world["TX_DATETIME"].dt.hour + world["TX_DATETIME"].dt.minute / 60
    assert hours.mean() == pytest.approx(12, abs=0.05)
    assert len(world) / 183 / of_each.shape[0] == pytest.approx(1.92, abs=0.06)  # times a day


def test_large_amounts_are_fraud_and_a_terminal_taken_over_stays_so_for_28_days(world):
    first = world[world["TX_FRAUD_SCENARIO"] == 0]
    assert first["TX_AMOUNT"].max() <= 220
    taken = world[world["TX_FRAUD_SCENARIO"] == 2].groupby("TERMINAL_ID")["TX_DATETIME"].agg(["min", "max"])
    once = taken[(taken["max"] - taken["min"]) < pd.Timedelta(days=29)]
    assert len(once) > 0.8 * len(taken)
    for terminal, span in once.head(20).iterrows():
        of_it = world[(world["TERMINAL_ID"] == terminal) & world["TX_DATETIME"].between(span["min"], span["max"])]
        assert of_it["TX_FRAUD"].all()


def test_the_same_seed_makes_the_same_world_and_another_another():
    small = Simulation(customers=20, terminals=50, days=10, radius=20)
    pd.testing.assert_frame_equal(generate(small, 1), generate(small, 1))
    assert not generate(small, 1).equals(generate(small, 2))


def test_the_embedded_sample_is_in_time_order_and_holds_every_kind_of_fraud():
    frame = generate(SAMPLE, 5)
    assert frame["TX_DATETIME"].is_monotonic_increasing
    assert set(frame["TX_FRAUD_SCENARIO"]) >= {0, 2, 3}
    assert 0.002 < frame["TX_FRAUD"].mean() < 0.05
