"""Random choice of tokens from a distribution: temperature, top-k and top-p sampling, with random numbers that depend on a seed."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf


class Settings(NamedTuple):
    """Settings of random sampling, one value per row, `(batch,)` each."""

    temperature: tf.Tensor
    """Divisor of the log-probabilities, float32; 0 selects the most probable token (Ackley et al., 1985)."""
    top_k: tf.Tensor
    """Number of most probable tokens to keep, int32; 0 keeps all (Fan et al., 2018)."""
    top_p: tf.Tensor
    """Total probability of the tokens to keep, float32 in (0, 1] (Holtzman et al., 2020)."""
    seed: tf.Tensor
    """Seed of the random numbers, int32."""
    repetition_penalty: tf.Tensor | None = None
    """Factor of the log-probabilities of tokens that have already occurred, float32, at least 1; 1 changes nothing (Keskar et al.,
    2019, section 4.1). None for 1."""


def random_numbers(seeds: tf.Tensor, positions: int) -> tf.Tensor:
    """Returns random numbers in [0, 1), float32 `(batch, positions)`, that depend only on the seed of the row and the position.

    Args:
        seeds: int32 `(batch,)`.
        positions: number of positions, at least 1.
    """
    return tf.map_fn(
        lambda seed: tf.random.stateless_uniform([positions], tf.stack([seed, 0])),
        seeds,
        fn_output_signature=tf.TensorSpec([positions], tf.float32),
    )


def truncate_distribution(probabilities: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Sets the probabilities of improbable tokens to 0: top-k (Fan et al., 2018) and top-p sampling (Holtzman et al., 2020).

    Args:
        probabilities: values in falling order, `(batch, tokens)`.
        top_k: number of most probable tokens to keep, `(batch,)`; 0 keeps all.
        top_p: total probability of the tokens to keep, in (0, 1], `(batch,)`: the smallest number of tokens that reaches it remains.
    """
    rank = tf.range(tf.shape(probabilities)[1])[None]
    max_rank = tf.where(top_k > 0, top_k, tf.shape(probabilities)[1])[:, None]
    total_before = tf.cumsum(probabilities, axis=1, exclusive=True)
    mask = (rank < max_rank) & ((total_before < top_p[:, None]) | (rank == 0))
    return tf.where(mask, probabilities, 0.0)


def penalize_repetitions(log_probabilities: tf.Tensor, has_occurred: tf.Tensor, penalty: tf.Tensor) -> tf.Tensor:
    """Makes tokens that have already occurred less probable (Keskar et al., 2019); the result is not normalized.

    Args:
        log_probabilities: values at most 0, `(batch, vocabulary_size)`.
        has_occurred: tokens that have occurred, boolean `(batch, vocabulary_size)`.
        penalty: factor `(batch,)`, at least 1.
    """
    return tf.where(has_occurred, log_probabilities * penalty[:, None], log_probabilities)


def sample_token_ids(
    log_probabilities: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """Samples one token id per row, int32 `(batch,)`.

    Args:
        log_probabilities: values `(batch, vocabulary_size)`.
        uniform: random numbers in [0, 1), `(batch,)`.
        temperature: divisor of the log-probabilities, `(batch,)`; 0 selects the most probable token.
        top_k: as for `truncate_distribution`.
        top_p: as for `truncate_distribution`.
    """
    divisor = tf.where(temperature > 0, temperature, 1.0)[:, None]
    ordered, token_ids = tf.math.top_k(log_probabilities, tf.shape(log_probabilities)[1])
    truncated = truncate_distribution(tf.nn.softmax(ordered / divisor, axis=1), top_k, top_p)
    total = tf.cumsum(truncated, axis=1)
    rank = tf.reduce_sum(tf.cast(total <= uniform[:, None] * total[:, -1:], tf.int32), axis=1)
    last_rank = tf.reduce_sum(tf.cast(truncated > 0, tf.int32), axis=1) - 1
    rank = tf.where(temperature > 0, tf.minimum(rank, last_rank), 0)
    return tf.gather(token_ids, rank, batch_dims=1)
