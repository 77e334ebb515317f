"""Windows cover the training rows, in a new order in each epoch, and score like the whole history."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from tasks.fraud.batches import WindowBatches, compute_components, cut_windows, join_logits, tree_logits
from tasks.fraud.serving import build_request
from tasks.fraud.submodels import get_submodels
from tasks.fraud.transaction_index import build_transaction_index
from tests.tasks.fraud.conftest import compute_logits


@pytest.fixture
def index(frame):
    return build_transaction_index(frame, 7)


@pytest.fixture
def batches(index, config, builder):
    builder.training_model()
    is_selected = index.fields["time"] > np.median(index.fields["time"])
    return WindowBatches(index, is_selected, config.features, builder, batch_size=4, seed=1)


def test_windows_contain_every_selected_row_once_and_rows_of_one_card_only(index):
    is_selected = index.fields["time"] > np.median(index.fields["time"])
    starts, ends = cut_windows(index.first, is_selected, 3)
    rows = np.concatenate([np.arange(a, b) for a, b in zip(starts, ends, strict=True)])
    np.testing.assert_array_equal(rows, np.flatnonzero(is_selected))
    assert (ends - starts).max() <= 3
    np.testing.assert_array_equal(index.first[starts], index.first[ends - 1])


def test_every_epoch_contains_all_labels_once_in_a_different_order(batches):
    def collect_labels(epoch):
        parts = []
        for inputs, label, weight in batches.epochs(epoch).take(batches.steps):
            is_real = weight.numpy() > 0
            last_time = inputs["time"].numpy()[:, -1].repeat(is_real.shape[1])[is_real.ravel()]
            parts.append(np.stack([last_time, label.numpy()[..., 0][is_real]]))
            assert weight.numpy().mean() == pytest.approx(1.0, rel=1e-5)
        return np.concatenate(parts, axis=1)

    first, repeated, second = collect_labels(0), collect_labels(0), collect_labels(1)
    np.testing.assert_array_equal(first, repeated)
    assert not np.array_equal(first, second)
    assert sorted(first[1]) == sorted(second[1])
    assert first.shape[1] == (batches.ends - batches.starts).sum()


def test_a_window_with_complete_burn_in_scores_like_the_whole_history(index, config, builder):
    """The state after a long enough burn-in equals the state carried from the first transaction."""
    training_model = builder.training_model()
    features = dataclasses.replace(config.features, burn_in=1000)
    is_selected = np.ones(len(index.fraud), bool)
    windows = WindowBatches(index, is_selected, features, builder, batch_size=3, seed=0)
    logits_of_rows = compute_logits(builder.submodels, index, is_selected)
    keys = zip(index.fields["time"].tolist(), index.fields["amount"].tolist(), strict=True)
    expected = dict(zip(keys, logits_of_rows, strict=True))
    count = 0
    for inputs, _, weight in windows.evaluation_batches():
        logits = training_model(inputs).numpy()[..., 0]
        position = inputs["position"].numpy()
        for row, step in np.argwhere(weight.numpy() > 0):
            column = position[row, step]
            key = (int(inputs["time"][row, column]), float(inputs["amount"][row, column]))
            assert logits[row, step] == pytest.approx(expected[key], abs=1e-5)
            count += 1
    assert count == len(index.fraud)


def test_the_logits_of_an_index_equal_those_of_the_exported_model(index, config, builder):
    full_model = builder.full_model((1.0, 0.0))
    cards = np.unique(index.first)
    request = build_request(index, cards, config.features.terminal_history_length, has_terminals=True)
    probabilities = full_model(request).numpy()
    is_real = np.arange(probabilities.shape[1]) < request["length"][:, None]
    logits = compute_logits(builder.submodels, index, np.ones(len(index.fraud), bool))
    np.testing.assert_allclose(probabilities[is_real], 1 / (1 + np.exp(-logits)), atol=1e-5)


def test_later_transactions_and_labels_within_the_delay_do_not_change_scores(frame, builder):
    cut = frame["time"].iloc[70]
    changed = frame.copy()
    changed.loc[changed["time"] > cut, "amount"] *= 9
    is_late = changed["time"] > cut - 7 * 86_400
    changed.loc[is_late, "fraud"] = 1 - changed.loc[is_late, "fraud"]
    logits = []
    for table in (frame, changed):
        index = build_transaction_index(table, 7)
        logits.append(compute_logits(builder.submodels, index, index.fields["time"] <= cut))
    np.testing.assert_array_equal(logits[0], logits[1])


def test_known_labels_of_the_terminal_change_scores(frame, builder):
    """The counterpart of the test above, which would also pass if the model ignored all labels."""
    changed = frame.assign(fraud=np.where(frame.index < 30, 1 - frame["fraud"], frame["fraud"]).astype(np.int8))
    logits = []
    for table in (frame, changed):
        index = build_transaction_index(table, 7)
        logits.append(compute_logits(builder.submodels, index, index.fields["time"] > 0))
    assert np.abs(logits[0] - logits[1]).max() > 1e-4


def test_the_components_with_their_weights_equal_the_exported_model(index, config, full_model):
    """The trees read the same features in pieces of a history as in the whole history."""
    submodels = get_submodels(full_model)
    request = build_request(index, np.unique(index.first), config.features.terminal_history_length, has_terminals=True)
    probabilities = full_model(request).numpy()
    is_real = np.arange(probabilities.shape[1]) < request["length"][:, None]
    components = compute_components(submodels, index, np.ones(len(index.fraud), bool))
    trees = tree_logits(submodels, components.tree_features)
    logits = 0.7 * join_logits(submodels, components) - 0.2 + 0.6 * trees
    np.testing.assert_allclose(probabilities[is_real], 1 / (1 + np.exp(-logits)), atol=1e-6)
    assert np.ptp(trees) > 0.5
