"""What a row may know: its card's past, and of its terminal only what the delay has let out."""

from __future__ import annotations

import numpy as np

from tasks.fraud.transaction_index import UNKNOWN, build_transaction_index

DAY = 86_400


def test_cards_come_one_after_the_other_each_in_time_order(frame):
    ledger = build_transaction_index(frame.iloc[::-1].reset_index(drop=True), 7)
    cards = frame["card"].to_numpy()[::-1][ledger.order]
    for first in np.unique(ledger.first):
        rows = np.flatnonzero(ledger.first == first)
        assert len(set(cards[rows])) == 1
        assert (np.diff(ledger.fields["time"][rows]) >= 0).all()
    assert len(np.unique(ledger.first)) == frame["card"].nunique()


def test_transactions_of_one_second_keep_the_order_they_came_in(frame):
    frame = frame.assign(time=frame["time"].iloc[0], card="one")
    np.testing.assert_array_equal(build_transaction_index(frame, 7).order, np.arange(len(frame)))


def test_a_terminals_fields_are_its_newest_transactions_beyond_the_delay(frame):
    ledger, count = build_transaction_index(frame, 7), 3
    answer = ledger.terminal_fields(np.arange(len(frame)), count)
    for row, origin in enumerate(ledger.order):
        now = frame.iloc[origin]
        past = frame[(frame["terminal"] == now["terminal"]) & (frame["time"] <= now["time"] - 7 * DAY)].tail(count)
        real = len(past)
        np.testing.assert_array_equal(answer["terminal_time"][row, :real], past["time"])
        np.testing.assert_array_equal(answer["terminal_amount"][row, :real], past["amount"])
        np.testing.assert_array_equal(answer["terminal_fraud"][row, :real], past["fraud"])
        assert (answer["terminal_fraud"][row, real:] == UNKNOWN).all()


def test_rows_that_are_padding_know_nothing(frame):
    answer = build_transaction_index(frame, 7).terminal_fields(np.array([[-1, 50]]), 3)
    assert (answer["terminal_fraud"][0, 0] == UNKNOWN).all()
    assert answer["terminal_time"].shape == (1, 2, 3)


def test_transactions_without_a_label_are_nobodys_report(frame):
    frame.loc[frame.index[:50], "fraud"] = UNKNOWN
    ledger = build_transaction_index(frame, 7)
    answer = ledger.terminal_fields(np.arange(len(frame)), 100)
    latest_unlabelled = frame["time"].iloc[49]
    times = answer["terminal_time"][answer["terminal_fraud"] != UNKNOWN]
    assert (times >= latest_unlabelled).all()


def test_neither_the_future_nor_undelayed_labels_change_what_a_row_knows(frame):
    cut = frame["time"].iloc[70]
    known = build_transaction_index(frame, 7)
    changed = frame.copy()
    later = changed["time"] > cut
    changed.loc[later, "amount"] *= 9
    late_labels = changed["time"] > cut - 7 * DAY
    changed.loc[late_labels, "fraud"] = 1 - changed.loc[late_labels, "fraud"]
    other = build_transaction_index(changed, 7)
    rows = np.flatnonzero(known.fields["time"] <= cut)
    before, after = (ledger.terminal_fields(rows, 10) for ledger in (known, other))
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    np.testing.assert_array_equal(known.fields["amount"][rows], other.fields["amount"][rows])
