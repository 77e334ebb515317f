"""`shared.training.losses`: class weights balance the classes; the focal factor counts easy examples less."""

from __future__ import annotations

import keras
import numpy as np

from shared.training.losses import (
    BinaryFocalCrossentropy,
    FocalCrossentropy,
    balanced_binary_weights,
    balanced_weights,
)

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


TARGETS = np.array([[1, 0, 0], [0, 1, 1], [1, 0, 1]], np.float32)


def test_balanced_binary_weights_give_texts_with_and_without_a_label_the_same_total():
    targets = np.array([[1, 0, 1]] + [[0, 1, 1]] * 3, np.float32)
    weights = balanced_binary_weights(targets)
    for k in range(2):
        having = targets[:, k] > 0
        np.testing.assert_allclose(weights[1, k] * having.sum(), weights[0, k] * (~having).sum(), rtol=1e-6)
    np.testing.assert_allclose(weights[:, 2], 1.0)


def test_without_options_the_binary_loss_is_the_binary_cross_entropy():
    expected = keras.losses.BinaryCrossentropy(from_logits=True)(TARGETS, LOGITS)
    np.testing.assert_allclose(BinaryFocalCrossentropy()(TARGETS, LOGITS), expected, rtol=1e-6)


def test_the_focal_factor_and_the_class_weights_multiply_the_binary_cross_entropy():
    p = 1 / (1 + np.exp(-LOGITS))
    correct = np.where(TARGETS > 0, p, 1 - p)
    weights = np.array([[1.0, 0.5, 2.0], [3.0, 1.0, 0.25]], np.float32)
    factor = np.where(TARGETS > 0, weights[1], weights[0])
    expected = np.mean(factor * (1 - correct) ** 2 * -np.log(correct))
    np.testing.assert_allclose(BinaryFocalCrossentropy(weights, 2.0)(TARGETS, LOGITS), expected, rtol=1e-5)
