"""The wide part: its n-grams are those of the text, and the graph equals the linear model it was filled from."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from keras import ops

from tasks.sentiment import ngrams

BUCKETS = 100_003


def numbers(*rows: list[int], longest: int = 3) -> list[set[int]]:
    width = max(map(len, rows))
    ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
    return [set(row[row > 0].tolist()) for row in ops.convert_to_numpy(ngrams.ngram_buckets(ids, longest, BUCKETS))]


def test_a_text_of_n_words_has_its_unigrams_bigrams_and_trigrams_once_each():
    (found,) = numbers([5, 6, 7, 8])
    assert len(found) == 4 + 3 + 2
    (repeated,) = numbers([5, 6, 5, 6])
    assert len(repeated) == len({(5,), (6,), (5, 6), (6, 5), (5, 6, 5), (6, 5, 6)})


def test_order_and_length_make_different_ngrams():
    forward, backward = numbers([5, 6], [6, 5])
    assert len(forward & backward) == 2  # the unigrams
    assert len(forward | backward) == 4


def test_padding_and_neighbours_change_nothing():
    (alone,) = numbers([5, 6])
    beside, _ = numbers([5, 6], [9, 8, 7, 6, 5, 4])
    assert alone == beside


def test_few_of_many_ngrams_share_a_bucket():
    rng = np.random.default_rng(0)
    ids = rng.integers(1, 30_000, (1, 3000)).astype(np.int32)
    found = ops.convert_to_numpy(ngrams.ngram_buckets(ids, 3, 2_097_143))
    distinct = len(np.unique(ids)) + 2999 + 2998
    expected_by_chance = 2_097_142 * (1 - np.exp(-distinct / 2_097_142))
    assert (found > 0).sum() == pytest.approx(expected_by_chance, rel=0.01)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_graph_equals_the_linear_model(classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    rows = [rng.integers(1, 40, rng.integers(3, 12)) + 40 * (rng.random() < 0.7) * label for label in labels]
    ids = np.zeros((300, 12), np.int32)
    for row, values in zip(ids, rows, strict=True):
        row[: len(values)] = values
    matrix = ngrams.bucket_matrix([ids[:100], ids[100:]], 3, BUCKETS)
    trained_model = ngrams.NaiveBayesLogisticRegression().fit(matrix[:200], labels[:200], matrix[200:], labels[200:])
    assert (trained_model.logits(matrix[200:]).argmax(axis=1) == labels[200:]).mean() > 0.6
    wide = ngrams.wide_model(classes, 3, BUCKETS)
    ngrams.fill(wide, trained_model)
    np.testing.assert_allclose(wide(ids), trained_model.logits(matrix), atol=1e-4)


def test_the_log_count_ratio_is_that_of_the_paper():
    features = sp.csr_matrix(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    inside = np.array([True, True, False])
    p, q = np.array([3, 2]), np.array([1, 2])  # counts plus one
    expected = np.log(p / 5) - np.log(q / 3)
    np.testing.assert_allclose(ngrams._log_count_ratio(features, inside), expected, rtol=1e-6)


def test_untrained_it_says_nothing():
    wide = ngrams.wide_model(2, 3, 97)
    assert not ops.convert_to_numpy(wide(np.array([[3, 4, 5]]))).any()
    assert isinstance(wide, keras.Model)
