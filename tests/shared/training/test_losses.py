"""`shared.training.losses`: class weights balance the classes; the focal factor counts easy examples less."""

from __future__ import annotations

import keras
import numpy as np

from shared.training.losses import FocalCrossentropy, balanced_weights

LOGITS = np.array([[2.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.5, 0.0, 0.0]], np.float32)
LABELS = np.array([0, 1, 2])


def test_balanced_weights_give_each_class_the_same_total():
    labels = np.array([0] * 6 + [1] * 3 + [3])
    weights = balanced_weights(labels, 4)
    assert weights[2] == 0
    np.testing.assert_allclose([weights[k] * (labels == k).sum() for k in (0, 1, 3)], 10 / 3, rtol=1e-6)
    np.testing.assert_allclose(weights[labels].mean(), 1.0, rtol=1e-6)


def test_without_options_the_loss_is_the_cross_entropy():
    expected = keras.losses.SparseCategoricalCrossentropy(from_logits=True)(LABELS, LOGITS)
    np.testing.assert_allclose(FocalCrossentropy()(LABELS, LOGITS), expected, rtol=1e-6)


def test_the_focal_factor_and_the_class_weights_multiply_the_cross_entropy():
    p = (np.exp(LOGITS) / np.exp(LOGITS).sum(axis=1, keepdims=True))[np.arange(3), LABELS]
    weights = np.array([1.0, 2.0, 4.0], np.float32)
    expected = np.mean(weights[LABELS] * (1 - p) ** 2 * -np.log(p))
    np.testing.assert_allclose(FocalCrossentropy(weights, 2.0)(LABELS, LOGITS), expected, rtol=1e-5)
