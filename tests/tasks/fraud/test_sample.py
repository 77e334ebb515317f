"""The simulator reproduces the statistics of the Handbook's data."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.fraud.sample import SAMPLE, Simulation, generate

PUBLISHED = {0: 1_739_474, 1: 973, 2: 9_077, 3: 4_631}  # transactions of each scenario in the published data


@pytest.fixture(scope="module")
def transactions():
    return generate(Simulation(), seed=0)


def test_the_numbers_of_transactions_and_of_frauds_of_each_kind_are_as_published(transactions):
    counts = transactions["TX_FRAUD_SCENARIO"].value_counts()
    assert counts[0] == pytest.approx(PUBLISHED[0], rel=0.03)
    for scenario in (1, 2, 3):
        assert counts[scenario] == pytest.approx(PUBLISHED[scenario], rel=0.2)
    assert transactions["TX_FRAUD"].mean() == pytest.approx(0.0084, abs=0.0008)


def test_customers_pay_at_near_terminals_around_noon_with_amounts_around_their_mean(transactions):
    genuine = transactions[transactions["TX_FRAUD"] == 0]
    customers = genuine.groupby("CUSTOMER_ID").agg(
        mean=("TX_AMOUNT", "mean"),
        spread=("TX_AMOUNT", "std"),
        terminals=("TERMINAL_ID", "nunique"),
        count=("TX_AMOUNT", "size"),
    )
    frequent = customers[customers["count"] > 200]
    # 0.5 in the simulator; negative amounts, which it replaces, reduce it
    assert (frequent["spread"] / frequent["mean"]).median() == pytest.approx(0.47, abs=0.03)
    assert frequent["terminals"].median() == pytest.approx(10_000 * np.pi * 25 / 10_000, rel=0.1)
    hours = transactions["TX_DATETIME"].dt.hour + transactions["TX_DATETIME"].dt.minute / 60
    assert hours.mean() == pytest.approx(12, abs=0.05)
    per_day = len(transactions) / 183 / customers.shape[0]
    assert per_day == pytest.approx(1.92, abs=0.06)


def test_large_amounts_are_fraud_and_terminals_stay_compromised_for_28_days(transactions):
    genuine = transactions[transactions["TX_FRAUD_SCENARIO"] == 0]
    assert genuine["TX_AMOUNT"].max() <= 220
    frauds = transactions[transactions["TX_FRAUD_SCENARIO"] == 2]
    spans = frauds.groupby("TERMINAL_ID")["TX_DATETIME"].agg(["min", "max"])
    single = spans[(spans["max"] - spans["min"]) < pd.Timedelta(days=29)]  # compromised only once
    assert len(single) > 0.8 * len(spans)
    for terminal, span in single.head(20).iterrows():
        is_within = transactions["TX_DATETIME"].between(span["min"], span["max"])
        assert transactions[(transactions["TERMINAL_ID"] == terminal) & is_within]["TX_FRAUD"].all()


def test_the_seed_determines_the_transactions():
    small = Simulation(customers=20, terminals=50, days=10, radius=20)
    pd.testing.assert_frame_equal(generate(small, 1), generate(small, 1))
    assert not generate(small, 1).equals(generate(small, 2))


def test_the_embedded_sample_is_in_time_order_and_contains_every_kind_of_fraud():
    frame = generate(SAMPLE, 5)
    assert frame["TX_DATETIME"].is_monotonic_increasing
    assert set(frame["TX_FRAUD_SCENARIO"]) >= {0, 2, 3}
    assert 0.002 < frame["TX_FRAUD"].mean() < 0.05
