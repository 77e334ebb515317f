"""What was read just before says something of what comes: caches beside a language model, and mixtures of models.

Everything here is of the probabilities that were given to the words which came, `(words,)`; weights come from validation.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

WINDOW = 2000  # words that a neural cache looks back on
RECENT = 500  # words of a unigram cache
SHARPNESS = (1.0, 2.0, 3.0, 5.0, 8.0, 12.0)  # of a neural cache, by the states' mean square length; validation chooses
PART = 256
LEAST = 1e-12


def neural_cache(hidden: np.ndarray, targets: np.ndarray, sharpness: float, window: int = WINDOW) -> np.ndarray:
    """Returns the probability of each word by a continuous cache (Grave, Joulin & Usunier, 2017), `(words,)`.

    A word that came lately after a state like the present one is likely: p(w) ~ sum of exp(sharpness h·h') over the states
    h' of the window that were followed by w.

    Args:
        hidden: states before each word, float32 `(words, size)`.
        targets: token_ids of the words that came, `(words,)`.
        sharpness: of the likeness.
        window: words to look back on.
    """
    states = hidden * np.float32(np.sqrt(sharpness))
    found = np.zeros(len(targets))
    for start in range(0, len(targets), PART):
        end = min(start + PART, len(targets))
        begin = max(0, start - window)
        like = states[start:end] @ states[begin:end].T
        here, there = np.arange(start, end)[:, None], np.arange(begin, end)[None]
        seen = (there < here) & (there >= here - window)
        like = np.where(seen, like, -np.inf)
        top = np.where(seen.any(axis=1), like.max(axis=1, initial=-np.inf, where=seen), 0.0)
        weight = np.exp(like - top[:, None])
        right = (targets[begin:end][None] == targets[start:end, None]) & seen
        found[start:end] = (weight * right).sum(axis=1) / np.maximum(weight.sum(axis=1), LEAST)
    return found


def unigram_cache(targets: np.ndarray, window: int = RECENT) -> np.ndarray:
    """Returns the share of each word among those just before it (Kuhn & De Mori, 1990), `(words,)`; 0 for the first."""
    return neural_cache(np.zeros((len(targets), 1), np.float32), targets, 0.0, window)  # all states are alike


def sharpest(hidden: np.ndarray, targets: np.ndarray, model: np.ndarray) -> float:
    """Returns the sharpness with which a cache helps a model the most, by the words' probabilities on validation."""
    best = {}
    length = max(float(np.mean(np.sum(hidden**2, axis=1))), LEAST)
    for sharpness in np.array(SHARPNESS) / length:
        both = [model, neural_cache(hidden, targets, sharpness)]
        best[sharpness] = np.mean(np.log(np.maximum(mixed(both, weights_of(both)), LEAST)))
    return float(max(best, key=lambda sharpness: best[sharpness]))


def weights_of(probabilities: Sequence[np.ndarray], rounds: int = 100) -> np.ndarray:
    """Returns the weights of a mixture that make the words most likely, by expectation maximisation, `(models,)`."""
    given = np.stack(probabilities)
    weights = np.full(len(given), 1 / len(given))
    for _ in range(rounds):
        shares = weights[:, None] * given
        weights = np.mean(shares / np.maximum(shares.sum(axis=0), LEAST), axis=1)
        weights /= weights.sum()
    return weights


def mixed(probabilities: Sequence[np.ndarray], weights: np.ndarray) -> np.ndarray:
    """Returns the mixture's probabilities `(words,)`."""
    return np.asarray(weights @ np.stack(probabilities))
