"""A row sees earlier rows of its card, and of its terminal only rows that are older than the label delay."""

from __future__ import annotations

import numpy as np

from tasks.fraud.transaction_index import UNKNOWN_LABEL, build_transaction_index

DAY = 86_400


def test_rows_are_ordered_by_card_and_then_by_time(frame):
    index = build_transaction_index(frame.iloc[::-1].reset_index(drop=True), 7)
    cards = frame["card"].to_numpy()[::-1][index.order]
    for first in np.unique(index.first):
        rows = np.flatnonzero(index.first == first)
        assert len(set(cards[rows])) == 1
        assert (np.diff(index.fields["time"][rows]) >= 0).all()
    assert len(np.unique(index.first)) == frame["card"].nunique()


def test_transactions_in_the_same_second_keep_their_order(frame):
    frame = frame.assign(time=frame["time"].iloc[0], card="one")
    np.testing.assert_array_equal(build_transaction_index(frame, 7).order, np.arange(len(frame)))


def test_terminal_fields_are_the_newest_transactions_that_are_older_than_the_delay(frame):
    index, count = build_transaction_index(frame, 7), 3
    fields = index.terminal_fields(np.arange(len(frame)), count)
    for row, origin in enumerate(index.order):
        now = frame.iloc[origin]
        past = frame[(frame["terminal"] == now["terminal"]) & (frame["time"] <= now["time"] - 7 * DAY)].tail(count)
        length = len(past)
        np.testing.assert_array_equal(fields["terminal_time"][row, :length], past["time"])
        np.testing.assert_array_equal(fields["terminal_amount"][row, :length], past["amount"])
        np.testing.assert_array_equal(fields["terminal_fraud"][row, :length], past["fraud"])
        assert (fields["terminal_fraud"][row, length:] == UNKNOWN_LABEL).all()


def test_padding_rows_have_an_empty_history(frame):
    fields = build_transaction_index(frame, 7).terminal_fields(np.array([[-1, 50]]), 3)
    assert (fields["terminal_fraud"][0, 0] == UNKNOWN_LABEL).all()
    assert fields["terminal_time"].shape == (1, 2, 3)


def test_transactions_without_a_label_are_not_in_the_history(frame):
    frame.loc[frame.index[:50], "fraud"] = UNKNOWN_LABEL
    index = build_transaction_index(frame, 7)
    fields = index.terminal_fields(np.arange(len(frame)), 100)
    last_unlabelled_time = frame["time"].iloc[49]
    times = fields["terminal_time"][fields["terminal_fraud"] != UNKNOWN_LABEL]
    assert (times >= last_unlabelled_time).all()


def test_later_transactions_and_labels_within_the_delay_do_not_change_the_fields(frame):
    cut = frame["time"].iloc[70]
    index = build_transaction_index(frame, 7)
    changed = frame.copy()
    is_later = changed["time"] > cut
    changed.loc[is_later, "amount"] *= 9
    is_late_label = changed["time"] > cut - 7 * DAY
    changed.loc[is_late_label, "fraud"] = 1 - changed.loc[is_late_label, "fraud"]
    changed_index = build_transaction_index(changed, 7)
    rows = np.flatnonzero(index.fields["time"] <= cut)
    before, after = (table.terminal_fields(rows, 10) for table in (index, changed_index))
    for name, values in before.items():
        np.testing.assert_array_equal(after[name], values)
    np.testing.assert_array_equal(index.fields["amount"][rows], changed_index.fields["amount"][rows])
