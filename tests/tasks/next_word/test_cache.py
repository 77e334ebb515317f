"""The caches and mixtures equal slow loops over the formulas."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word import cache


@pytest.fixture
def text():
    """States before each word, and token ids of the words."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(400, 5)).astype(np.float32), rng.integers(1, 8, 400)


def test_the_continuous_cache_follows_its_formula(text):
    hidden, targets = text
    result = cache.continuous_cache(hidden, targets, 0.3, window=50)
    for t in (0, 1, 30, 255, 256, 399):
        window = range(max(0, t - 50), t)
        weights = np.array([np.exp(0.3 * hidden[t] @ hidden[k]) for k in window])
        is_target = np.array([targets[k] == targets[t] for k in window])
        expected = (weights * is_target).sum() / weights.sum() if len(weights) else 0
        assert result[t] == pytest.approx(expected, rel=1e-4)


def test_the_unigram_cache_is_the_relative_frequency_in_the_preceding_words(text):
    _, targets = text
    result = cache.unigram_cache(targets, window=20)
    assert result[0] == 0
    for t in (1, 10, 300):
        assert result[t] == pytest.approx(np.mean(targets[max(0, t - 20) : t] == targets[t]))


def test_no_cache_depends_on_later_words(text):
    hidden, targets = text
    other_targets, other_hidden = targets.copy(), hidden.copy()
    other_targets[200:], other_hidden[200:] = 0, 9
    np.testing.assert_array_equal(cache.unigram_cache(targets)[:200], cache.unigram_cache(other_targets)[:200])
    result = cache.continuous_cache(hidden, targets, 0.3)
    other = cache.continuous_cache(other_hidden, other_targets, 0.3)
    np.testing.assert_allclose(result[:200], other[:200], rtol=1e-5)


def test_mixture_weights_maximize_the_likelihood():
    rng = np.random.default_rng(0)
    models = [rng.uniform(0.01, 1, 500), rng.uniform(0.01, 0.5, 500)]
    weights = cache.fit_mixture_weights(models)
    grid = np.linspace(0, 1, 1001)
    best = max(grid, key=lambda w: np.log(w * models[0] + (1 - w) * models[1]).mean())
    assert weights[0] == pytest.approx(best, abs=0.01)
    assert weights.sum() == pytest.approx(1)
    np.testing.assert_allclose(cache.mix(models, weights), weights[0] * models[0] + weights[1] * models[1])
