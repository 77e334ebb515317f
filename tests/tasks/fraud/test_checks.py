"""What a whole table shows: duplicates, contradictions, and an alert budget that is too large for the cards."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from shared.data.notices import collect_notices
from shared.errors import DataError
from tasks.fraud.checks import fit_alerts, notice_duplicates
from tasks.fraud.config import EvaluationConfig


def test_duplicates_and_contradictions_are_noticed_with_their_rows():
    frame = pd.DataFrame({"card": list("aabaa"), "time": [1, 1, 1, 1, 2], "amount": 5.0, "fraud": [0, 0, 0, 1, 1]})
    with collect_notices() as notices:
        notice_duplicates(frame, "x.csv")
    exact, contradiction = map(str, notices)
    assert exact.startswith("x.csv: 1 rows equal an earlier row in all columns")
    assert "Row: 2." in exact
    assert contradiction.startswith("x.csv: 1 rows equal an earlier row but for the label")
    assert "Row: 4." in contradiction
    with collect_notices() as notices:
        notice_duplicates(frame.iloc[[0, 2, 4]], "x.csv")
    assert notices == []


def validation_of(cards: int, days: int = 4) -> pd.DataFrame:
    time = np.repeat(np.arange(days) * 86_400, 2 * cards)
    card = np.tile(np.arange(2 * cards) % cards, days).astype(str)
    return pd.DataFrame({"time": time, "card": card, "is_scored_row": True})


def test_a_default_alert_budget_is_fitted_to_few_cards():
    with collect_notices() as notices:
        assert fit_alerts(EvaluationConfig(), validation_of(50), "x.csv").alerts_per_day == 5
        assert fit_alerts(EvaluationConfig(), validation_of(3), "x.csv").alerts_per_day == 1
        assert fit_alerts(EvaluationConfig(), validation_of(300), "x.csv").alerts_per_day == 100
    assert len(notices) == 2
    assert "50 cards per day, too few for 100 alerts per day. The alerts are fitted to them: 5" in notices[0].message


def test_an_alert_budget_that_the_user_chose_stays_or_is_an_error():
    assert fit_alerts(EvaluationConfig(alerts_per_day=40), validation_of(50), "x.csv").alerts_per_day == 40
    with pytest.raises(DataError, match=r"--evaluation.alerts-per-day 50 would make every transaction an alert"):
        fit_alerts(EvaluationConfig(alerts_per_day=50), validation_of(50), "x.csv")
