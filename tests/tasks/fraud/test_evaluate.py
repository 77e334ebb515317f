"""The Handbook's metric, the threshold and the table of alerts, in cases that are small enough to count by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tasks.fraud.evaluate import alerts_table, build_baselines, card_precision, label_groups, score
from tasks.fraud.features import feature_table
from tasks.fraud.train import amount_edges, calibrate, category_rates, find_threshold, known_categories


def test_card_precision_uses_the_highest_score_of_a_card_and_counts_a_detected_card_once():
    labels = np.array([1, 0, 0, 1, 0, 1])
    probabilities = np.array([0.9, 0.1, 0.8, 0.7, 0.6, 0.2])
    cards = np.array([0, 0, 1, 0, 1, 2])
    days = np.array([0, 0, 0, 1, 1, 1])
    # day 0: cards 0 (0.9, fraud) and 1 (0.8): 1 of 2; day 1, without card 0: cards 1 (0.6) and 2 (0.2, fraud): 1 of 2
    assert card_precision(labels, probabilities, cards, days, k=2) == pytest.approx(0.5)
    assert card_precision(labels, probabilities, cards, days, k=1) == pytest.approx(0.5)
    assert card_precision(labels, probabilities, cards, days, k=4) == pytest.approx(0.25)  # k counts, not the cards


def test_the_threshold_gives_the_requested_number_of_alerts():
    rng = np.random.default_rng(0)
    cards, days = rng.integers(0, 50, 2000), rng.integers(0, 5, 2000)
    probabilities = rng.uniform(size=2000)
    threshold = find_threshold(probabilities, cards, days, alerts_per_day=4)
    table = alerts_table(np.zeros(2000, int), probabilities >= threshold, cards, days)
    assert sum(row["alerts"] for row in table.values()) == 4 * 5


def test_more_alerts_per_day_than_cards_alert_all_cards():
    threshold = find_threshold(np.array([0.2, 0.6]), np.array([0, 1]), np.zeros(2, int), alerts_per_day=10)
    assert threshold == pytest.approx(0.2)


def test_the_table_of_alerts_counts_cards():
    labels, is_alert = np.array([1, 1, 0, 1]), np.array([True, True, True, False])
    table = alerts_table(labels, is_alert, cards=np.array([0, 0, 1, 2]), days=np.zeros(4, int))
    assert table == {"day 1": {"alerts": 2, "correct": 1, "compromised cards": 2}}


def test_calibration_recovers_factor_and_offset():
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 2, 200_000)
    labels = (rng.uniform(size=len(logits)) < 1 / (1 + np.exp(-(0.5 * logits - 1)))).astype(int)
    assert calibrate(logits[:, None], labels) == pytest.approx((0.5, -1.0), abs=0.03)


def test_the_mixture_ignores_a_model_that_knows_nothing():
    rng = np.random.default_rng(0)
    logits = rng.normal(-2, 2, (200_000, 2))
    labels = (rng.uniform(size=len(logits)) < 1 / (1 + np.exp(-0.8 * logits[:, 0]))).astype(int)
    assert calibrate(logits, labels) == pytest.approx((0.8, 0.001, 0.0), abs=0.03)


def test_factors_stay_finite_where_a_model_makes_no_mistake():
    labels = np.r_[np.ones(5), np.zeros(500)]
    *factors, offset = calibrate(np.c_[np.where(labels == 1, 3.0, -3.0), np.where(labels == 1, 1.0, -4.0)], labels)
    assert all(0.1 < factor < 4 for factor in factors)
    assert abs(offset) < 4


def test_the_rate_of_a_category_is_smoothed_and_an_absent_one_has_the_rate_of_all():
    values, labels = pd.Series(["at"] * 30 + ["de"] * 10), pd.Series([1] * 10 + [0] * 30)
    assert category_rates(values, labels, ["at", "de", "li"]) == pytest.approx([15 / 50, 5 / 30, 0.25])


def test_amount_edges_contain_the_amount_at_which_fraud_begins():
    amounts = np.linspace(0, 300, 3000)
    edges = amount_edges(amounts, (amounts > 220).astype(int))
    assert min(abs(edge - 220) for edge in edges) < 0.2
    assert edges == sorted(edges)
    assert amount_edges(amounts, np.zeros(3000, int)) == []


def test_without_cards_each_transaction_counts_as_one_alert():
    frame = pd.DataFrame({"card": "all", "time": np.arange(50) * 3600, "fraud": np.arange(50) % 10 == 0})
    _, cards, days = label_groups(frame)
    assert len(set(cards)) == 50
    probabilities = np.linspace(0, 1, 50)
    threshold = find_threshold(probabilities, cards, days, alerts_per_day=2)
    assert (probabilities >= threshold).sum() == 2 * len(set(days))


def test_baselines_accept_missing_values_in_further_columns(frame):
    frame = frame.assign(age=np.where(np.arange(len(frame)) % 3 == 0, np.nan, 40.0).astype(np.float32))
    table = feature_table(frame, 7)
    assert table["age"].isna().any()
    for model in build_baselines(seed=1).values():
        probabilities = model.fit(table, frame["fraud"]).predict_proba(table)[:, 1]
        assert np.isfinite(probabilities).all()


def test_rare_and_empty_categories_count_as_unknown():
    values = pd.Series(["at"] * 10 + ["de"] * 30 + ["li"] * 9 + [""] * 50)
    assert known_categories(values) == ["at", "de"]
    assert known_categories(values[40:]) == [""]


@pytest.mark.parametrize(("cards", "k"), [(4, 3), (12, 5), (60, 20), (300, 50)])
def test_the_interval_of_card_precision_contains_its_value_and_lies_around_it(cards, k):
    rng = np.random.default_rng(cards)
    count = 4 * cards
    frame = pd.DataFrame(
        {
            "card": rng.integers(0, cards, count).astype(str),
            "time": rng.integers(0, 3, count) * 86_400,
            "fraud": (rng.uniform(size=count) < 0.3).astype(int),
            "is_scored_row": True,
        }
    )
    predictions = {"fraud_probability": np.clip(frame["fraud"] * 0.4 + rng.uniform(0, 0.6, count), 0, 1).to_numpy()}
    scores = {s.metric: s for s in score(frame, predictions, {"alerts_per_day": k})}
    precision = scores[f"card_precision_at_{k}"]
    assert list(scores) == ["average_precision", "roc_auc", f"card_precision_at_{k}", "log_loss"]
    assert all(s.low <= s.value <= s.high for s in scores.values())
    if cards >= 60:  # resamples of transactions instead of cards would lie below the value
        assert precision.low < precision.value < precision.high


def test_resamples_without_fraud_give_no_warning_and_do_not_count(recwarn):
    frame = pd.DataFrame({"card": list("abcd"), "time": 0, "fraud": [1, 0, 0, 0], "is_scored_row": True})
    scores = score(frame, {"fraud_probability": np.array([0.9, 0.1, 0.2, 0.3])}, {"alerts_per_day": 1})
    assert (scores[0].low, scores[0].value, scores[0].high) == (1, 1, 1)
    assert not list(recwarn)
