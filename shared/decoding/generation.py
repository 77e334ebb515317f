"""Generation of sequences, one token after another, in the TensorFlow graph: greedy decoding and random sampling.

A step function continues the sequences of a batch by one token:

    step(token_ids, state) -> (logits, next state)

`token_ids` is int32 `(batch,)`, the logits are float `(batch, vocabulary_size)`, and the state is a tensor or any nest of tensors with
the batch on the first axis. Logits may be unnormalized, or log-probabilities. A step function makes a token impossible by a logit of
`IMPOSSIBLE`. Tensors that `step` needs but does not change, such as the encoded source of a translation, need not be in the state.

Every function starts from the logits of the first token, and the state that belongs to them: what `step` returned for the last
token of a prompt, or for the token that starts every sequence. A row depends only on its own inputs, not on the rest of the batch.

Everything is made of stock TensorFlow operations, so that it also runs in an exported model, in TensorFlow's C++ runtime.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from shared.decoding import sampling
from shared.text.vocabulary import PADDING_ID

StepFunction = Callable[[tf.Tensor, Any], tuple[tf.Tensor, Any]]
IMPOSSIBLE = -1e9
"""Logit of tokens that must not occur, and log-probability of a sequence that does not exist."""


class Sequences(NamedTuple):
    """One decoded sequence per row."""

    token_ids: tf.Tensor
    """Token ids without the end token, int32 `(batch, max(max_lengths))`, `PADDING_ID` after the end."""
    lengths: tf.Tensor
    """Number of tokens without the end token, int32 `(batch,)`. A sequence shorter than its maximum length has ended."""
    log_probabilities: tf.Tensor
    """Natural logarithm of the probability of each sequence, with its end token, float32 `(batch,)`: the sum over its steps.
    Temperature, top-k and top-p do not change it."""


def greedy(
    step: StepFunction, logits: tf.Tensor, state: Any, max_lengths: Any, end_token: int | None = None
) -> Sequences:
    """Decodes the most probable token at each step; of equally probable tokens, that with the lowest id.

    Args:
        step: step function (see the module).
        logits: logits of the first token, float `(batch, vocabulary_size)`.
        state: state for the first call of `step`.
        max_lengths: maximum number of tokens, int32 `(batch,)` or one number for all rows; at least 1.
        end_token: token id that ends a sequence; None if all sequences have their maximum length.
    """

    def select(log_probabilities: tf.Tensor, position: tf.Tensor, occurred: tuple[()]) -> tuple[tf.Tensor, tuple[()]]:
        return tf.argmax(log_probabilities, axis=1, output_type=tf.int32), occurred

    return _generate(step, logits, state, max_lengths, end_token, select, ())


def sample(
    step: StepFunction,
    logits: tf.Tensor,
    state: Any,
    max_lengths: Any,
    settings: sampling.Settings,
    end_token: int | None = None,
    max_positions: int = 1000,
    has_occurred: tf.Tensor | None = None,
) -> Sequences:
    """Samples sequences at random. The random numbers depend only on the seed of a row and the position of a token.

    Args:
        step: step function (see the module).
        logits: logits of the first token, float `(batch, vocabulary_size)`.
        state: state for the first call of `step`.
        max_lengths: maximum number of tokens, int32 `(batch,)` or one number for all rows, from 1 to `max_positions`.
        settings: temperature, top-k, top-p and seed of each row.
        end_token: token id that ends a sequence; None if all sequences have their maximum length.
        max_positions: number of positions for which random numbers are drawn. The same seed gives the same sequence only with the
            same number.
        has_occurred: tokens that occurred before the first one, such as those of a prompt, boolean `(batch, vocabulary_size)`; None for
            none. Needed only with `settings.repetition_penalty`.

    Raises:
        tf.errors.InvalidArgumentError: a maximum length is above `max_positions`.
    """
    random_numbers = sampling.random_numbers(settings.seed, max_positions)

    penalty = settings.repetition_penalty

    def select(log_probabilities: tf.Tensor, position: tf.Tensor, occurred: Any) -> tuple[tf.Tensor, Any]:
        if penalty is not None:
            log_probabilities = sampling.penalize_repetitions(log_probabilities, occurred, penalty)
        token_ids = sampling.sample_token_ids(
            log_probabilities, random_numbers[:, position], settings.temperature, settings.top_k, settings.top_p
        )
        if penalty is not None:
            occurred |= tf.one_hot(token_ids, tf.shape(occurred)[1], on_value=True, off_value=False)
        return token_ids, occurred

    occurred: Any = ()
    if penalty is not None:
        occurred = tf.zeros_like(logits, tf.bool) if has_occurred is None else has_occurred
    return _generate(step, logits, state, max_lengths, end_token, select, occurred)


def _generate(
    step: StepFunction,
    logits: tf.Tensor,
    state: Any,
    max_lengths: Any,
    end_token: int | None,
    select: Callable[[tf.Tensor, tf.Tensor, Any], tuple[tf.Tensor, Any]],
    occurred: Any,
) -> Sequences:
    """Runs the loop of `greedy` and `sample`.

    Args:
        step, logits, state, max_lengths, end_token: as for `greedy`.
        select: function from log-probabilities `(batch, vocabulary_size)`, the position, counted from 0, and `occurred` to token ids
            `(batch,)` and the next `occurred`.
        occurred: what `select` knows of the tokens before the first one: a tensor or a nest of tensors with the batch on the first
            axis, or ().
    """
    batch_size = tf.shape(logits)[0]
    max_lengths = tf.broadcast_to(tf.cast(max_lengths, tf.int32), [batch_size])
    width = max_width(max_lengths)
    state_specs, occurred_specs = row_specs(state), row_specs(occurred)

    def body(
        position: tf.Tensor,
        is_active: tf.Tensor,
        sequences: Sequences,
        log_probabilities: tf.Tensor,
        state: Any,
        occurred: Any,
    ) -> tuple[Any, ...]:
        token_ids, occurred = select(log_probabilities, position, occurred)
        is_token = is_active if end_token is None else is_active & (token_ids != end_token)
        values = tf.gather(log_probabilities, token_ids, batch_dims=1)
        sequences = Sequences(
            write_column(sequences.token_ids, tf.where(is_token, token_ids, PADDING_ID), position),
            sequences.lengths + tf.cast(is_token, tf.int32),
            sequences.log_probabilities + tf.where(is_active, values, 0.0),
        )
        logits, state = step(token_ids, state)
        is_active = is_token & (position + 1 < max_lengths)
        state, occurred = with_row_specs(state, state_specs), with_row_specs(occurred, occurred_specs)
        return position + 1, is_active, sequences, normalized(logits), state, occurred

    zeros = tf.zeros([batch_size], tf.int32)
    empty = Sequences(tf.zeros([batch_size, width], tf.int32) + PADDING_ID, zeros, tf.zeros([batch_size]))
    start = (0, max_lengths > 0, empty, normalized(logits), state, occurred)
    _, _, sequences, *_ = tf.while_loop(
        lambda position, is_active, *_: tf.reduce_any(is_active),
        body,
        start,
        shape_invariants=(
            tf.TensorShape([]),
            tf.TensorShape([None]),
            Sequences(tf.TensorShape([None, None]), tf.TensorShape([None]), tf.TensorShape([None])),
            tf.TensorShape([None, logits.shape[-1]]),
            state_specs,
            occurred_specs,
        ),
    )
    return sequences


def normalized(logits: tf.Tensor) -> tf.Tensor:
    """Returns log-probabilities, float32, of logits or log-probabilities `(rows, vocabulary_size)`."""
    return tf.nn.log_softmax(tf.cast(logits, tf.float32), axis=-1)


def max_width(max_lengths: tf.Tensor) -> tf.Tensor:
    """Returns the maximum of maximum lengths, int32 `(batch,)`; 0 for an empty batch."""
    return tf.reduce_max(tf.concat([max_lengths, [0]], axis=0))


def write_column(values: tf.Tensor, column: tf.Tensor, position: tf.Tensor) -> tf.Tensor:
    """Returns `values` `(..., width)` with `column` `(...)` at one position of the last axis."""
    return tf.where(tf.range(tf.shape(values)[-1]) == position, column[..., None], values)


def row_specs(state: Any) -> Any:
    """Returns the shapes of a nest of tensors with a variable batch size, for `tf.while_loop`."""
    return tf.nest.map_structure(lambda value: tf.TensorShape([None, *value.shape[1:]]), state)


def with_row_specs(state: Any, specs: Any) -> Any:
    """Sets the shapes that `row_specs` returned; a step function often returns less specific ones.

    Raises:
        ValueError: the state has another structure or shape than before the step.
    """
    return tf.nest.map_structure(lambda value, shape: tf.ensure_shape(value, shape), state, specs)
