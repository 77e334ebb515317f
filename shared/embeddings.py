"""Word vectors from the training texts alone, in seconds: a start for the embedding below an LSTM."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp
from sklearn.utils.extmath import randomized_svd

CONTEXT_SMOOTHING = 0.75


def word_vectors(
    sequences: Sequence[np.ndarray], vocabulary_size: int, size: int, window: int = 6, reserved: int = 2, seed: int = 0
) -> np.ndarray:
    """Factorises the positive pointwise mutual information of words and their neighbours.

    PPMI with context smoothing 0.75 and singular values to the power 1/2, as Levy, Goldberg & Dagan (2015) found best;
    a neighbour at distance d counts (window + 1 - d) / window.

    Args:
        sequences: one integer array `(length,)` a text; numbers from `vocabulary_size` on count as unknown.
        vocabulary_size: rows of the result.
        size: columns of the result; where the vocabulary is smaller than this, the rest is zeros.
        window: farthest neighbour that counts.
        reserved: numbers below this (padding, unknown) get zeros and are nobody's neighbours.
        seed: of the randomised decomposition.

    Returns:
        float32 array `(vocabulary_size, size)` with standard deviation 0.3 over the words.
    """
    counts = _cooccurrences(sequences, vocabulary_size, window, reserved)
    ppmi = _positive_mutual_information(counts)
    rank = min(size, vocabulary_size - 1)
    vectors = np.zeros((vocabulary_size, size), np.float32)
    if ppmi.nnz == 0:
        return vectors
    left, singular, _ = randomized_svd(ppmi, rank, n_iter=4, random_state=seed)
    vectors[:, :rank] = left * np.sqrt(singular)
    vectors[:reserved] = 0.0
    spread = vectors[reserved:].std()
    return (vectors * (0.3 / spread)).astype(np.float32) if spread > 0 else vectors


def _cooccurrences(sequences: Sequence[np.ndarray], vocabulary_size: int, window: int, reserved: int) -> sp.csr_matrix:
    gap = np.zeros(window, np.int32)  # no neighbours across two texts
    words = np.concatenate([part for sequence in sequences for part in (sequence, gap)]).astype(np.int64)
    words[words >= vocabulary_size] = 0
    counts = sp.csr_matrix((vocabulary_size, vocabulary_size), dtype=np.float32)
    for distance in range(1, window + 1):
        first, second = words[:-distance], words[distance:]
        known = (first >= reserved) & (second >= reserved)
        weight = np.full(int(known.sum()), (window + 1 - distance) / window, np.float32)
        counts = counts + sp.csr_matrix((weight, (first[known], second[known])), shape=counts.shape)
    return counts + counts.T


def _positive_mutual_information(counts: sp.csr_matrix) -> sp.csr_matrix:
    totals = np.asarray(counts.sum(axis=1)).ravel()
    smoothed = totals**CONTEXT_SMOOTHING
    pairs = counts.tocoo()
    expected = totals[pairs.row] * smoothed[pairs.col] / max(smoothed.sum(), 1e-12)
    information = np.log(pairs.data / expected)
    positive = information > 0
    return sp.csr_matrix((information[positive], (pairs.row[positive], pairs.col[positive])), shape=counts.shape)
