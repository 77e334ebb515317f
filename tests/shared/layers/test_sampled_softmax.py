"""The sampled softmax estimates the loss of the full softmax."""

from __future__ import annotations

import numpy as np
import pytest
from keras import ops

from shared.layers.sampled_softmax import SampledSoftmax


@pytest.fixture
def arguments():
    """Hidden states, targets, output vectors and biases of a vocabulary of 50 words."""
    rng = np.random.default_rng(0)
    hidden = rng.normal(size=(2, 3, 4)).astype(np.float32)
    table, bias = rng.normal(size=(50, 4)).astype(np.float32), rng.normal(size=50).astype(np.float32)
    return hidden, np.array([[1, 7, 30], [2, 2, 49]], np.int32), table, bias


def full_softmax_losses(hidden, targets, table, bias):
    logits = hidden @ table.T + bias
    normalizer = np.log(np.exp(logits).sum(axis=-1))
    return normalizer - np.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]


def test_mean_of_many_samples_is_close_to_the_full_loss(arguments):
    softmax = SampledSoftmax(50, 4000, seed=0)
    mean = np.mean([np.asarray(softmax.losses(*map(ops.convert_to_tensor, arguments))) for _ in range(100)], axis=0)
    np.testing.assert_allclose(mean, full_softmax_losses(*arguments), atol=0.03)


def test_no_bias_equals_a_bias_of_zeros(arguments):
    hidden, targets, table, _ = arguments
    without_bias, with_zeros = (
        np.asarray(SampledSoftmax(50, 20, seed=1).losses(hidden, targets, table, bias))
        for bias in (None, np.zeros(50, np.float32))
    )
    np.testing.assert_allclose(without_bias, with_zeros, rtol=1e-6)


def test_sampled_words_have_their_expected_counts():
    softmax = SampledSoftmax(50, 2000, seed=0)
    samples = np.concatenate([np.asarray(softmax._sample()) for _ in range(100)])
    assert samples.min() == 0
    assert samples.max() == 49
    counts = np.bincount(samples, minlength=50) / 100
    expected = np.exp(np.asarray(softmax._log_expected_count(np.arange(50, dtype=np.int32))))
    np.testing.assert_allclose(counts, expected, rtol=0.15)
    assert expected.sum() == pytest.approx(2000, rel=1e-3)
