"""The disturbance has the length it says and points uphill; a step trains on both losses."""

from __future__ import annotations

import keras
import numpy as np
from keras import ops

from shared.adversarial import AdversarialTraining, disturbance


def parts(seed: int = 0) -> tuple[keras.Model, keras.Model]:
    keras.utils.set_random_seed(seed)
    words = keras.Input((None,), dtype="int32")
    embed = keras.Model(words, keras.layers.Embedding(9, 4, embeddings_initializer="normal")(words))
    vectors, mask = keras.Input((None, 4)), keras.Input((None,), dtype="bool")
    weight = ops.expand_dims(ops.cast(mask, "float32"), -1)
    return embed, keras.Model([vectors, mask], keras.layers.Dense(2)(ops.sum(vectors * weight, axis=1)))


def test_the_disturbance_is_a_share_of_the_text_and_leaves_padding_alone():
    rng = np.random.default_rng(0)
    vectors, slope = rng.normal(size=(2, 5, 4)).astype("float32"), rng.normal(size=(2, 5, 4)).astype("float32")
    mask = np.array([[True] * 5, [True] * 2 + [False] * 3])
    shift = ops.convert_to_numpy(disturbance(vectors, slope, mask, 0.1))
    for row in range(2):
        real = mask[row]
        np.testing.assert_allclose(np.linalg.norm(shift[row]), 0.1 * np.linalg.norm(vectors[row][real]), rtol=1e-5)
        cosine = np.sum(shift[row] * slope[row]) / np.linalg.norm(shift[row]) / np.linalg.norm(slope[row][real])
        np.testing.assert_allclose(cosine, 1.0, rtol=1e-5)
        assert not shift[row][~real].any()


def test_a_disturbance_of_nothing_is_nothing():
    zeros = np.zeros((1, 3, 4), "float32")
    assert not ops.convert_to_numpy(disturbance(zeros, zeros, np.ones((1, 3), bool), 0.1)).any()


def test_one_step_follows_the_mean_gradient_of_both_losses_worked_by_hand():
    numbers, labels = np.array([[1, 2, 0], [3, 4, 5]]), np.array([0, 1])
    model = AdversarialTraining(*parts(), strength=0.3)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(optimizer=keras.optimizers.SGD(1.0), loss=loss)
    before = [ops.convert_to_numpy(w) for w in model.trainable_weights]
    model.train_on_batch(numbers, labels)
    step = [b - ops.convert_to_numpy(w) for b, w in zip(before, model.trainable_weights, strict=True)]

    table, kernel, bias = before
    mask = numbers > 0

    def gradients(shift: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        vectors = (table[numbers] + shift) * mask[..., None]
        logits = vectors.sum(axis=1) @ kernel + bias
        exp = np.exp(logits - logits.max(axis=1, keepdims=True))
        error = (exp / exp.sum(axis=1, keepdims=True) - np.eye(2)[labels]) / 2
        by_vector = np.repeat((error @ kernel.T)[:, None], 3, axis=1) * mask[..., None]
        by_table = np.zeros_like(table)
        np.add.at(by_table, numbers, by_vector)
        return by_table, vectors.sum(axis=1).T @ error, error.sum(axis=0), by_vector

    *plain, slope = gradients(np.zeros((2, 3, 4)))
    lengths = [np.linalg.norm(table[row[row > 0]]) for row in numbers]
    shift = np.stack([0.3 * n * s / np.linalg.norm(s) for n, s in zip(lengths, slope, strict=True)])
    *moved, _ = gradients(shift)
    for got, a, b in zip(step, plain, moved, strict=True):
        np.testing.assert_allclose(got, (a + b) / 2, atol=1e-5)


def test_it_trains_and_reports_the_plain_loss():
    rng = np.random.default_rng(0)
    numbers = rng.integers(1, 9, (64, 6))
    labels = (numbers == 3).any(axis=1).astype(int)
    model = AdversarialTraining(*parts(), strength=0.05)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    model.optimizer.learning_rate = 0.05
    history = model.fit(numbers, labels, epochs=30, verbose=0).history
    assert history["loss"][-1] < 0.7 * history["loss"][0]
    assert history["accuracy"][-1] > 0.9
