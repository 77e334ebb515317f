"""Random generation of text, one word after another, in the TensorFlow graph.

The text of a row depends only on its own inputs and its seed, not on the other rows of the batch.
"""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tasks.next_word import tokenization
from tasks.next_word.model import Submodels

MAX_LENGTH = 1000
"""Maximum number of words to generate at once."""
IMPOSSIBLE = -1e9
"""Log-probability of tokens that must not occur."""


def mask_special_tokens(log_probabilities: tf.Tensor, allow_line_end: bool = False) -> tf.Tensor:
    """Makes padding, the unknown word and the end of a line impossible.

    Args:
        log_probabilities: values for all token ids, `(batch, vocabulary_size)`.
        allow_line_end: keep the end of a line possible.
    """
    token_id = tf.range(tf.shape(log_probabilities)[-1])
    is_allowed = token_id >= tokenization.FIRST_WORD_ID
    if allow_line_end:
        is_allowed |= token_id == tokenization.END_ID
    return tf.where(is_allowed, log_probabilities, IMPOSSIBLE)


def truncate_distribution(probabilities: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Sets the probabilities of improbable words to 0: top-k (Fan et al., 2018) and top-p sampling (Holtzman et al., 2020).

    Args:
        probabilities: values in falling order, `(batch, words)`.
        top_k: number of most probable words to keep, `(batch,)`; 0 keeps all.
        top_p: total probability of the words to keep, in (0, 1], `(batch,)`: the fewest words that reach it are kept.
    """
    rank = tf.range(tf.shape(probabilities)[1])[None]
    max_rank = tf.where(top_k > 0, top_k, tf.shape(probabilities)[1])[:, None]
    total_before = tf.cumsum(probabilities, axis=1, exclusive=True)
    mask = (rank < max_rank) & ((total_before < top_p[:, None]) | (rank == 0))
    return tf.where(mask, probabilities, 0.0)


def sample_token_ids(
    log_probabilities: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor
) -> tf.Tensor:
    """Samples one token id per row, int32 `(batch,)`.

    Args:
        log_probabilities: values `(batch, vocabulary_size)`.
        uniform: random numbers in [0, 1), `(batch,)`.
        temperature: divisor of the log-probabilities, `(batch,)`; 0 selects the most probable word.
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


def generate_token_ids(submodels: Submodels, prompt: tf.Tensor, options: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns token ids that continue prompts, int32 `(batch, maximum length)`, 0 after the length of a row.

    Args:
        submodels: submodels of the language model.
        prompt: token ids `(batch, time)`, padded on the right, at least one per row.
        options: `length`, `temperature`, `top_k`, `top_p` and `seed`, `(batch,)` each.
    """
    batch_size, max_length = tf.shape(prompt)[0], tf.reduce_max(options["length"])
    uniform = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([MAX_LENGTH], tf.stack([seed, 0])),
        options["seed"],
        fn_output_signature=tf.float32,
    )
    prompt_length = tf.reduce_sum(tf.cast(prompt != tokenization.PADDING_ID, tf.int32), axis=1)
    state = tf.zeros((batch_size, submodels.state_size))
    outputs = submodels.encoder({"token_ids": prompt, "length": prompt_length, "state": state})
    hidden = tf.gather(outputs["hidden"], prompt_length - 1, batch_dims=1)

    def step(k: tf.Tensor, hidden: tf.Tensor, state: tf.Tensor, result: tf.TensorArray) -> tuple[tf.Tensor, ...]:
        log_probabilities = mask_special_tokens(submodels.head(hidden[:, None])[:, 0], allow_line_end=True)
        token_ids = sample_token_ids(
            log_probabilities, uniform[:, k], options["temperature"], options["top_k"], options["top_p"]
        )
        outputs = submodels.encoder(
            {"token_ids": token_ids[:, None], "length": tf.ones_like(token_ids), "state": state}
        )
        return k + 1, outputs["hidden"][:, 0], outputs["state"], result.write(k, token_ids)

    result = tf.TensorArray(tf.int32, size=max_length, element_shape=[None])
    *_, result = tf.while_loop(lambda k, *_: k < max_length, step, (0, hidden, outputs["state"], result))
    token_ids = tf.transpose(result.stack())
    return tf.where(tf.range(max_length)[None] < options["length"][:, None], token_ids, tokenization.PADDING_ID)
