"""Words that occur in the same contexts get similar vectors; reserved token ids get zeros."""

import numpy as np
import pytest

from shared.text.embeddings import word_vectors


@pytest.fixture(scope="module")
def vectors():
    """Vectors from texts in which words 2 to 6 are neighbors of 12 to 16, and words 7 to 11 are neighbors of 17 to 21."""
    rng = np.random.default_rng(0)
    texts = []
    for _ in range(600):
        group = rng.integers(2)
        texts.append(np.stack([rng.integers(2, 7, 6), rng.integers(12, 17, 6)], axis=1).ravel() + 5 * group)
    return word_vectors(texts, vocabulary_size=24, size=8)


def test_words_with_the_same_neighbors_have_similar_vectors(vectors):
    unit = vectors[2:12] / np.linalg.norm(vectors[2:12], axis=1, keepdims=True)
    similarity = unit @ unit.T
    assert similarity[:5, :5].mean() > similarity[:5, 5:].mean() + 0.5


def test_shape_scale_and_reserved_ids(vectors):
    assert vectors.shape == (24, 8)
    assert vectors.dtype == np.float32
    assert not vectors[:2].any()
    assert vectors[2:].std() == pytest.approx(0.3, rel=1e-3)


def test_columns_beyond_the_vocabulary_size_are_zeros():
    vectors = word_vectors([np.array([2, 3, 4, 2, 3, 4])], vocabulary_size=5, size=9)
    assert vectors.shape == (5, 9)
    assert not vectors[:, 4:].any()


def test_texts_without_any_neighbors_give_zeros():
    assert not word_vectors([np.array([2]), np.array([3])], vocabulary_size=4, size=3).any()


def test_same_seed_gives_the_same_vectors(vectors):
    texts = [np.random.default_rng(k).integers(2, 9, 12) for k in range(30)]
    np.testing.assert_array_equal(word_vectors(texts, 9, 4, seed=1), word_vectors(texts, 9, 4, seed=1))
