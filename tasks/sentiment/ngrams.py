"""The n-gram model: logistic regression on n-grams weighted by naive Bayes (NB-LR; Wang & Manning, 2012).

For a class and an n-gram f, let p and q be the smoothed fractions of f among the n-grams of the texts inside and outside the class.
The value of the feature f is log(p / q) if the text contains f, else 0; a logistic regression fits the weights of the features.
In the Keras graph, the token ids of an n-gram are hashed to a bucket, the index of its weight in one table.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import keras
import numpy as np
import scipy.sparse as sp
from keras import ops
from scipy.special import expit, softmax
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss

MULTIPLIERS = (1, 1_000_003, 7_368_787)  # one per position in an n-gram, odd, so that the order of the words matters
OFFSETS = (0, 12_345_701, 39_916_801)  # one per order, so that "a" and "a b" have different hashes
FEW_CLASSES = 10  # each of more classes has its own n-gram weights
MAX_WEIGHTS = 8_388_593  # of all classes together, 32 MiB, if the option does not give more
PENALTIES = (0.03, 0.1, 0.3, 1.0)  # inverse regularization strengths, `C` in scikit-learn


def hash_ngrams(token_ids: Any, order: int, buckets: int) -> Any:
    """Hashes every n-gram of 1 to `order` words.

    Args:
        token_ids: int32 tensor `(batch, time)`, 0 for padding on the right.
        order: maximum number of words in an n-gram, 1 to 3.
        buckets: size of the hash table.

    Returns:
        int32 tensor `(batch, order * time)` of buckets from 1 to `buckets - 1`, sorted within each row; 0 for repeated buckets and for
        n-grams that reach into the padding.
    """
    hashed = []
    code = ops.zeros_like(token_ids)
    for position in range(order):
        shifted = ops.pad(token_ids, [[0, 0], [0, position]])[:, position:] if position else token_ids
        code = code + shifted * MULTIPLIERS[position]  # the overflow wraps around, in the same way on every backend
        bucket = 1 + ops.mod(code + OFFSETS[position], buckets - 1)
        hashed.append(ops.where(ops.equal(shifted, 0), 0, bucket))
    ordered = ops.sort(ops.concatenate(hashed, axis=1), axis=1)
    previous = ops.pad(ordered, [[0, 0], [1, 0]])[:, :-1]
    return ops.where(ops.equal(ordered, previous), 0, ordered)


def build_ngram_model(classes: int, order: int, buckets: int, is_multilabel: bool = False) -> keras.Model:
    """Returns a model from token ids `(batch, time)` int32 to logits `(batch, classes)`; `copy_weights` sets its weights, which are
    zero until then. With `is_multilabel`, two classes have independent logits."""
    token_ids = keras.Input((None,), dtype="int32", name="token_ids")
    indices = hash_ngrams(token_ids, order, buckets)
    table = keras.layers.Embedding(
        buckets, _weights_per_bucket(classes, is_multilabel), embeddings_initializer="zeros", name="ngram_weights"
    )
    logits = keras.layers.Dense(classes, name="ngram_bias")(ops.sum(table(indices), axis=1))
    return keras.Model(token_ids, logits, name="ngrams")


def count_buckets(classes: int, weights: int, is_multilabel: bool = False) -> int:
    """Returns the number of buckets of the table of n-gram weights.

    Few classes, one of which each text has, share `weights`. Each of more classes, or of labels that are predicted by themselves, has
    as many, so that n-grams collide no more often than with few classes; `MAX_WEIGHTS` limits the memory that this needs.

    Args:
        classes: number of classes.
        weights: number of weights of few classes together.
        is_multilabel: True if a text may have several labels.
    """
    per_bucket = _weights_per_bucket(classes, is_multilabel)
    if is_multilabel or classes > FEW_CLASSES:
        weights = max(weights, min(weights * per_bucket, MAX_WEIGHTS))
    return max(2, weights // per_bucket)


def _weights_per_bucket(classes: int, is_multilabel: bool) -> int:
    return 1 if classes == 2 and not is_multilabel else classes  # of two classes, the logit of the first one is 0


def copy_weights(regression: NaiveBayesLogisticRegression, ngram_model: keras.Model) -> None:
    """Copies the weights of a fitted regression into the Keras model."""
    classes = len(regression.bias)
    is_single = ngram_model.get_layer("ngram_weights").output_dim < classes
    kernel = np.array([[0.0, 1.0]]) if is_single else np.eye(classes)
    weights = regression.weights[:, 1:] if is_single else regression.weights
    ngram_model.get_layer("ngram_weights").set_weights([weights])
    ngram_model.get_layer("ngram_bias").set_weights([kernel, regression.bias])


def build_feature_matrix(batches: Iterable[np.ndarray], order: int, buckets: int) -> sp.csr_matrix:
    """Returns a matrix `(texts, buckets)` with 1.0 where a text contains an n-gram of a bucket.

    Args:
        batches: padded token ids, int32 `(batch, time)` each.
        order: as in `hash_ngrams`.
        buckets: as in `hash_ngrams`.
    """
    rows, columns, first_row = [], [], 0
    for token_ids in batches:
        hashed = ops.convert_to_numpy(hash_ngrams(ops.convert_to_tensor(token_ids, "int32"), order, buckets))
        row, position = np.nonzero(hashed)
        rows.append(row + first_row)
        columns.append(hashed[row, position])
        first_row += len(token_ids)
    row, column = np.concatenate(rows), np.concatenate(columns)
    return sp.csr_matrix((np.ones(len(row), np.float32), (row, column)), shape=(first_row, buckets))


class NaiveBayesLogisticRegression:
    """NB-weighted logistic regression on binary features, one class against the rest; the validation split chooses the penalty.

    The optional class weights `(classes,)` are those of the texts in the loss; with several labels per text `(2, classes)`, those of
    the texts without and with each label. After `fit`, `weights` `(features, classes)` and `bias` `(classes,)` give logits
    `features @ weights + bias`. With two classes, one of which each text has, the logit of the first class is 0.
    """

    weights: np.ndarray
    bias: np.ndarray
    penalty: float

    def __init__(self, class_weights: np.ndarray | None = None) -> None:
        self.class_weights = class_weights

    def fit(
        self, train: sp.csr_matrix, labels: np.ndarray, validation: sp.csr_matrix, validation_labels: np.ndarray
    ) -> NaiveBayesLogisticRegression:
        """Fits the weights, and chooses the penalty with the lowest log loss on the validation split.

        Args:
            train: binary features `(texts, features)`; a feature that occurs in one text only has weight 0.
            labels: class ids `(texts,)`; or 0 and 1 for each label, `(texts, classes)`.
            validation: binary features of the validation split.
            validation_labels: those of the validation split.
        """
        min_loss = np.inf
        for penalty in PENALTIES:
            candidate = NaiveBayesLogisticRegression(self.class_weights)
            candidate.penalty = penalty
            loss = _log_loss(candidate.refit(train, labels).logits(validation), validation_labels)
            if loss < min_loss:
                min_loss, self.weights, self.bias, self.penalty = loss, candidate.weights, candidate.bias, penalty
        return self

    def refit(self, features: sp.csr_matrix, labels: np.ndarray) -> NaiveBayesLogisticRegression:
        """Fits the weights again, with the same penalty.

        Args:
            features: binary features `(texts, features)`.
            labels: as in `fit`.
        """
        is_multilabel = labels.ndim == 2
        classes = labels.shape[1] if is_multilabel else int(labels.max()) + 1
        common = np.asarray((features > 0).sum(axis=0)).ravel() >= 2
        self.weights = np.zeros((features.shape[1], classes), np.float32)
        self.bias = np.zeros(classes, np.float32)
        common_features = features[:, common]
        for k in range(1 if classes == 2 and not is_multilabel else 0, classes):
            is_inside = labels[:, k] > 0 if is_multilabel else labels == k
            self.weights[common, k], self.bias[k] = _one_against_rest(
                common_features, is_inside, self.penalty, self._text_weights(labels, k)
            )
        return self

    def _text_weights(self, labels: np.ndarray, k: int) -> np.ndarray | None:
        """Returns the weights of the texts in the loss of one class, `(texts,)`."""
        if self.class_weights is None:
            return None
        if labels.ndim == 2:
            return self.class_weights[(labels[:, k] > 0).astype(int), k]
        return self.class_weights[labels]

    def probabilities(self, features: sp.csr_matrix, is_multilabel: bool = False) -> np.ndarray:
        """Returns the probabilities `(texts, classes)` of binary features `(texts, features)`."""
        logits = self.logits(features)
        return np.asarray(expit(logits) if is_multilabel else softmax(logits, axis=1))

    def logits(self, features: sp.csr_matrix) -> np.ndarray:
        """Returns the logits `(texts, classes)` of binary features `(texts, features)`."""
        return np.asarray(features @ self.weights + self.bias)


def _one_against_rest(
    features: sp.csr_matrix, is_inside: np.ndarray, penalty: float, weights: np.ndarray | None
) -> tuple[np.ndarray, float]:
    """Returns the weights `(features,)` and the bias of one class; `is_inside` `(texts,)` is True for its texts, and `weights`
    `(texts,)` are those of the texts in the loss. A class of all texts or of none has only a bias, from the rule of succession."""
    if is_inside.all() or not is_inside.any():
        return np.zeros(features.shape[1]), float(np.log((is_inside.sum() + 1) / ((~is_inside).sum() + 1)))
    ratio = _log_count_ratio(features, is_inside)
    regression = LogisticRegression(C=penalty, solver="liblinear", dual=True, tol=0.01, max_iter=1000, random_state=0)
    regression.fit(features @ sp.diags(ratio), is_inside, sample_weight=weights)
    return regression.coef_[0] * ratio, float(regression.intercept_[0])


def _log_count_ratio(features: sp.csr_matrix, is_inside: np.ndarray) -> np.ndarray:
    p = 1.0 + np.asarray(features[is_inside].sum(axis=0)).ravel()
    q = 1.0 + np.asarray(features[~is_inside].sum(axis=0)).ravel()
    return np.log(p / p.sum()) - np.log(q / q.sum())


def _log_loss(logits: np.ndarray, labels: np.ndarray) -> float:
    if labels.ndim == 2:
        return float(np.logaddexp(0.0, np.where(labels > 0, -logits, logits)).mean())
    exponentials = np.exp(logits - logits.max(axis=1, keepdims=True))
    probabilities = exponentials / exponentials.sum(axis=1, keepdims=True)
    return float(log_loss(labels, probabilities, labels=np.arange(logits.shape[1])))
