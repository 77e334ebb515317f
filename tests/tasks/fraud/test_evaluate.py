"""The Handbook's metric, the threshold, and the alerts' table, on cases small enough to count."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.fraud import features
from tasks.fraud.evaluate import alerts_table, baselines, card_precision, groups
from tasks.fraud.train import amount_edges, calibrate, known_categories, threshold_for


def test_card_precision_counts_cards_by_their_highest_and_a_card_found_once():
    labels = np.array([1, 0, 0, 1, 0, 1])
    answer = np.array([0.9, 0.1, 0.8, 0.7, 0.6, 0.2])
    cards = np.array([0, 0, 1, 0, 1, 2])
    days = np.array([0, 0, 0, 1, 1, 1])
    # day 0: cards 0 (0.9, fraud) and 1 (0.8): 1 of 2; day 1: card 0 was found, so 1 (0.6) and 2 (0.2, fraud): 1 of 2
    assert card_precision(labels, answer, cards, days, k=2) == pytest.approx(0.5)
    assert card_precision(labels, answer, cards, days, k=1) == pytest.approx(0.5)
    assert card_precision(labels, answer, cards, days, k=4) == pytest.approx(0.25)  # places left empty find nothing


def test_the_threshold_raises_as_many_alerts_as_there_are_hands_for():
    rng = np.random.default_rng(0)
    cards, days = rng.integers(0, 50, 2000), rng.integers(0, 5, 2000)
    answer = rng.uniform(size=2000)
    threshold = threshold_for(answer, cards, days, per_day=4)
    table = alerts_table(np.zeros(2000, int), answer >= threshold, cards, days)
    assert sum(row["alerts"] for row in table.values()) == 4 * 5


def test_a_budget_above_the_number_of_cards_alerts_all():
    answer = np.array([0.2, 0.6])
    assert threshold_for(answer, np.array([0, 1]), np.zeros(2, int), per_day=10) == pytest.approx(0.2)


def test_the_alerts_table_counts_cards():
    labels, alert = np.array([1, 1, 0, 1]), np.array([True, True, True, False])
    table = alerts_table(labels, alert, cards=np.array([0, 0, 1, 2]), days=np.zeros(4, int))
    assert table == {"day 1": {"alerts": 2, "right": 1, "of": 2}}


def test_calibration_finds_the_factor_and_offset_that_were_hidden():
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 2, 200_000)
    labels = (rng.uniform(size=len(logits)) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(int)
    assert calibrate(logits, labels) == pytest.approx((0.5, -1.0), abs=0.03)


def test_the_amounts_edges_are_where_fraud_begins():
    amounts = np.linspace(0, 300, 3000)
    edges = amount_edges(amounts, (amounts > 220).astype(int))
    assert min(abs(edge - 220) for edge in edges) < 0.2
    assert edges == sorted(edges)
    assert amount_edges(amounts, np.zeros(3000, int)) == []


def test_without_cards_each_transaction_is_an_alert_of_its_own():
    frame = pd.DataFrame({"card": "all", "time": np.arange(50) * 3600, "fraud": np.arange(50) % 10 == 0})
    _, cards, days = groups(frame)
    assert len(set(cards)) == 50
    answer = np.linspace(0, 1, 50)
    threshold = threshold_for(answer, cards, days, per_day=2)
    assert (answer >= threshold).sum() == 2 * len(set(days))


def test_baselines_take_gaps_in_further_columns(frame):
    frame = frame.assign(age=np.where(np.arange(len(frame)) % 3 == 0, np.nan, 40.0).astype(np.float32))
    table = features.table(frame, 7)
    assert table["age"].isna().any()
    for model in baselines(seed=1).values():
        answer = model.fit(table, frame["fraud"]).predict_proba(table)[:, 1]
        assert np.isfinite(answer).all()


def test_rare_and_empty_categories_teach_what_an_unknown_one_is():
    values = pd.Series(["at"] * 10 + ["de"] * 30 + ["li"] * 9 + [""] * 50)
    assert known_categories(values) == ["at", "de"]
    assert known_categories(values[40:]) == [""]
