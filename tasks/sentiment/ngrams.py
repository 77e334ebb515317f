"""The wide part: n-grams weighted by naive Bayes and logistic regression (NB-LR; Wang & Manning, 2012).

For a class and an n-gram f, with p and q the smoothed shares of texts inside and outside the class that hold f, the
feature's value is log(p / q) where the text holds f, else 0; a logistic regression weighs the features. In the graph,
n-grams are numbers: a hash of their words' numbers, looked up in one table of weights.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
from keras import ops
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

MULTIPLIERS = (1, 1_000_003, 7_368_787)  # one for each place in an n-gram, odd, so that order matters
OFFSETS = (0, 12_345_701, 39_916_801)  # one for each length, so that "a" and "a b" differ
PENALTIES = (0.03, 0.1, 0.3, 1.0)


def ngram_buckets(ids: Any, longest: int, buckets: int) -> Any:
    """Hashes every n-gram of one to `longest` words.

    Args:
        ids: int32 tensor `(batch, time)` of word numbers, 0 for padding on the right.
        longest: most words in an n-gram, 1 to 3.
        buckets: size of the hash table.

    Returns:
        int32 tensor `(batch, longest * time)` of numbers in 1 … buckets - 1, sorted in each row; repetitions and
        n-grams that reach into the padding are 0.
    """
    hashed = []
    code = ops.zeros_like(ids)
    for place in range(longest):
        shifted = ops.pad(ids, [[0, 0], [0, place]])[:, place:] if place else ids
        code = code + shifted * MULTIPLIERS[place]  # wraps around, the same on every backend
        number = 1 + ops.mod(code + OFFSETS[place], buckets - 1)
        hashed.append(ops.where(ops.equal(shifted, 0), 0, number))
    ordered = ops.sort(ops.concatenate(hashed, axis=1), axis=1)
    before = ops.pad(ordered, [[0, 0], [1, 0]])[:, :-1]
    return ops.where(ops.equal(ordered, before), 0, ordered)


def wide_model(classes: int, longest: int, buckets: int) -> keras.Model:
    """Returns a model from word numbers `(batch, time)` int32 to logits `(batch, classes)`; all zero until `fill`."""
    columns = _columns(classes)
    ids = keras.Input((None,), dtype="int32", name="words")
    numbers = ngram_buckets(ids, longest, buckets)
    weights = keras.layers.Embedding(buckets, columns, embeddings_initializer="zeros", name="ngram_weights")(numbers)
    logits = keras.layers.Dense(classes, name="ngram_bias")(ops.sum(weights, axis=1))
    return keras.Model(ids, logits, name="wide")


def buckets_for(classes: int, weights: int) -> int:
    """Returns how many buckets a table of about so many `weights` has, a column for each class."""
    return max(2, weights // _columns(classes))


def _columns(classes: int) -> int:
    return 1 if classes == 2 else classes  # of two classes the first has logit 0


def fill(wide: keras.Model, trained_model: NaiveBayesLogisticRegression) -> None:
    """Puts the weights of a trained_model linear model into the graph."""
    classes = len(trained_model.bias)
    kernel = np.array([[0.0, 1.0]]) if classes == 2 else np.eye(classes)
    wide.get_layer("ngram_weights").set_weights([trained_model.weights[:, 1:] if classes == 2 else trained_model.weights])
    wide.get_layer("ngram_bias").set_weights([kernel, trained_model.bias])


def bucket_matrix(batches: Iterable[np.ndarray], longest: int, buckets: int) -> sp.csr_matrix:
    """Returns a matrix `(texts, buckets)`, 1.0 where a text holds an n-gram of a bucket.

    Args:
        batches: padded word numbers `(batch, time)` int32.
        longest: as for `ngram_buckets`.
        buckets: as for `ngram_buckets`.
    """
    rows, columns, first = [], [], 0
    for ids in batches:
        numbers = ops.convert_to_numpy(ngram_buckets(ops.convert_to_tensor(ids, "int32"), longest, buckets))
        row, place = np.nonzero(numbers)
        rows.append(row + first)
        columns.append(numbers[row, place])
        first += len(ids)
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(first, buckets))


class NaiveBayesLogisticRegression:
    """NB-weighted logistic regression over 0/1 features, one class against the rest, penalty chosen on validation.

    After `fit`, `weights` `(features, classes)` and `bias` `(classes,)` give logits `features @ weights + bias`; of two
    classes the first has logit 0.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def fit(
        self, train: sp.csr_matrix, labels: np.ndarray, validation: sp.csr_matrix, validation_labels: np.ndarray
    ) -> NaiveBayesLogisticRegression:
        """Fits to 0/1 features `(texts, features)` and class numbers `(texts,)`; features of one text alone are left out."""
        best = np.inf
        for penalty in PENALTIES:
            candidate = NaiveBayesLogisticRegression()
            candidate.penalty = penalty
            loss = _log_loss(candidate.refit(train, labels).logits(validation), validation_labels)
            if loss < best:
                best, self.weights, self.bias, self.penalty = loss, candidate.weights, candidate.bias, penalty
        return self

    def refit(self, features: sp.csr_matrix, labels: np.ndarray) -> NaiveBayesLogisticRegression:
        """Fits anew with the penalty chosen, to all the texts there are."""
        classes = int(labels.max()) + 1
        common = np.asarray((features > 0).sum(axis=0)).ravel() >= 2
        self.weights = np.zeros((features.shape[1], classes), np.float32)
        self.bias = np.zeros(classes, np.float32)
        for k in range(1 if classes == 2 else 0, classes):
            self.weights[common, k], self.bias[k] = _one_against_rest(features[:, common], labels == k, self.penalty)
        return self

    def logits(self, features: sp.csr_matrix) -> np.ndarray:
        """Returns logits `(texts, classes)` of 0/1 features."""
        return np.asarray(features @ self.weights + self.bias)


def _one_against_rest(features: sp.csr_matrix, inside: np.ndarray, penalty: float) -> tuple[np.ndarray, float]:
    ratio = _log_count_ratio(features, inside)
    regression = LogisticRegression(C=penalty, solver="liblinear", dual=True, tol=0.01, max_iter=1000, random_state=0)
    regression.fit(features @ sp.diags(ratio), inside)
    return regression.coef_[0] * ratio, float(regression.intercept_[0])


def _log_count_ratio(features: sp.csr_matrix, inside: np.ndarray) -> np.ndarray:
    p = 1.0 + np.asarray(features[inside].sum(axis=0)).ravel()
    q = 1.0 + np.asarray(features[~inside].sum(axis=0)).ravel()
    return np.log(p / p.sum()) - np.log(q / q.sum())


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    scaled = np.exp(logits - logits.max(axis=1, keepdims=True))
    return float(log_loss(labels, scaled / scaled.sum(axis=1, keepdims=True), labels=np.arange(logits.shape[1])))
