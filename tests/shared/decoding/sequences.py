"""Log-probabilities of symbols for the tests of CTC decoding."""

from __future__ import annotations

import numpy as np


def log_probabilities_of(path: str, alphabet: str) -> np.ndarray:
    """Returns log-probabilities in which each character of `path` is the most probable symbol of one step, float32
    `(steps, symbols)`; "_" is `BLANK_ID`. Its probability is 0.9."""
    symbol_ids = [0 if character == "_" else alphabet.index(character) + 1 for character in path]
    probabilities = np.full((len(path), len(alphabet) + 1), 0.1 / len(alphabet), np.float32)
    probabilities[np.arange(len(path)), symbol_ids] = 0.9
    return np.log(probabilities)


def random_log_probabilities(steps: int, alphabet: str, seed: int) -> np.ndarray:
    """Returns random log-probabilities, float64 `(steps, symbols)`."""
    values = np.random.default_rng(seed).normal(0, 1.5, (steps, len(alphabet) + 1))
    return values - np.log(np.exp(values).sum(axis=1, keepdims=True))
