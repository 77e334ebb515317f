"""What may be drawn, how often it is drawn, and that a seed decides it."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tasks.next_word import sampling

SHARES = np.array([0.5, 0.3, 0.15, 0.05], np.float32)


def kept(top_k: int, top_p: float) -> list[float]:
    return sampling.kept(tf.constant(SHARES[None]), tf.constant([top_k]), tf.constant([top_p]))[0].numpy().tolist()


@pytest.mark.parametrize(
    ("top_k", "top_p", "count"),
    [(0, 1.0, 4), (2, 1.0, 2), (9, 1.0, 4), (0, 0.5, 1), (0, 0.51, 2), (0, 0.9, 3), (1, 0.9, 1), (0, 1e-6, 1)],
)
def test_top_k_and_top_p_keep_the_fewest_words_that_hold_so_much(top_k, top_p, count):
    assert kept(top_k, top_p) == pytest.approx([*SHARES[:count], *[0.0] * (4 - count)])


def draws(temperature: float, top_k: int, top_p: float, count: int = 4000) -> np.ndarray:
    """Returns how often each of four words is drawn, over evenly spread random token_ids."""
    order = np.array([2, 0, 3, 1])
    logs = np.log(SHARES)[np.argsort(order)]  # word `order[k]` has the k-th share
    uniform = (np.arange(count) + 0.5) / count
    of = [np.full(count, value) for value in (temperature, top_k, top_p)]
    found = sampling.drawn(
        tf.constant(np.tile(logs, (count, 1))),
        tf.constant(uniform, tf.float32),
        tf.constant(of[0], tf.float32),
        tf.constant(of[1], tf.int32),
        tf.constant(of[2], tf.float32),
    )
    return np.bincount(found.numpy(), minlength=4)[order] / count


def test_words_are_drawn_as_often_as_they_are_likely():
    np.testing.assert_allclose(draws(1.0, 0, 1.0), SHARES, atol=2e-3)


def test_a_temperature_sharpens():
    np.testing.assert_allclose(draws(0.5, 0, 1.0), SHARES**2 / np.sum(SHARES**2), atol=2e-3)


def test_top_p_shares_out_what_is_left():
    np.testing.assert_allclose(draws(1.0, 0, 0.9), [*SHARES[:3] / 0.95, 0], atol=2e-3)


def test_a_temperature_of_zero_takes_the_likeliest():
    assert draws(0.0, 0, 1.0).tolist() == [1, 0, 0, 0]


def test_what_is_no_word_is_never_drawn():
    logs = tf.zeros((1, 6))
    assert (sampling.speakable(logs).numpy() < -1e8).tolist() == [[True] * 3 + [False] * 3]
    assert (sampling.speakable(logs, lines=True).numpy() < -1e8).tolist() == [[True] * 2 + [False] * 4]
