"""Moving averages by the recurrence, against their weights written out."""

from __future__ import annotations

import keras
import numpy as np

from tasks.stock.averages import MovingAverages


def test_averages_equal_the_weighted_sums_written_out():
    values = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    averages = MovingAverages(3, (1.0, 4.0), "averages")
    found, after = averages(values, np.zeros((2, averages.size), "float32"), np.ones((2, 9), bool))
    for k, half_life in enumerate((1.0, 4.0)):
        decay = 0.5 ** (1 / half_life)
        for t in range(9):
            weights = (1 - decay) * decay ** np.arange(t, -1, -1)
            for series in range(3):
                expected = values[:, : t + 1, series] @ weights
                np.testing.assert_allclose(np.asarray(found[series])[:, t, k], expected, atol=1e-6)
    np.testing.assert_allclose(after, np.concatenate([np.asarray(f)[:, -1] for f in found], axis=-1), atol=1e-6)


def test_padding_leaves_the_state_alone_and_a_state_is_taken_up():
    values = np.random.default_rng(1).normal(size=(1, 6, 1)).astype("float32")
    averages = MovingAverages(1, (2.0,), "averages")
    start = np.zeros((1, 1), "float32")
    _, whole = averages(values, start, np.ones((1, 6), bool))
    _, first = averages(np.pad(values[:, :4], [(0, 0), (0, 2), (0, 0)]), start, np.arange(6)[None] < 4)
    _, second = averages(values[:, 4:], first, np.ones((1, 2), bool))
    np.testing.assert_allclose(second, whole, atol=1e-6)


def test_nothing_of_it_is_trained():
    averages = MovingAverages(2, (2.0, 8.0), "averages")
    values, state = keras.Input((None, 2)), keras.Input((4,))
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([values, state, mask], averages(values, state, mask)[0])
    assert not model.trainable_weights
