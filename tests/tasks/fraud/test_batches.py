"""Windows cover what trains, in an order of their own each epoch, and say what the whole history says."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.fraud.batches import WindowBatches, cut_windows, score
from tasks.fraud.serving import histories
from tasks.fraud.transaction_index import build_transaction_index


@pytest.fixture
def ledger(frame):
    return build_transaction_index(frame, 7)


@pytest.fixture
def batches(ledger, config, views):
    views.trainer()
    chosen = ledger.fields["time"] > np.median(ledger.fields["time"])
    return WindowBatches(ledger, chosen, config.memory, views, batch_size=4, seed=1)


def test_windows_hold_every_chosen_row_once_and_never_two_cards(ledger):
    chosen = ledger.fields["time"] > np.median(ledger.fields["time"])
    starts, ends = cut_windows(ledger.first, chosen, 3)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])
    np.testing.assert_array_equal(rows, np.flatnonzero(chosen))
    assert (ends - starts).max() <= 3
    np.testing.assert_array_equal(ledger.first[starts], ledger.first[ends - 1])


def test_every_epoch_holds_all_labels_once_in_another_order(batches):
    def labels(first):
        parts = []
        for inputs, label, weight in batches.epochs(first).take(batches.steps):
            real = weight.numpy() > 0
            parts.append(
                np.stack(
                    [inputs["time"].numpy()[:, -1].repeat(real.shape[1])[real.ravel()], label.numpy()[..., 0][real]]
                )
            )
            assert weight.numpy().mean() == pytest.approx(1.0, rel=1e-5)
        return np.concatenate(parts, axis=1)

    first, again, second = labels(0), labels(0), labels(1)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)
    assert sorted(first[1]) == sorted(second[1])
    assert first.shape[1] == (batches.ends - batches.starts).sum()


def test_a_window_with_all_its_history_scores_as_the_whole_history_does(ledger, config, views):
    """The state that a long enough stretch leaves is the state carried from the first transaction."""
    trainer = views.trainer()
    memory = dataclasses.replace(config.memory, history=1000)
    chosen = np.ones(len(ledger.fraud), bool)
    windows = WindowBatches(ledger, chosen, memory, views, batch_size=3, seed=0)
    expected = score(views.parts, ledger, chosen)
    of_time = dict(
        zip(zip(ledger.fields["time"].tolist(), ledger.fields["amount"].tolist(), strict=True), expected, strict=True)
    )
    seen = 0
    for inputs, _, weight in windows.evaluation_batches():
        logits = trainer(inputs).numpy()[..., 0]
        position = inputs["position"].numpy()
        for row, step in np.argwhere(weight.numpy() > 0):
            place = position[row, step]
            key = (int(inputs["time"][row, place]), float(inputs["amount"][row, place]))
            assert logits[row, step] == pytest.approx(of_time[key], abs=1e-5)
            seen += 1
    assert seen == len(ledger.fraud)


def test_scores_of_a_ledger_are_those_of_the_served_model(ledger, config, views):
    whole = views.whole((1.0, 0.0))
    cards = np.unique(ledger.first)
    request = histories(ledger, cards, config.memory.reports, terminal=True)
    probabilities = whole(request).numpy()
    real = np.arange(probabilities.shape[1]) < request["length"][:, None]
    logits = score(views.parts, ledger, np.ones(len(ledger.fraud), bool))
    np.testing.assert_allclose(probabilities[real], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_no_score_changes_when_the_future_or_undelayed_labels_do(frame, views):
    cut = frame["time"].iloc[70]
    changed = frame.copy()
    changed.loc[changed["time"] > cut, "amount"] *= 9
    late = changed["time"] > cut - 7 * 86_400
    changed.loc[late, "fraud"] = 1 - changed.loc[late, "fraud"]
    answers = []
    for table in (frame, changed):
        ledger = build_transaction_index(table, 7)
        answers.append(score(views.parts, ledger, ledger.fields["time"] <= cut))
    np.testing.assert_array_equal(answers[0], answers[1])


def test_known_labels_of_the_terminal_do_change_scores(frame, views):
    """The counterpart of the test above: it would pass if labels were never looked at."""
    changed = frame.assign(fraud=np.where(frame.index < 30, 1 - frame["fraud"], frame["fraud"]).astype(np.int8))
    answers = [
        score(views.parts, ledger := build_transaction_index(table, 7), ledger.fields["time"] > 0) for table in (frame, changed)
    ]
    assert np.abs(answers[0] - answers[1]).max() > 1e-4
