"""A sampled softmax learns what the whole one learns: in the mean, its gradient points the same way."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from shared.sampled_softmax import SampledSoftmax


@pytest.fixture
def case():
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2, 3, 4)).astype(np.float32)
    table, bias = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    return hidden, np.array([[1, 7, 30], [2, 2, 49]], np.int32), table, bias


def whole(hidden, targets, table, bias):
    logits = hidden @ table.T + bias
    total = np.log(np.exp(logits).sum(axis=-1))
    return total - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def test_the_mean_over_draws_comes_near_the_whole_loss(case):
    softmax = SampledSoftmax(50, 4000, seed=0)
    found = np.mean([np.asarray(softmax.losses(*map(ops.convert_to_tensor, case))) for _ in range(100)], axis=0)
    np.testing.assert_allclose(found, whole(*case), atol=0.03)


def test_a_bias_of_none_is_a_bias_of_zeros(case):
    hidden, targets, table, _ = case
    one, other = (
        np.asarray(SampledSoftmax(50, 20, seed=1).losses(hidden, targets, table, bias))
        for bias in (None, np.zeros(50, np.float32))
    )
    np.testing.assert_allclose(one, other, rtol=1e-6)


def test_words_are_drawn_by_their_rank_and_counted_as_expected():
    softmax = SampledSoftmax(50, 2000, seed=0)
    drawn = np.concatenate([np.asarray(softmax._drawn()) for _ in range(100)])
    assert drawn.min() == 0
    assert drawn.max() == 49
    often = np.bincount(drawn, minlength=50) / 100
    expected = np.exp(np.asarray(softmax._log_expected_count(np.arange(50, dtype=np.int32))))
    np.testing.assert_allclose(often, expected, rtol=0.15)
    assert expected.sum() == pytest.approx(2000, rel=1e-3)
