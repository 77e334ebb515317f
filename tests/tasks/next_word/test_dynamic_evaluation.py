"""Dynamic evaluation scores each segment before it trains on it, and does not change the model."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word import dynamic_evaluation, evaluate
from tasks.next_word.dynamic_evaluation import SEGMENT_LENGTH
from tasks.next_word.model import get_submodels


@pytest.fixture
def stream():
    """A text that repeats itself, of words in the vocabulary."""
    return np.tile(np.array([2, 3, 4, 5, 6, 7], np.int32), 100)


def test_a_repeated_text_becomes_more_probable_and_the_model_does_not_change(model, stream):
    before = model.get_weights()
    result = dynamic_evaluation.probabilities(model, stream, learning_rate=1.0)
    assert result.shape == (len(stream) - 1,)
    assert result[-60:].mean() > 2 * result[:60].mean()
    for weight, expected in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(weight, expected)


def test_a_segment_is_scored_before_training_on_it(model, stream):
    static, _ = evaluate.probabilities(get_submodels(model), stream)
    result = dynamic_evaluation.probabilities(model, stream, learning_rate=1.0)
    first, second = slice(0, SEGMENT_LENGTH), slice(SEGMENT_LENGTH, 2 * SEGMENT_LENGTH)
    np.testing.assert_allclose(result[first], static[first], rtol=1e-4)
    assert not np.allclose(result[second], static[second], rtol=1e-2)
    end = 5 * SEGMENT_LENGTH
    other = stream.copy()
    other[end + 1 :] = 2  # other words after the fifth segment
    other_result = dynamic_evaluation.probabilities(model, other, learning_rate=1.0)
    np.testing.assert_allclose(other_result[:end], result[:end], rtol=1e-4)


def test_a_learning_rate_near_zero_gives_the_static_model_with_its_carried_state(model, stream):
    static, _ = evaluate.probabilities(get_submodels(model), stream)
    result = dynamic_evaluation.probabilities(model, stream, learning_rate=1e-9)
    np.testing.assert_allclose(result, static, rtol=1e-3)


def test_weights_decay_towards_their_original_values(model, stream):
    with_decay = dynamic_evaluation.DynamicModel(model, learning_rate=0.5, decay=0.2)
    without_decay = dynamic_evaluation.DynamicModel(model, learning_rate=0.5, decay=0.0)
    for dynamic_model in (with_decay, without_decay):
        dynamic_model.score_segment(stream[: SEGMENT_LENGTH + 1])
    largest_change = 0.0
    for weight, trained, original in zip(
        with_decay.trainable_weights, without_decay.trainable_weights, with_decay.original_weights, strict=True
    ):
        np.testing.assert_allclose(weight, 0.8 * np.asarray(trained) + 0.2 * np.asarray(original), atol=1e-6)
    for trained, original in zip(without_decay.trainable_weights, without_decay.original_weights, strict=True):
        largest_change = max(largest_change, np.abs(np.asarray(trained) - np.asarray(original)).max())
    assert largest_change > 1e-3


def test_the_learning_rate_has_the_highest_likelihood(model, stream, monkeypatch):
    monkeypatch.setattr(dynamic_evaluation, "LEARNING_RATES", (1e-6, 1.0))
    assert dynamic_evaluation.choose_learning_rate(model, stream) == 1.0
