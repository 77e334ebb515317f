"""What drove a score: the input that was moved is the one that is named."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud.batches import joined, views_of
from tasks.fraud.explain import drivers, groups_of
from tasks.fraud.model import SubmodelBuilder
from tasks.fraud.transaction_index import build_transaction_index


@pytest.fixture
def seen(views, frame):
    ledger = build_transaction_index(frame, 7)
    return views_of(views.parts, ledger, np.ones(len(frame), bool))


def test_the_groups_are_all_of_hidden_and_none_twice(views, metadata, seen):
    columns = np.concatenate([np.arange(seen[0].shape[1])[part] for part in groups_of(views.parts, metadata).values()])
    np.testing.assert_array_equal(np.sort(columns), np.arange(seen[0].shape[1]))


def test_an_input_at_its_mean_drove_nothing(views, metadata, seen):
    hidden, terminal = (np.repeat(value.mean(axis=0, keepdims=True), 5, axis=0) for value in seen)
    for rises in drivers(views.parts, metadata, hidden, terminal).values():
        np.testing.assert_allclose(rises, 0, atol=1e-5)


def test_only_the_group_that_was_moved_is_named(views, metadata, seen):
    hidden, terminal = (np.repeat(value.mean(axis=0, keepdims=True), 50, axis=0) for value in seen)
    amount = groups_of(views.parts, metadata)["amount"]
    hidden[0, amount] += 3.0
    found = drivers(views.parts, metadata, hidden, terminal)
    expected = joined(views.parts, hidden, terminal)
    assert abs(found["amount"][0]) > 0.1 * abs(expected[0] - expected[1]) > 0
    for name, rises in found.items():
        if name != "amount":
            assert abs(rises[0]) < 1e-3


def test_further_columns_have_a_group_and_a_missing_terminal_none(config, metadata, frame):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["at", "de"]}, "terminal": False}
    views = SubmodelBuilder(config, metadata)
    frame = frame.drop(columns="terminal").assign(age=np.float32(30), country="at")
    seen = views_of(views.parts, build_transaction_index(frame, 7), np.ones(len(frame), bool))
    found = drivers(views.parts, metadata, *seen)
    assert "further columns" in found
    assert "what is confirmed of the terminal" not in found
