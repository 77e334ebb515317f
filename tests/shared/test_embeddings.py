"""Word vectors: words of like company lie close, reserved numbers are zeros."""

import numpy as np
import pytest

from shared.embeddings import word_vectors


@pytest.fixture(scope="module")
def vectors():
    """Words 2 to 6 keep company with 12 to 16, words 7 to 11 with 17 to 21."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(600):
        side = rng.integers(2)
        texts.append(np.stack([rng.integers(2, 7, 6), rng.integers(12, 17, 6)], axis=1).ravel() + 5 * side)
    return word_vectors(texts, vocabulary_size=24, size=8)


def test_words_of_like_company_lie_close(vectors):
    unit = vectors[2:12] / np.linalg.norm(vectors[2:12], axis=1, keepdims=True)
    likeness = unit @ unit.T
    assert likeness[:5, :5].mean() > likeness[:5, 5:].mean() + 0.5


def test_shape_scale_and_reserved_numbers(vectors):
    assert vectors.shape == (24, 8)
    assert vectors.dtype == np.float32
    assert not vectors[:2].any()
    assert vectors[2:].std() == pytest.approx(0.3, rel=1e-3)


def test_more_columns_than_words_are_filled_with_zeros():
    vectors = word_vectors([np.array([2, 3, 4, 2, 3, 4])], vocabulary_size=5, size=9)
    assert vectors.shape == (5, 9)
    assert not vectors[:, 4:].any()


def test_no_neighbours_at_all_give_zeros():
    assert not word_vectors([np.array([2]), np.array([3])], vocabulary_size=4, size=3).any()


def test_the_same_seed_gives_the_same_vectors(vectors):
    texts = [np.random.default_rng(k).integers(2, 9, 12) for k in range(30)]
    np.testing.assert_array_equal(word_vectors(texts, 9, 4, seed=1), word_vectors(texts, 9, 4, seed=1))
