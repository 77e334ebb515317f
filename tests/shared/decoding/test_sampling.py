"""Which tokens can be sampled, how often, and by which random numbers."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.decoding import sampling

PROBABILITIES = np.array([0.5, 0.3, 0.15, 0.05], np.float32)


def truncate(top_k: int, top_p: float) -> list[float]:
    result = sampling.truncate_distribution(
        tf.constant(PROBABILITIES[None]), tf.constant([top_k]), tf.constant([top_p])
    )
    return result[0].numpy().tolist()


@pytest.mark.parametrize(
    ("top_k", "top_p", "count"),
    [(0, 1.0, 4), (2, 1.0, 2), (9, 1.0, 4), (0, 0.5, 1), (0, 0.51, 2), (0, 0.9, 3), (1, 0.9, 1), (0, 1e-6, 1)],
)
def test_top_k_and_top_p_keep_the_smallest_number_of_tokens(top_k, top_p, count):
    assert truncate(top_k, top_p) == pytest.approx([*PROBABILITIES[:count], *[0.0] * (4 - count)])


def sample_frequencies(temperature: float, top_k: int, top_p: float, count: int = 4000) -> np.ndarray:
    """Returns how often each of four tokens is sampled, over evenly spaced numbers in [0, 1)."""
    order = np.array([2, 0, 3, 1])
    logs = np.log(PROBABILITIES)[np.argsort(order)]  # token `order[k]` has the k-th probability
    uniform = (np.arange(count) + 0.5) / count
    temperatures, top_ks, top_ps = (np.full(count, value) for value in (temperature, top_k, top_p))
    token_ids = sampling.sample_token_ids(
        tf.constant(np.tile(logs, (count, 1))),
        tf.constant(uniform, tf.float32),
        tf.constant(temperatures, tf.float32),
        tf.constant(top_ks, tf.int32),
        tf.constant(top_ps, tf.float32),
    )
    return np.bincount(token_ids.numpy(), minlength=4)[order] / count


def test_tokens_are_sampled_with_their_probabilities():
    np.testing.assert_allclose(sample_frequencies(1.0, 0, 1.0), PROBABILITIES, atol=2e-3)


def test_a_low_temperature_sharpens_the_distribution():
    expected = PROBABILITIES**2 / np.sum(PROBABILITIES**2)
    np.testing.assert_allclose(sample_frequencies(0.5, 0, 1.0), expected, atol=2e-3)


def test_top_p_normalizes_the_remaining_probabilities():
    np.testing.assert_allclose(sample_frequencies(1.0, 0, 0.9), [*PROBABILITIES[:3] / 0.95, 0], atol=2e-3)


def test_a_temperature_of_zero_selects_the_most_probable_token():
    assert sample_frequencies(0.0, 0, 1.0).tolist() == [1, 0, 0, 0]


def test_random_numbers_depend_only_on_the_seed_and_the_position():
    numbers = sampling.random_numbers(tf.constant([5, 9, 5]), 50).numpy()
    assert numbers.shape == (3, 50)
    assert numbers[0].tolist() == numbers[2].tolist()
    assert numbers[1].tolist() == sampling.random_numbers(tf.constant([9]), 50)[0].numpy().tolist()
    assert np.unique(numbers[:2]).size == 100
    assert numbers.min() >= 0
    assert numbers.max() < 1
