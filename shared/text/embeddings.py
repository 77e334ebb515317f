"""Word vectors computed from the training texts alone, in seconds: initial values of the embedding below an LSTM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

CONTEXT_SMOOTHING = 0.75
"""Exponent of the context counts (Levy, Goldberg & Dagan, 2015, section 3.2)."""


def word_vectors(
    sequences: Sequence[np.ndarray], vocabulary_size: int, size: int, window: int = 6, reserved: int = 2, seed: int = 0
) -> np.ndarray:
    """Factorizes the positive pointwise mutual information (PPMI) of each word and its neighbors.

    The context counts are smoothed with the exponent 0.75, and the singular values have the exponent 1/2: the settings that
    Levy, Goldberg & Dagan (2015) found best. A neighbor at distance d has the weight (window + 1 - d) / window.

    Args:
        sequences: token ids of each text, int `(length,)`; an id of at least `vocabulary_size` counts as unknown.
        vocabulary_size: rows of the result.
        size: columns of the result; from column `vocabulary_size - 1` on they are zeros.
        window: maximum distance of a neighbor, in words, at least 1.
        reserved: number of token ids that are not words, such as padding and unknown: the ids below this number get zeros
            and are not counted as neighbors.
        seed: random seed of the decomposition.

    Returns:
        float32 array `(vocabulary_size, size)`; the vectors of the words have the standard deviation 0.3. All zeros if no word
        has a neighbor.
    """
    counts = _cooccurrences(sequences, vocabulary_size, window, reserved)
    ppmi = _positive_mutual_information(counts)
    rank = min(size, vocabulary_size - 1)
    vectors = np.zeros((vocabulary_size, size), np.float32)
    if ppmi.nnz == 0:
        return vectors
    left, singular_values, _ = randomized_svd(ppmi, rank, n_iter=4, random_state=seed)
    vectors[:, :rank] = left * np.sqrt(singular_values)
    vectors[:reserved] = 0.0
    deviation = vectors[reserved:].std()
    return (vectors * (0.3 / deviation)).astype(np.float32) if deviation > 0 else vectors


def _cooccurrences(sequences: Sequence[np.ndarray], vocabulary_size: int, window: int, reserved: int) -> sp.csr_matrix:
    """Returns the weighted counts of neighbors, `(vocabulary_size, vocabulary_size)`, symmetric."""
    gap = np.zeros(window, np.int32)  # between two texts, so that their words are not neighbors
    token_ids = np.concatenate([part for sequence in sequences for part in (sequence, gap)]).astype(np.int64)
    token_ids[token_ids >= vocabulary_size] = 0
    counts = sp.csr_matrix((vocabulary_size, vocabulary_size), dtype=np.float32)
    for distance in range(1, window + 1):
        first, second = token_ids[:-distance], token_ids[distance:]
        are_words = (first >= reserved) & (second >= reserved)
        weight = np.full(int(are_words.sum()), (window + 1 - distance) / window, np.float32)
        counts = counts + sp.csr_matrix((weight, (first[are_words], second[are_words])), shape=counts.shape)
    return counts + counts.T


def _positive_mutual_information(counts: sp.csr_matrix) -> sp.csr_matrix:
    totals = np.asarray(counts.sum(axis=1)).ravel()
    smoothed = totals**CONTEXT_SMOOTHING
    pairs = counts.tocoo()
    expected = totals[pairs.row] * smoothed[pairs.col] / max(smoothed.sum(), 1e-12)
    information = np.log(pairs.data / expected)
    positive = information > 0
    return sp.csr_matrix((information[positive], (pairs.row[positive], pairs.col[positive])), shape=counts.shape)
