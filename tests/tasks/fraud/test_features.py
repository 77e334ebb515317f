"""The features of the baselines equal counts by hand, and use neither later transactions nor labels within the delay."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud.features import HISTORY_SPANS, MISSING, feature_table

DAY = 86_400


def test_the_features_of_the_handbook_equal_a_count_by_hand(frame):
    features = feature_table(frame, label_delay_days=7)
    time = frame["time"]
    for row in range(len(frame)):
        now = frame.iloc[row]
        of_card = frame[(frame["card"] == now["card"]) & (time <= now["time"])]
        of_terminal = frame[(frame["terminal"] == now["terminal"]) & (time <= now["time"] - 7 * DAY)]
        for days in HISTORY_SPANS:
            window = of_card[of_card["time"] > now["time"] - days * DAY]
            assert features[f"card_count_{days}_days"][row] == len(window)
            assert features[f"card_mean_{days}_days"][row] == pytest.approx(window["amount"].mean(), rel=1e-4)
            labelled = of_terminal[of_terminal["time"] > now["time"] - (7 + days) * DAY]
            assert features[f"terminal_count_{days}_days"][row] == len(labelled)
            risk = labelled["fraud"].mean() if len(labelled) else 0.0
            assert features[f"terminal_risk_{days}_days"][row] == pytest.approx(risk, abs=1e-6)


def test_the_run_of_frauds_at_the_end_of_a_labelled_terminal_history(frame):
    features = feature_table(frame, label_delay_days=7)
    for row in range(len(frame)):
        now = frame.iloc[row]
        history = frame[(frame["terminal"] == now["terminal"]) & (frame["time"] <= now["time"] - 7 * DAY)]
        labels = history["fraud"].to_numpy()
        run = len(labels) - (np.flatnonzero(labels == 0)[-1] + 1 if (labels == 0).any() else 0)
        assert features["terminal_run"][row] == run
        assert features["terminal_last_label"][row] == (labels[-1] if len(labels) else MISSING)
        if run:
            days = (now["time"] - history["time"].iloc[-run]) / DAY
            assert features["terminal_run_days"][row] == pytest.approx(days, rel=1e-4)


def test_weekend_and_night(frame):
    monday = 1_532_476_800 + 5 * DAY  # 2018-07-30, 00:00
    features = feature_table(frame.assign(time=monday), label_delay_days=7)
    assert (features["during_weekend"] == 0).all()
    assert (features["during_night"] == 1).all()
    sunday = feature_table(frame.assign(time=monday - DAY), 7)
    assert (sunday["during_weekend"] == 1).all()


def test_later_transactions_and_labels_within_the_delay_do_not_change_features(frame):
    cut = frame["time"].iloc[70]
    changed = frame.copy()
    changed.loc[changed["time"] > cut, "amount"] *= 9
    is_late = changed["time"] > cut - 7 * DAY
    changed.loc[is_late, "fraud"] = 1 - changed.loc[is_late, "fraud"]
    before, after = (feature_table(table, 7).loc[:70] for table in (frame, changed))
    np.testing.assert_allclose(after, before, rtol=1e-4, atol=1e-4)
