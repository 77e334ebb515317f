"""Attributions name the input that was changed."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud.batches import compute_components, join_logits
from tasks.fraud.explain import TERMINAL_HISTORY, attributions, feature_groups
from tasks.fraud.model import SubmodelBuilder
from tasks.fraud.transaction_index import build_transaction_index


@pytest.fixture
def components(builder, frame):
    index = build_transaction_index(frame, 7)
    return compute_components(builder.submodels, index, np.ones(len(frame), bool))


def test_the_groups_contain_each_column_of_hidden_once(builder, metadata, components):
    size = components[0].shape[1]
    groups = feature_groups(builder.submodels, metadata).values()
    columns = np.concatenate([np.arange(size)[group] for group in groups])
    np.testing.assert_array_equal(np.sort(columns), np.arange(size))


def test_an_input_at_its_mean_has_no_attribution(builder, metadata, components):
    hidden, terminal = (np.repeat(value.mean(axis=0, keepdims=True), 5, axis=0) for value in components)
    for values in attributions(builder.submodels, metadata, hidden, terminal).values():
        np.testing.assert_allclose(values, 0, atol=1e-5)


def test_only_the_changed_group_has_an_attribution(builder, metadata, components):
    hidden, terminal = (np.repeat(value.mean(axis=0, keepdims=True), 50, axis=0) for value in components)
    amount = feature_groups(builder.submodels, metadata)["amount"]
    hidden[0, amount] += 3.0
    result = attributions(builder.submodels, metadata, hidden, terminal)
    logits = join_logits(builder.submodels, hidden, terminal)
    assert abs(result["amount"][0]) > 0.1 * abs(logits[0] - logits[1]) > 0
    for name, values in result.items():
        if name != "amount":
            assert abs(values[0]) < 1e-3


def test_further_columns_are_a_group_and_a_model_without_terminals_has_none_for_them(config, metadata, frame):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["at", "de"]}, "terminal": False}
    builder = SubmodelBuilder(config, metadata)
    frame = frame.drop(columns="terminal").assign(age=np.float32(30), country="at")
    index = build_transaction_index(frame, 7)
    components = compute_components(builder.submodels, index, np.ones(len(frame), bool))
    result = attributions(builder.submodels, metadata, *components)
    assert "further columns" in result
    assert TERMINAL_HISTORY not in result
