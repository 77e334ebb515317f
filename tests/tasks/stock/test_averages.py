"""Moving averages: the recurrence against explicit weighted sums."""

from __future__ import annotations

import keras
import numpy as np

from tasks.stock.averages import MovingAverages


def test_averages_equal_explicit_weighted_sums():
    values = np.random.default_rng(0).normal(size=(2, 9, 3)).astype("float32")
    averages = MovingAverages(3, (1.0, 4.0), "averages")
    results, state = averages(values, np.zeros((2, averages.size), "float32"), np.ones((2, 9), bool))
    for k, half_life in enumerate((1.0, 4.0)):
        decay = 0.5 ** (1 / half_life)
        for t in range(9):
            weights = (1 - decay) * decay ** np.arange(t, -1, -1)
            for series in range(3):
                expected = values[:, : t + 1, series] @ weights
                np.testing.assert_allclose(np.asarray(results[series])[:, t, k], expected, atol=1e-6)
    np.testing.assert_allclose(state, np.concatenate([np.asarray(r)[:, -1] for r in results], axis=-1), atol=1e-6)


def test_padding_does_not_change_the_state_and_the_state_continues_a_series():
    values = np.random.default_rng(1).normal(size=(1, 6, 1)).astype("float32")
    averages = MovingAverages(1, (2.0,), "averages")
    start = np.zeros((1, 1), "float32")
    _, expected = averages(values, start, np.ones((1, 6), bool))
    _, first = averages(np.pad(values[:, :4], [(0, 0), (0, 2), (0, 0)]), start, np.arange(6)[None] < 4)
    _, second = averages(values[:, 4:], first, np.ones((1, 2), bool))
    np.testing.assert_allclose(second, expected, atol=1e-6)


def test_the_averages_have_no_trainable_weights():
    averages = MovingAverages(2, (2.0, 8.0), "averages")
    values, state = keras.Input((None, 2)), keras.Input((4,))
    mask = keras.Input((None,), dtype="bool")
    model = keras.Model([values, state, mask], averages(values, state, mask)[0])
    assert not model.trainable_weights
