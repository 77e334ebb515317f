"""Adversarial training on word vectors (Miyato, Dai & Goodfellow, 2017): a regularizer for small text collections.

Each gradient step uses the mean of two losses: the loss of the batch, and the loss of the batch after its word vectors are
shifted in the direction that increases the loss most, r = epsilon ‖v‖ g / ‖g‖. Here v are the vectors of one text and g is the
gradient of the loss with respect to v. Only training uses the shift, and all weights belong to standard Keras layers.
"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf
from keras import ops

from shared.errors import SuiteError

TINY = 1e-12
"""Added to the gradient norm, so that a gradient of zeros gives a perturbation of zeros."""


class AdversarialTraining(keras.Model):
    """Trains two models in sequence on one loss: from token ids to word vectors, and from word vectors to logits.

    Args:
        embedding_model: from token ids, int32 `(batch, time)`, 0 for padding, to float `(batch, time, features)`.
        classifier: from `[vectors, mask]`, the mask boolean `(batch, time)` and False at padding, to logits
            `(batch, classes)`.
        epsilon: L2 norm of the perturbation of a text, as a fraction of the L2 norm of its word vectors; greater than 0.

    Raises:
        SuiteError: the Keras backend is not TensorFlow; the training step uses TensorFlow gradients.
    """

    def __init__(self, embedding_model: keras.Model, classifier: keras.Model, epsilon: float) -> None:
        super().__init__(name="adversarial_training")
        if keras.backend.backend() != "tensorflow":
            raise SuiteError(
                f"Adversarial training needs the TensorFlow backend of Keras. Received: {keras.backend.backend()}. "
                "Set KERAS_BACKEND=tensorflow, or train without it."
            )
        self.embedding_model = embedding_model
        self.classifier = classifier
        self.epsilon = epsilon

    def call(self, token_ids: Any, training: bool = False) -> Any:
        """Returns the logits `(batch, classes)` of token ids, int32 `(batch, time)`."""
        return self.classifier([self.embedding_model(token_ids), ops.not_equal(token_ids, 0)], training=training)

    def train_step(self, data: Any) -> dict[str, Any]:
        """Takes one optimizer step on the mean of the clean and the perturbed loss; returns the metrics of the clean batch."""
        token_ids, labels, _ = keras.utils.unpack_x_y_sample_weight(data)
        mask = ops.not_equal(token_ids, 0)
        with tf.GradientTape() as tape:
            vectors = self.embedding_model(token_ids)
            tape.watch(vectors)
            logits = self.classifier([vectors, mask], training=True)
            loss = self.compute_loss(y=labels, y_pred=logits)
            scaled_loss = self.optimizer.scale_loss(loss)
        clean_gradients, vector_gradient = tape.gradient(scaled_loss, [self.trainable_weights, vectors])
        shift = tf.stop_gradient(perturbation(vectors, vector_gradient, mask, self.epsilon))
        with tf.GradientTape() as tape:
            perturbed_logits = self.classifier([self.embedding_model(token_ids) + shift, mask], training=True)
            scaled_loss = self.optimizer.scale_loss(self.compute_loss(y=labels, y_pred=perturbed_logits))
        perturbed_gradients = tape.gradient(scaled_loss, self.trainable_weights)
        mean_gradients = [
            (tf.convert_to_tensor(clean) + tf.convert_to_tensor(perturbed)) / 2
            for clean, perturbed in zip(clean_gradients, perturbed_gradients, strict=True)
        ]
        self.optimizer.apply(mean_gradients, self.trainable_weights)
        for metric in self.metrics:
            if metric.name == "loss":
                metric.update_state(loss)
        return self.compute_metrics(token_ids, labels, logits)


def perturbation(vectors: Any, gradient: Any, mask: Any, epsilon: float) -> Any:
    """Returns the shift of the word vectors in the direction of `gradient`, `epsilon` times as long as the vectors of each text.

    Args:
        vectors: word vectors, float `(batch, time, features)`.
        gradient: gradient of the loss with respect to `vectors`, of the same shape.
        mask: boolean `(batch, time)`, False at padding; the shift of a padded step is 0, and it does not count in a norm.
        epsilon: L2 norm of the shift of a text, as a fraction of the L2 norm of its vectors.

    Returns:
        Tensor of the shape and dtype of `vectors`; the norms are computed in float32.
    """
    weight = ops.expand_dims(ops.cast(mask, "float32"), -1)
    gradient = ops.cast(gradient, "float32") * weight
    vector_norm = ops.sqrt(ops.sum(ops.square(ops.cast(vectors, "float32") * weight), axis=(1, 2), keepdims=True))
    gradient_norm = ops.sqrt(ops.sum(ops.square(gradient), axis=(1, 2), keepdims=True))
    return ops.cast(epsilon * vector_norm * gradient / (gradient_norm + TINY), vectors.dtype)
