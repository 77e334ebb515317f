"""Adversarial training on word vectors (Miyato, Dai & Goodfellow, 2017): a regulariser for small text collections.

Each gradient step is taken for the batch as it is and for the batch with its word vectors moved a little in the direction
that hurts most, r = strength ‖v‖ g / ‖g‖ with g the gradient of the loss by the vectors v of one text. Only training
knows of it; the weights belong to stock layers.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from shared.errors import SuiteError

TINY = 1e-12


class AdversarialTraining(keras.Model):
    """Trains two models in a row, from numbers to vectors and from vectors to logits, for a single loss.

    Args:
        embed: from int32 `(batch, time)`, 0 for padding, to vectors `(batch, time, features)`.
        read: from `[vectors, mask]`, the mask boolean `(batch, time)`, to logits.
        strength: length of the disturbance as a share of the vectors' length over a whole text, above 0.

    Raises:
        SuiteError: the backend is not TensorFlow, whose gradients this step uses.
    """

    def __init__(self, embed: keras.Model, read: keras.Model, strength: float) -> None:
        super().__init__(name="adversarial_training")
        if keras.backend.backend() != "tensorflow":
            raise SuiteError("Adversarial training needs KERAS_BACKEND=tensorflow; or train with --head.adversarial 0.")
        self.embed = embed
        self.read = read
        self.strength = strength

    def call(self, numbers: Any, training: bool = False) -> Any:
        """From int32 `(batch, time)` to logits."""
        return self.read([self.embed(numbers), ops.not_equal(numbers, 0)], training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """One optimizer step on the mean of the plain and the disturbed loss; logs are those of the plain one."""
        numbers, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        mask = ops.not_equal(numbers, 0)
        with tf.GradientTape() as tape:
            vectors = self.embed(numbers)
            tape.watch(vectors)
            logits = self.read([vectors, mask], training=True)
            loss = self.compute_loss(y=labels, y_pred=logits)
            scaled = self.optimizer.scale_loss(loss)
        plain, slope = tape.gradient(scaled, [self.trainable_weights, vectors])
        shift = tf.stop_gradient(disturbance(vectors, slope, mask, self.strength))
        with tf.GradientTape() as tape:
            moved = self.read([self.embed(numbers) + shift, mask], training=True)
            scaled = self.optimizer.scale_loss(self.compute_loss(y=labels, y_pred=moved))
        disturbed = tape.gradient(scaled, self.trainable_weights)
        mean = [(tf.convert_to_tensor(a) + tf.convert_to_tensor(b)) / 2 for a, b in zip(plain, disturbed, strict=True)]
        self.optimizer.apply(mean, self.trainable_weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(numbers, labels, logits)


def disturbance(vectors: Any, slope: Any, mask: Any, strength: float) -> Any:
    """Returns the shift `(batch, time, features)` of length `strength` times that of each text's vectors, along `slope`.

    Padded steps, where `mask` `(batch, time)` is False, count for nothing and stay where they are.
    """
    real = ops.expand_dims(ops.cast(mask, "float32"), -1)
    slope = ops.cast(slope, "float32") * real
    length = ops.sqrt(ops.sum(ops.square(ops.cast(vectors, "float32") * real), axis=(1, 2), keepdims=True))
    steepness = ops.sqrt(ops.sum(ops.square(slope), axis=(1, 2), keepdims=True))
    return ops.cast(strength * length * slope / (steepness + TINY), vectors.dtype)
