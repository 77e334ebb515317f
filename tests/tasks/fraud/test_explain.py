"""Attributions name the input that was changed."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.fraud.batches import Components, compute_components, tree_logits
from tasks.fraud.explain import (
    AMOUNT,
    FURTHER_COLUMNS,
    TERMINAL_HISTORY,
    attributions,
    feature_groups,
    tree_feature_group,
)
from tasks.fraud.model import SubmodelBuilder
from tasks.fraud.submodels import get_submodels
from tasks.fraud.transaction_index import build_transaction_index


@pytest.fixture
def components(builder, frame):
    index = build_transaction_index(frame, 7)
    return compute_components(builder.submodels, index, np.ones(len(frame), bool))


def means(components: Components, rows: int) -> Components:
    """Returns `rows` rows with every value at its mean."""
    return Components(*(np.repeat(value.mean(axis=0, keepdims=True), rows, axis=0) for value in components))


def test_the_groups_contain_each_column_of_hidden_once(builder, metadata, components):
    size = components.hidden.shape[1]
    groups = feature_groups(builder.submodels, metadata).values()
    columns = np.concatenate([np.arange(size)[group] for group in groups])
    np.testing.assert_array_equal(np.sort(columns), np.arange(size))


def test_an_input_at_its_mean_has_no_attribution(full_model, metadata, components):
    for values in attributions(full_model, metadata, means(components, 5)).values():
        np.testing.assert_allclose(values, 0, atol=1e-5)


def test_only_the_changed_group_has_an_attribution(builder, metadata, components):
    rows = means(components, 50)
    rows.hidden[0, feature_groups(builder.submodels, metadata)[AMOUNT]] += 3.0
    result = attributions(builder.full_model((2.0, 0.0)), metadata, rows)
    assert abs(result[AMOUNT][0]) > 1e-2
    for name, values in result.items():
        if name != AMOUNT:
            assert abs(values[0]) < 1e-3


def test_the_features_of_the_trees_belong_to_the_same_groups(full_model, metadata, components):
    submodels = get_submodels(full_model)
    names = submodels.tree_feature_names
    is_terminal = np.array([tree_feature_group(name) == TERMINAL_HISTORY for name in names])
    assert is_terminal.sum() == 11
    rows = means(components, len(components.hidden))
    rows.tree_features[:, is_terminal] = components.tree_features[:, is_terminal]
    result = attributions(full_model, metadata, rows)
    mean = tree_logits(submodels, means(rows, 1).tree_features)
    np.testing.assert_allclose(
        result[TERMINAL_HISTORY], 0.6 * (tree_logits(submodels, rows.tree_features) - mean), atol=1e-5
    )
    assert np.ptp(result[TERMINAL_HISTORY]) > 0.01
    assert all(np.abs(values).max() < 1e-5 for name, values in result.items() if name != TERMINAL_HISTORY)


def test_further_columns_are_a_group_and_a_model_without_terminals_has_none_for_them(config, metadata, frame):
    metadata |= {"numeric": {"age": (40.0, 10.0)}, "categorical": {"country": ["at", "de"]}, "terminal": False}
    metadata["category_rates"] = {"country": [0.1, 0.4]}
    builder = SubmodelBuilder(config, metadata)
    frame = frame.drop(columns="terminal").assign(age=np.float32(30), country="at")
    index = build_transaction_index(frame, 7)
    components = compute_components(builder.submodels, index, np.ones(len(frame), bool))
    result = attributions(builder.full_model((1.0, 0.0)), metadata, components)
    assert FURTHER_COLUMNS in result
    assert TERMINAL_HISTORY not in result
