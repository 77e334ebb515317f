"""The baselines' inputs, each counted again by hand, and blind to the future and to labels not yet known."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud import features

DAY = 86_400


def test_the_handbooks_features_are_what_a_count_by_hand_gives(frame):
    answer = features.table(frame, delay_days=7)
    time = frame["time"]
    for row in range(len(frame)):
        now = frame.iloc[row]
        own = frame[(frame["card"] == now["card"]) & (time <= now["time"])]
        there = frame[(frame["terminal"] == now["terminal"]) & (time <= now["time"] - 7 * DAY)]
        for days in features.SPANS:
            window = own[own["time"] > now["time"] - days * DAY]
            assert answer[f"card_count_{days}_days"][row] == len(window)
            assert answer[f"card_mean_{days}_days"][row] == pytest.approx(window["amount"].mean(), rel=1e-4)
            known = there[there["time"] > now["time"] - (7 + days) * DAY]
            assert answer[f"terminal_count_{days}_days"][row] == len(known)
            risk = known["fraud"].mean() if len(known) else 0.0
            assert answer[f"terminal_risk_{days}_days"][row] == pytest.approx(risk, abs=1e-6)


def test_the_run_of_fraud_that_ends_a_terminals_confirmed_past(frame):
    answer = features.table(frame, delay_days=7)
    for row in range(len(frame)):
        now = frame.iloc[row]
        there = frame[(frame["terminal"] == now["terminal"]) & (frame["time"] <= now["time"] - 7 * DAY)]
        labels = there["fraud"].to_numpy()
        run = len(labels) - (np.flatnonzero(labels == 0)[-1] + 1 if (labels == 0).any() else 0)
        assert answer["terminal_run"][row] == run
        assert answer["terminal_last_label"][row] == (labels[-1] if len(labels) else features.NEVER)
        if run:
            since = (now["time"] - there["time"].iloc[-run]) / DAY
            assert answer["terminal_run_days"][row] == pytest.approx(since, rel=1e-4)


def test_the_moment(frame):
    answer = features.table(frame.assign(time=1_532_476_800 + 5 * DAY), delay_days=7)  # 2018-07-30, a Monday, midnight
    assert (answer["during_weekend"] == 0).all()
    assert (answer["during_night"] == 1).all()
    assert (features.table(frame.assign(time=1_532_476_800 + 4 * DAY), 7)["during_weekend"] == 1).all()


def test_neither_the_future_nor_undelayed_labels_change_a_feature(frame):
    cut = frame["time"].iloc[70]
    changed = frame.copy()
    changed.loc[changed["time"] > cut, "amount"] *= 9
    late = changed["time"] > cut - 7 * DAY
    changed.loc[late, "fraud"] = 1 - changed.loc[late, "fraud"]
    before, after = (features.table(table, 7).loc[:70] for table in (frame, changed))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
