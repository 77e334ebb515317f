"""Caches that raise the probability of words that occurred recently, and mixtures of language models.

All functions take or return the probabilities that models gave to the words of a text, `(words,)`; the validation split sets the
parameters.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CACHE_WINDOW = 2000
"""Number of preceding words in the continuous cache."""
UNIGRAM_WINDOW = 500
"""Number of preceding words in the unigram cache."""
SHARPNESS = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0)
"""Candidates for the sharpness of the continuous cache, relative to the mean squared norm of the states."""
CHUNK_SIZE = 256
EPSILON = 1e-12
EM_ITERATIONS = 100


def continuous_cache(
    hidden: np.ndarray, targets: np.ndarray, sharpness: float, window: int = CACHE_WINDOW
) -> np.ndarray:
    """Returns the probability of each word by a continuous cache (Grave, Joulin & Usunier, 2017, equation 3).

    A word that recently followed a state similar to the present one is probable: p(w) is proportional to the sum of
    exp(sharpness h·h') over the states h' in the window that the word w followed.

    Args:
        hidden: states before each word, float32 `(words, size)`.
        targets: token ids of the words, int `(words,)`.
        sharpness: factor of the dot products, at least 0.
        window: number of preceding words in the cache.

    Returns:
        float64 array `(words,)`, in [0, 1].
    """
    states = hidden * np.float32(np.sqrt(sharpness))
    result = np.zeros(len(targets))
    for start in range(0, len(targets), CHUNK_SIZE):
        end = min(start + CHUNK_SIZE, len(targets))
        cache_start = max(0, start - window)
        similarity = states[start:end] @ states[cache_start:end].T
        position, cache_position = np.arange(start, end)[:, None], np.arange(cache_start, end)[None]
        in_window = (cache_position < position) & (cache_position >= position - window)
        similarity = np.where(in_window, similarity, -np.inf)
        maximum = similarity.max(axis=1, initial=-np.inf, where=in_window)
        weight = np.exp(similarity - np.where(in_window.any(axis=1), maximum, 0.0)[:, None])
        is_target = (targets[cache_start:end][None] == targets[start:end, None]) & in_window
        result[start:end] = (weight * is_target).sum(axis=1) / np.maximum(weight.sum(axis=1), EPSILON)
    return result


def unigram_cache(targets: np.ndarray, window: int = UNIGRAM_WINDOW) -> np.ndarray:
    """Returns the relative frequency of each word in the `window` words before it (Kuhn & De Mori, 1990), float64 `(words,)`.

    The value of the first word is 0.
    """
    return continuous_cache(np.zeros((len(targets), 1), np.float32), targets, 0.0, window)  # all states are equal


def choose_sharpness(hidden: np.ndarray, targets: np.ndarray, model: np.ndarray) -> float:
    """Returns the sharpness that gives the mixture of a model and the continuous cache the highest likelihood.

    Args:
        hidden: states before each word of the validation split, float32 `(words, size)`.
        targets: token ids of the words, int `(words,)`.
        model: probabilities of the words by the model, `(words,)`.
    """
    log_likelihood = {}
    norm = max(float(np.mean(np.sum(hidden**2, axis=1))), EPSILON)
    for sharpness in np.array(SHARPNESS) / norm:
        members = [model, continuous_cache(hidden, targets, sharpness)]
        mixture = mix(members, fit_mixture_weights(members))
        log_likelihood[sharpness] = np.mean(np.log(np.maximum(mixture, EPSILON)))
    return float(max(log_likelihood, key=lambda sharpness: log_likelihood[sharpness]))


def fit_mixture_weights(probabilities: Sequence[np.ndarray], iterations: int = EM_ITERATIONS) -> np.ndarray:
    """Returns the mixture weights with the highest likelihood, by expectation maximization.

    Args:
        probabilities: probabilities of the words by each model, `(words,)` each.
        iterations: number of EM steps.

    Returns:
        Weights `(models,)` with sum 1.
    """
    stacked = np.stack(probabilities)
    weights = np.full(len(stacked), 1 / len(stacked))
    for _ in range(iterations):
        weighted = weights[:, None] * stacked
        weights = np.mean(weighted / np.maximum(weighted.sum(axis=0), EPSILON), axis=1)
        weights /= weights.sum()
    return weights


def mix(probabilities: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Returns the weighted mean of the probabilities of several models, `(words,)`."""
    return np.asarray(weights @ np.stack(probabilities))
