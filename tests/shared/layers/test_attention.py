"""The contexts and weights of `CrossAttention` against the formulas in NumPy, with masks, and after a model is saved."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops

from shared.layers.attention import CrossAttention

LENGTHS = (4, 2, 1)
TIME, UNITS = 3, 5
SCORES = ["additive", "general", "dot"]


def random_array(*shape: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, 1, shape).astype("float32")


def example(score: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns queries, values and mask; sizes differ where the score function permits it."""
    query_size = 6 if score == "additive" else UNITS
    value_size = UNITS if score == "dot" else 4
    mask = np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]
    return random_array(3, TIME, query_size, seed=1), random_array(3, max(LENGTHS), value_size, seed=2), mask


def build(score: str) -> tuple[CrossAttention, keras.Model]:
    """Returns the attention, with random weights, and a model of it."""
    attention = CrossAttention(score, UNITS)
    queries, values, _ = example(score)
    inputs = [
        keras.Input((None, queries.shape[-1])),
        keras.Input((None, values.shape[-1])),
        keras.Input((None,), dtype="bool"),
    ]
    model = keras.Model(inputs, attention.attend(inputs[0], inputs[1], attention.keys(inputs[1]), inputs[2]))
    for k, weight in enumerate(model.trainable_weights):
        weight.assign(random_array(*weight.shape, seed=10 + k))
    return attention, model


def expected_scores(attention: CrossAttention, query: np.ndarray, value: np.ndarray) -> float:
    """Returns the score of one query and one value, by the formulas of the papers."""
    weights = {part: [np.asarray(w) for w in layer.get_weights()] for part, layer in attention.layers.items()}
    if attention.score == "additive":
        hidden = query @ weights["query"][0] + weights["query"][1] + value @ weights["key"][0]
        return float(weights["weights"][0] @ np.tanh(hidden))
    return float(query @ (value if attention.score == "dot" else value @ weights["key"][0]))


@pytest.mark.parametrize("score", SCORES)
def test_contexts_and_weights_are_those_of_the_formula(score):
    attention, model = build(score)
    queries, values, mask = example(score)
    contexts, weights = (np.asarray(output) for output in model([queries, values, mask]))
    for row, length in enumerate(LENGTHS):
        for t in range(TIME):
            scores = np.array([expected_scores(attention, queries[row, t], values[row, j]) for j in range(length)])
            expected = np.exp(scores - scores.max()) / np.sum(np.exp(scores - scores.max()))
            np.testing.assert_allclose(weights[row, t, :length], expected, atol=1e-5)
            assert not weights[row, t, length:].any()
            np.testing.assert_allclose(contexts[row, t], expected @ values[row, :length], atol=1e-5)


@pytest.mark.parametrize("score", SCORES)
def test_padding_of_the_source_changes_nothing(score):
    _, model = build(score)
    queries, values, mask = example(score)
    outputs = model([queries, values, mask])
    padded_values = np.where(mask[..., None], values, 1e3).astype("float32")
    padded_values = np.pad(padded_values, [[0, 0], [0, 3], [0, 0]], constant_values=-1e3)
    contexts, weights = model([queries, padded_values, np.pad(mask, [[0, 0], [0, 3]])])
    np.testing.assert_allclose(contexts, outputs[0], atol=1e-6)
    np.testing.assert_allclose(weights[..., : max(LENGTHS)], outputs[1], atol=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_one_query_has_the_context_of_a_sequence_of_queries(score):
    attention, model = build(score)
    queries, values, mask = example(score)
    contexts, weights = model([queries, values, mask])
    for t in range(TIME):
        context, weight = attention.attend_once(
            ops.convert_to_tensor(queries[:, t]), values, attention.keys(ops.convert_to_tensor(values)), mask
        )
        np.testing.assert_allclose(context, contexts[:, t], atol=1e-6)
        np.testing.assert_allclose(weight, weights[:, t], atol=1e-6)


@pytest.mark.parametrize("score", SCORES)
def test_a_saved_model_has_the_same_outputs_and_its_layers_can_be_reused(score, tmp_path):
    _, model = build(score)
    queries, values, mask = example(score)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    expected = model([queries, values, mask])
    np.testing.assert_allclose(loaded([queries, values, mask])[0], expected[0], atol=1e-6)
    reused = CrossAttention(score, UNITS)
    reused.reuse_layers(loaded)
    contexts, _ = reused.attend(queries, values, reused.keys(ops.convert_to_tensor(values)), mask)
    np.testing.assert_allclose(contexts, expected[0], atol=1e-6)


def test_sizes_that_do_not_fit_are_rejected():
    queries, values, mask = random_array(1, 2, 3, seed=0), random_array(1, 4, UNITS, seed=1), np.ones((1, 4), bool)
    attention = CrossAttention("dot", UNITS)
    with pytest.raises(ValueError, match=r"needs queries of size units=5\. Received: size 3"):
        attention.attend(queries, values, values, mask)
    with pytest.raises(ValueError, match=r"needs values of size units=5\. Received: size 3"):
        attention.keys(queries)


def test_an_unknown_score_is_rejected():
    with pytest.raises(ValueError, match='score must be "additive"'):
        CrossAttention("cosine", UNITS)
