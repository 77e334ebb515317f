"""A model that learns from what it is judged on: judged before it learns, and the model itself is left alone."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word import dynamic, evaluate
from tasks.next_word.model import get_submodels


@pytest.fixture
def stream():
    """A text that goes round, of words that the model knows."""
    return np.tile(np.array([2, 3, 4, 5, 6, 7], np.int32), 100)


def test_what_goes_round_is_learned_and_the_model_stays_as_it_was(model, stream):
    before = model.get_weights()
    found = dynamic.probabilities(model, stream, rate=1.0)
    assert found.shape == (len(stream) - 1,)
    assert found[-60:].mean() > 2 * found[:60].mean()
    for one, other in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_stretch_is_judged_before_it_is_learned_from(model, stream):
    still, _ = evaluate.probabilities(get_submodels(model), stream)
    found = dynamic.probabilities(model, stream, rate=1.0)
    first = dynamic.STRETCH
    np.testing.assert_allclose(found[:first], still[:first], rtol=1e-4)
    assert not np.allclose(found[first : 2 * first], still[first : 2 * first], rtol=1e-2)
    other = stream.copy()
    other[5 * first + 1 :] = 2  # what comes later
    np.testing.assert_allclose(
        dynamic.probabilities(model, other, rate=1.0)[: 5 * first], found[: 5 * first], rtol=1e-4
    )


def test_with_nothing_learned_it_is_the_static_model_and_the_memory_is_carried(model, stream):
    still, _ = evaluate.probabilities(get_submodels(model), stream)
    np.testing.assert_allclose(dynamic.probabilities(model, stream, rate=1e-9), still, rtol=1e-3)


def test_weights_fade_back_to_the_first(model, stream):
    learner = dynamic.Learner(model, rate=0.5, back=0.2)
    free = dynamic.Learner(model, rate=0.5, back=0.0)
    for some in (learner, free):
        some.judge(stream[: dynamic.STRETCH + 1])
    for weight, moved, first in zip(learner.trainable_weights, free.trainable_weights, learner.first, strict=True):
        np.testing.assert_allclose(weight, 0.8 * np.asarray(moved) + 0.2 * np.asarray(first), atol=1e-6)
    assert any(
        np.abs(np.asarray(m) - np.asarray(f)).max() > 1e-3
        for m, f in zip(free.trainable_weights, free.first, strict=True)
    )


def test_validation_chooses_the_rate(model, stream, monkeypatch):
    monkeypatch.setattr(dynamic, "RATES", (1e-6, 1.0))
    assert dynamic.best_rate(model, stream) == 1.0
