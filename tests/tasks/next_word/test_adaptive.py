"""Caches and mixtures against slow loops."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word import adaptive


@pytest.fixture
def read():
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 5)).astype(np.float32), rng.integers(1, 8, 400)


def test_a_neural_cache_is_that_of_the_formula(read):
    hidden, targets = read
    found = adaptive.neural_cache(hidden, targets, 0.3, window=50)
    for t in (0, 1, 30, 255, 256, 399):
        past = range(max(0, t - 50), t)
        weights = np.array([np.exp(0.3 * hidden[t] @ hidden[k]) for k in past])
        right = np.array([targets[k] == targets[t] for k in past])
        assert found[t] == pytest.approx((weights * right).sum() / weights.sum() if len(weights) else 0, rel=1e-4)


def test_a_unigram_cache_is_the_share_of_the_words_just_before(read):
    _, targets = read
    found = adaptive.unigram_cache(targets, window=20)
    assert found[0] == 0
    for t in (1, 10, 300):
        assert found[t] == pytest.approx(np.mean(targets[max(0, t - 20) : t] == targets[t]))


def test_no_cache_sees_what_comes(read):
    hidden, targets = read
    later, states = targets.copy(), hidden.copy()
    later[200:], states[200:] = 0, 9
    np.testing.assert_array_equal(adaptive.unigram_cache(targets)[:200], adaptive.unigram_cache(later)[:200])
    found, other = adaptive.neural_cache(hidden, targets, 0.3), adaptive.neural_cache(states, later, 0.3)
    np.testing.assert_allclose(found[:200], other[:200], rtol=1e-5)


def test_the_weights_of_a_mixture_are_the_best():
    rng = np.random.default_rng(0)
    models = [rng.uniform(0.01, 1, 500), rng.uniform(0.01, 0.5, 500)]
    weights = adaptive.weights_of(models)
    grid = np.linspace(0, 1, 1001)
    best = max(grid, key=lambda w: np.log(w * models[0] + (1 - w) * models[1]).mean())
    assert weights[0] == pytest.approx(best, abs=0.01)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(adaptive.mixed(models, weights), weights[0] * models[0] + weights[1] * models[1])
