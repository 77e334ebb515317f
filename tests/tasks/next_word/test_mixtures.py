"""Mixtures of models: the validation split sets the weights, and caches and dynamic evaluation have their own metrics."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word.mixtures import CONTINUOUS_CACHE, DYNAMIC, UNIGRAM_CACHE, cache_probabilities, mix_models

WORDS = 400


@pytest.fixture
def static():
    rng = np.random.default_rng(0)
    return {
        split: {"exported": rng.uniform(0.2, 0.4, WORDS), "kneser_ney_5": rng.uniform(0.01, 0.3, WORDS)}
        for split in ("validation", "test")
    }


@pytest.fixture
def adaptive():
    rng = np.random.default_rng(1)
    names = (CONTINUOUS_CACHE, UNIGRAM_CACHE)
    return {split: {name: rng.uniform(0, 0.1, WORDS) for name in names} for split in ("validation", "test")}


def test_a_mixture_is_between_its_members_with_weights_that_sum_to_one(static, adaptive):
    result, weights = mix_models(static, adaptive)
    assert set(result) == {
        ("exported", "perplexity_adaptive"),
        ("kneser_ney_5", "perplexity_adaptive"),
        ("mixture", "perplexity"),
        ("mixture", "perplexity_adaptive"),
    }
    for one in weights.values():
        assert sum(one.values()) == pytest.approx(1)
    members = np.stack(list(static["test"].values()))
    assert (result["mixture", "perplexity"] >= members.min(axis=0) - 1e-12).all()
    assert (result["mixture", "perplexity"] <= members.max(axis=0) + 1e-12).all()


def test_the_validation_split_alone_sets_the_weights(static, adaptive):
    _, weights = mix_models(static, adaptive)
    swapped = {**static, "test": {name: values[::-1] for name, values in static["test"].items()}}
    assert mix_models(swapped, adaptive)[1] == weights


def test_dynamic_evaluation_has_a_metric_of_its_own(static, adaptive):
    before, _ = mix_models(static, adaptive)
    with_dynamic = {split: {**by_model, DYNAMIC: np.full(WORDS, 0.5)} for split, by_model in adaptive.items()}
    result, weights = mix_models(static, with_dynamic)
    assert set(result) - set(before) == {("exported", "perplexity_dynamic"), ("mixture", "perplexity_dynamic")}
    assert weights["mixture perplexity_dynamic"][DYNAMIC] > 0.9
    for key, values in before.items():
        np.testing.assert_array_equal(result[key], values)


def test_the_caches_give_repeated_words_more_probability():
    rng = np.random.default_rng(0)
    stream = np.tile(np.array([2, 5, 7, 3]), 30)
    hidden = rng.normal(0, 1, (8, 4))[np.arange(len(stream) - 1) % 4]  # equal states before equal words
    outputs = {split: (np.full(len(stream) - 1, 0.1), hidden.astype(np.float32)) for split in ("validation", "test")}
    caches = cache_probabilities(outputs, {"validation": stream, "test": stream})
    assert set(caches) == {"validation", "test"}
    assert caches["test"][CONTINUOUS_CACHE][-20:].mean() > caches["test"][UNIGRAM_CACHE][-20:].mean() > 0.1
