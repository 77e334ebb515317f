"""`tasks.sentiment.ngrams`: the hashed n-grams are those of the text, and the Keras model equals the regression."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import scipy.sparse as sp
from keras import ops

from tasks.sentiment import ngrams

BUCKETS = 100_003


def hash_rows(*rows: list[int], order: int = 3) -> list[set[int]]:
    """Returns the set of buckets of each row of token ids."""
    width = max(map(len, rows))
    token_ids = np.array([row + [0] * (width - len(row)) for row in rows], np.int32)
    hashed = ops.convert_to_numpy(ngrams.hash_ngrams(token_ids, order, BUCKETS))
    return [set(row[row > 0].tolist()) for row in hashed]


def test_a_text_has_each_of_its_unigrams_bigrams_and_trigrams_once():
    (buckets,) = hash_rows([5, 6, 7, 8])
    assert len(buckets) == 4 + 3 + 2
    (repeated,) = hash_rows([5, 6, 5, 6])
    assert len(repeated) == len({(5,), (6,), (5, 6), (6, 5), (5, 6, 5), (6, 5, 6)})


def test_the_order_of_the_words_and_their_number_change_the_bucket():
    forward, backward = hash_rows([5, 6], [6, 5])
    assert len(forward & backward) == 2  # the unigrams
    assert len(forward | backward) == 4


def test_padding_and_other_rows_change_nothing():
    (alone,) = hash_rows([5, 6])
    in_batch, _ = hash_rows([5, 6], [9, 8, 7, 6, 5, 4])
    assert alone == in_batch


def test_there_are_no_more_collisions_than_by_chance():
    rng = np.random.default_rng(0)
    token_ids = rng.integers(1, 30_000, (1, 3000)).astype(np.int32)
    hashed = ops.convert_to_numpy(ngrams.hash_ngrams(token_ids, 3, 2_097_143))
    distinct = len(np.unique(token_ids)) + 2999 + 2998
    expected_by_chance = 2_097_142 * (1 - np.exp(-distinct / 2_097_142))
    assert (hashed > 0).sum() == pytest.approx(expected_by_chance, rel=0.01)


@pytest.mark.parametrize("classes", [2, 3])
def test_the_keras_model_equals_the_regression(classes):
    rng = np.random.default_rng(0)
    labels = rng.integers(0, classes, 300)
    rows = [rng.integers(1, 40, rng.integers(3, 12)) + 40 * (rng.random() < 0.7) * label for label in labels]
    token_ids = np.zeros((300, 12), np.int32)
    for row, values in zip(token_ids, rows, strict=True):
        row[: len(values)] = values
    features = ngrams.build_feature_matrix([token_ids[:100], token_ids[100:]], 3, BUCKETS)
    regression = ngrams.NaiveBayesLogisticRegression()
    regression.fit(features[:200], labels[:200], features[200:], labels[200:])
    assert (regression.logits(features[200:]).argmax(axis=1) == labels[200:]).mean() > 0.6
    ngram_model = ngrams.build_ngram_model(classes, 3, BUCKETS)
    ngrams.copy_weights(regression, ngram_model)
    np.testing.assert_allclose(ngram_model(token_ids), regression.logits(features), atol=1e-4)


def test_the_keras_model_equals_the_regression_of_several_labels():
    rng = np.random.default_rng(0)
    labels = (rng.random((300, 2)) < 0.4).astype(np.float32)
    token_ids = np.stack([rng.integers(1, 10, 12) for _ in range(300)]).astype(np.int32)
    token_ids[:, 0] = np.where(labels[:, 0] > 0, 50, 9)
    token_ids[:, 1] = np.where(labels[:, 1] > 0, 60, 9)
    features = ngrams.build_feature_matrix([token_ids], 1, BUCKETS)
    regression = ngrams.NaiveBayesLogisticRegression()
    regression.fit(features[:200], labels[:200], features[200:], labels[200:])
    assert ((regression.logits(features[200:]) > 0) == (labels[200:] > 0)).mean() > 0.95
    ngram_model = ngrams.build_ngram_model(2, 1, BUCKETS, is_multilabel=True)
    ngrams.copy_weights(regression, ngram_model)
    np.testing.assert_allclose(ngram_model(token_ids), regression.logits(features), atol=1e-4)
    weights = np.array([[1.0, 1.0], [20.0, 1.0]])
    weighted = ngrams.NaiveBayesLogisticRegression(weights)
    weighted.fit(features[:200], labels[:200], features[200:], labels[200:])
    change = weighted.probabilities(features, True) - regression.probabilities(features, True)
    assert change[:, 0].mean() > 0.001
    np.testing.assert_allclose(change[:, 1], 0.0, atol=0.05)


def test_a_label_of_all_texts_or_of_none_has_only_a_bias():
    features = sp.csr_matrix(np.ones((8, 3), np.float32))
    regression = ngrams.NaiveBayesLogisticRegression()
    labels = np.stack([np.ones(8), np.zeros(8)], axis=1)
    regression.fit(features, labels, features, labels)
    np.testing.assert_allclose(regression.logits(features)[0], [np.log(9), -np.log(9)], rtol=1e-6)


def test_the_log_count_ratio_is_that_of_the_paper():
    features = sp.csr_matrix(np.array([[1, 0], [1, 1], [0, 1]], np.float32))
    is_inside = np.array([True, True, False])
    p, q = np.array([3, 2]), np.array([1, 2])  # counts plus one
    expected = np.log(p / 5) - np.log(q / 3)
    np.testing.assert_allclose(ngrams._log_count_ratio(features, is_inside), expected, rtol=1e-6)


def test_the_logits_of_an_untrained_model_are_zero():
    ngram_model = ngrams.build_ngram_model(2, 3, 97)
    assert not ops.convert_to_numpy(ngram_model(np.array([[3, 4, 5]]))).any()
    assert isinstance(ngram_model, keras.Model)


@pytest.mark.parametrize(
    ("classes", "weights", "is_multilabel", "buckets"),
    [
        (2, 65_521, False, 65_521),
        (5, 65_521, False, 13_104),
        (40, 65_521, False, 65_521),
        (2, 65_521, True, 65_521),
        (40, 65_521, True, 65_521),
        (40, 8_388_593, True, 209_714),
        (1000, 65_521, True, 8_388),
        (40, 40_000_000, True, 1_000_000),
    ],
)
def test_many_labels_have_as_many_ngram_weights_as_few_within_a_limit(classes, weights, is_multilabel, buckets):
    assert ngrams.count_buckets(classes, weights, is_multilabel) == buckets
