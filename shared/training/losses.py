"""Losses for labels of unequal frequency: class weights and focal loss, for one or several labels per example."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops


def balanced_weights(labels: np.ndarray, classes: int) -> np.ndarray:
    """Returns a weight per class, float32 `(classes,)`, so that all classes that occur have the same total weight.

    The mean weight of the examples is 1.

    Args:
        labels: class ids, int `(examples,)`.
        classes: number of classes.
    """
    counts = np.bincount(labels, minlength=classes)
    used = int((counts > 0).sum())
    return (len(labels) / (used * np.maximum(counts, 1)) * (counts > 0)).astype(np.float32)


class FocalCrossentropy(keras.losses.Loss):
    """Cross-entropy of logits with class weights and the factor `(1 - p) ** gamma` (Lin et al., 2017), where p is the probability of the
    correct class.

    Args:
        class_weights: weight of the examples of each class, float `(classes,)`; None for 1.
        gamma: 0 gives the cross-entropy; larger values count examples less that the model already classifies well.
    """

    def __init__(self, class_weights: np.ndarray | None = None, gamma: float = 0.0) -> None:
        super().__init__(name="focal_crossentropy")
        self.class_weights = class_weights
        self.gamma = gamma

    def call(self, labels: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the loss of each example `(batch,)`, from class ids `(batch,)` or `(batch, 1)` and logits `(batch, classes)`."""
        labels = ops.reshape(ops.cast(labels, "int32"), (-1,))
        loss = ops.sparse_categorical_crossentropy(labels, logits, from_logits=True)
        if self.gamma:
            loss = loss * ops.power(1.0 - ops.exp(-loss) + 1e-7, self.gamma)
        if self.class_weights is not None:
            loss = loss * ops.take(ops.convert_to_tensor(self.class_weights), labels)
        return loss


def balanced_binary_weights(targets: np.ndarray) -> np.ndarray:
    """Returns the weights of the examples without and with each label, float32 `(2, classes)`: both have the same total weight.

    The mean weight of the examples of a label is 1; a label that all examples have, or none, has weight 1.

    Args:
        targets: 0 and 1 for each class, `(examples, classes)`.
    """
    fraction = np.mean(targets > 0, axis=0)
    is_fixed = (fraction == 0) | (fraction == 1)
    fraction = np.where(is_fixed, 0.5, fraction)
    return np.stack([0.5 / (1.0 - fraction), 0.5 / fraction]).astype(np.float32)


class BinaryFocalCrossentropy(keras.losses.Loss):
    """Binary cross-entropy of the logit of each class, with class weights and the factor of the focal loss (Lin et al., 2017).

    Args:
        class_weights: weights of the examples without and with each label, float `(2, classes)`; None for 1.
        gamma: 0 gives the cross-entropy; larger values count decisions less that the model already makes well.
    """

    def __init__(self, class_weights: np.ndarray | None = None, gamma: float = 0.0) -> None:
        super().__init__(name="binary_focal_crossentropy")
        self.class_weights = class_weights
        self.gamma = gamma

    def call(self, targets: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
        """Returns the mean loss over the classes for each example `(batch,)`, from 0 and 1 and logits `(batch, classes)`."""
        targets = ops.cast(targets, logits.dtype)
        loss = ops.softplus(logits) - targets * logits
        if self.gamma:
            loss = loss * ops.power(1.0 - ops.exp(-loss) + 1e-7, self.gamma)
        if self.class_weights is not None:
            without, having = (ops.convert_to_tensor(weights) for weights in self.class_weights)
            loss = loss * ops.where(targets > 0.5, having, without)
        return ops.mean(loss, axis=-1)
