"""The perturbation has the given norm and the direction of the gradient; a training step uses the clean and the perturbed loss."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from shared.training.adversarial import AdversarialTraining, perturbation


def build_submodels(seed: int = 0) -> tuple[keras.Model, keras.Model]:
    """Returns an embedding model and a classifier of the sum of the word vectors."""
    keras.utils.set_random_seed(seed)
    token_ids = keras.Input((None,), dtype="int32")
    embedding_model = keras.Model(token_ids, keras.layers.Embedding(9, 4, embeddings_initializer="normal")(token_ids))
    vectors, mask = keras.Input((None, 4)), keras.Input((None,), dtype="bool")
    weight = ops.expand_dims(ops.cast(mask, "float32"), -1)
    return embedding_model, keras.Model([vectors, mask], keras.layers.Dense(2)(ops.sum(vectors * weight, axis=1)))


def test_perturbation_is_epsilon_times_as_long_as_each_text_and_leaves_padding_unchanged():
    rng = np.random.default_rng(0)
    vectors, gradient = rng.normal(size=(2, 5, 4)).astype("float32"), rng.normal(size=(2, 5, 4)).astype("float32")
    mask = np.array([[True] * 5, [True] * 2 + [False] * 3])
    shift = ops.convert_to_numpy(perturbation(vectors, gradient, mask, 0.1))
    for row in range(2):
        valid = mask[row]
        np.testing.assert_allclose(np.linalg.norm(shift[row]), 0.1 * np.linalg.norm(vectors[row][valid]), rtol=1e-5)
        norms = np.linalg.norm(shift[row]) * np.linalg.norm(gradient[row][valid])
        np.testing.assert_allclose(np.sum(shift[row] * gradient[row]) / norms, 1.0, rtol=1e-5)
        assert not shift[row][~valid].any()


def test_perturbation_of_zero_vectors_is_zero():
    zeros = np.zeros((1, 3, 4), "float32")
    assert not ops.convert_to_numpy(perturbation(zeros, zeros, np.ones((1, 3), bool), 0.1)).any()


def test_one_step_equals_the_mean_gradient_of_both_losses_computed_by_hand():
    token_ids, labels = np.array([[1, 2, 0], [3, 4, 5]]), np.array([0, 1])
    model = AdversarialTraining(*build_submodels(), epsilon=0.3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.train_on_batch(token_ids, labels)
    step = [b - ops.convert_to_numpy(w) for b, w in zip(before, model.trainable_weights, strict=True)]

    table, kernel, bias = before
    mask = token_ids > 0

    def gradients(shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        vectors = (table[token_ids] + shift) * mask[..., None]
        logits = vectors.sum(axis=1) @ kernel + bias
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (exp / exp.sum(axis=1, keepdims=True) - np.eye(2)[labels]) / 2
        d_vectors = np.repeat((error @ kernel.T)[:, None], 3, axis=1) * mask[..., None]
        d_table = np.zeros_like(table)
        np.add.at(d_table, token_ids, d_vectors)
        return d_table, vectors.sum(axis=1).T @ error, error.sum(axis=0), d_vectors

    *clean, d_vectors = gradients(np.zeros((2, 3, 4)))
    norms = [np.linalg.norm(table[row[row > 0]]) for row in token_ids]
    shift = np.stack([0.3 * n * d / np.linalg.norm(d) for n, d in zip(norms, d_vectors, strict=True)])
    *perturbed, _ = gradients(shift)
    for actual, a, b in zip(step, clean, perturbed, strict=True):
        np.testing.assert_allclose(actual, (a + b) / 2, atol=1e-5)


def test_model_learns_and_reports_the_clean_loss():
    rng = np.random.default_rng(0)
    token_ids = rng.integers(1, 9, (64, 6))
    labels = (token_ids == 3).any(axis=1).astype(int)
    model = AdversarialTraining(*build_submodels(), epsilon=0.05)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.05
    history = model.fit(token_ids, labels, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
