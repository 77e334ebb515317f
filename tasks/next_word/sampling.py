"""Words drawn one after the other, in the graph: the same seed gives the same text, whoever else is in the batch."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

from tasks.next_word import words
from tasks.next_word.model import Submodels

LONGEST = 1000
"""Words that may be drawn at once."""
NEVER = -1e9


def speakable(logs: tf.Tensor, lines: bool = False) -> tf.Tensor:
    """Returns log-probabilities `(batch, vocabulary)` in which what is no word never comes.

    Args:
        logs: of all token_ids.
        lines: whether a line may end.
    """
    number = tf.range(tf.shape(logs)[-1])
    fine = number >= words.FIRST_WORD
    return tf.where(fine | (number == words.END) if lines else fine, logs, NEVER)


def kept(probabilities: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Returns what is left of probabilities `(batch, words)`, in falling order, of which only some may be drawn: 0 elsewhere.

    Args:
        probabilities: in falling order.
        top_k: words that may be drawn, `(batch,)`; 0 for all.
        top_p: share that the words before one may have for it to be drawn, `(batch,)` (Holtzman et al., 2020).
    """
    rank = tf.range(tf.shape(probabilities)[1])[None]
    limit = tf.where(top_k > 0, top_k, tf.shape(probabilities)[1])[:, None]
    before = tf.cumsum(probabilities, axis=1, exclusive=True)
    fine = (rank < limit) & ((before < top_p[:, None]) | (rank == 0))
    return tf.where(fine, probabilities, 0.0)


def drawn(logs: tf.Tensor, uniform: tf.Tensor, temperature: tf.Tensor, top_k: tf.Tensor, top_p: tf.Tensor) -> tf.Tensor:
    """Returns one number a row, int32 `(batch,)`.

    Args:
        logs: log-probabilities `(batch, vocabulary)`.
        uniform: what decides, in [0, 1), `(batch,)`.
        temperature: by which the logarithms are divided, `(batch,)`; 0 takes the likeliest.
        top_k: as for `kept`, and so `top_p`.
    """
    divisor = tf.where(temperature > 0, temperature, 1.0)[:, None]
    ordered, places = tf.math.top_k(logs, tf.shape(logs)[1])
    left = kept(tf.nn.softmax(ordered / divisor, axis=1), top_k, top_p)
    total = tf.cumsum(left, axis=1)
    place = tf.reduce_sum(tf.cast(total <= uniform[:, None] * total[:, -1:], tf.int32), axis=1)
    last = tf.reduce_sum(tf.cast(left > 0, tf.int32), axis=1) - 1
    place = tf.where(temperature > 0, tf.minimum(place, last), 0)
    return tf.gather(places, place, batch_dims=1)


def continued(parts: Submodels, token_ids: tf.Tensor, how: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """Returns what follows token_ids `(batch, words)`, int32 `(batch, largest length)`, 0 beyond a row's own length.

    Args:
        parts: of the model.
        token_ids: as the reader takes them, padded on the right.
        how: `length`, `temperature`, `top_k`, `top_p` and `seed`, `(batch,)` each.
    """
    rows, most = tf.shape(token_ids)[0], tf.reduce_max(how["length"])
    uniforms = tf.map_fn(
        lambda seed: tf.random.stateless_uniform([LONGEST], tf.stack([seed, 0])),
        how["seed"],
        fn_output_signature=tf.float32,
    )
    length = tf.reduce_sum(tf.cast(token_ids != words.PADDING, tf.int32), axis=1)
    memory = tf.zeros((rows, parts.state_size))
    after = parts.reader({"token_ids": token_ids, "length": length, "state": memory})
    hidden = tf.gather(after["hidden"], length - 1, batch_dims=1)

    def step(k: tf.Tensor, hidden: tf.Tensor, memory: tf.Tensor, found: tf.TensorArray) -> tuple[tf.Tensor, ...]:
        logs = speakable(parts.head(hidden[:, None])[:, 0], lines=True)
        chosen = drawn(logs, uniforms[:, k], how["temperature"], how["top_k"], how["top_p"])
        after = parts.reader({"token_ids": chosen[:, None], "length": tf.ones_like(chosen), "state": memory})
        return k + 1, after["hidden"][:, 0], after["state"], found.write(k, chosen)

    found = tf.TensorArray(tf.int32, size=most, element_shape=[None])
    *_, found = tf.while_loop(lambda k, *_: k < most, step, (0, hidden, after["state"], found))
    chosen = tf.transpose(found.stack())
    return tf.where(tf.range(most)[None] < how["length"][:, None], chosen, words.PADDING)
