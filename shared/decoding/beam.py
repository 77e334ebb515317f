"""Beam search in the TensorFlow graph, with length normalization and an end token.

At each step, every hypothesis of a beam is continued by its most probable tokens, and the best continuations form the next beam. A
continuation by the end token that is among the best `beam_width` ones ends a hypothesis and leaves the beam. The search of a row
stops when `beam_width` hypotheses have ended, or at its maximum length. Ended hypotheses are compared by the score of Wu et al.
(2016), equation 14, without the coverage term:

    score(Y) = log P(Y) / lp(Y)        lp(Y) = (5 + |Y|)^length_penalty / (5 + 1)^length_penalty

|Y| is the number of tokens with the end token. A beam of width 1 gives the same tokens as `shared.decoding.generation.greedy`.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from shared.decoding.generation import (
    IMPOSSIBLE,
    PADDING_ID,
    StepFunction,
    max_width,
    normalized,
    row_specs,
    with_row_specs,
    write_column,
)

_BEAM, _BEAM_TOKENS = tf.TensorShape([None, None]), tf.TensorShape([None, None, None])


class Hypotheses(NamedTuple):
    """The hypotheses of each row. Those that ended come first, each group by falling score."""

    token_ids: tf.Tensor
    """Token ids without the end token, int32 `(batch, beam_width, max(max_lengths))`, `PADDING_ID` after the end."""
    lengths: tf.Tensor
    """Number of tokens without the end token, int32 `(batch, beam_width)`. A hypothesis shorter than its maximum length has ended."""
    log_probabilities: tf.Tensor
    """Sum of the log-probabilities of all steps, with that of the end token, float32 `(batch, beam_width)`. `IMPOSSIBLE`
    (-1e9) if the row has fewer hypotheses."""
    scores: tf.Tensor
    """Log-probabilities after length normalization, float32 `(batch, beam_width)`."""


class Candidates(NamedTuple):
    """The most probable continuations of each hypothesis, in falling order, `(batch, beam_width, candidates)` each."""

    log_probabilities: tf.Tensor
    """Natural logarithm of the probability of the token, float32."""
    token_ids: tf.Tensor
    """Token ids, int32."""


def repeat_rows(values: Any, count: int) -> Any:
    """Repeats each row of a nest of tensors `count` times, for tensors that a step function needs but does not change.

    During a beam search, `step` receives `batch * beam_width` rows: the hypotheses of the first row, then those of the second …

    Args:
        values: tensors with the batch on the first axis.
        count: the width of the beam.
    """
    return tf.nest.map_structure(lambda value: tf.repeat(value, count, axis=0), values)


def length_penalties(lengths: tf.Tensor, length_penalty: Any) -> tf.Tensor:
    """Returns the divisor of the log-probability of hypotheses (Wu et al., 2016), float32.

    Args:
        lengths: numbers of tokens with the end token, int32 of any shape.
        length_penalty: exponent, 0 (no normalization) or more; 0.6 to 1 is usual.
    """
    return ((5.0 + tf.cast(lengths, tf.float32)) / 6.0) ** length_penalty


def beam_search(
    step: StepFunction,
    logits: tf.Tensor,
    state: Any,
    max_lengths: Any,
    beam_width: int,
    end_token: int,
    length_penalty: float = 0.6,
) -> Hypotheses:
    """Searches the sequences with the highest length-normalized probability.

    Args:
        step: step function (see `shared.decoding.generation`), called with `batch * beam_width` rows (see `repeat_rows`).
        logits: logits of the first token, float `(batch, vocabulary_size)`.
        state: state for the first call of `step`, with `batch` rows.
        max_lengths: maximum number of tokens, int32 `(batch,)` or one number for all rows; at least 1.
        beam_width: number of hypotheses of a row, 1 or more.
        end_token: token id that ends a sequence.
        length_penalty: exponent of the length normalization, 0 (none) or more.

    Raises:
        ValueError: `beam_width` is less than 1, or `length_penalty` is negative.
    """
    if beam_width < 1:
        raise ValueError(f"beam_width must be 1 or more. Received: {beam_width}")
    if length_penalty < 0:
        raise ValueError(f"length_penalty must be 0 or more. Received: {length_penalty}")
    batch_size = tf.shape(logits)[0]
    max_lengths = tf.broadcast_to(tf.cast(max_lengths, tf.int32), [batch_size])
    state_specs = row_specs(state)

    def body(
        position: tf.Tensor,
        is_active: tf.Tensor,
        alive: Hypotheses,
        ended: Hypotheses,
        candidates: Candidates,
        state: Any,
    ) -> tuple[Any, ...]:
        beam, new_ended, parents = _advance(position, alive, ended, candidates, end_token, length_penalty)
        alive, ended = _where(is_active, beam, alive), _where(is_active, new_ended, ended)
        is_full = tf.reduce_all(ended.log_probabilities > IMPOSSIBLE / 2, axis=1)
        is_active = is_active & ~is_full & (position + 1 < max_lengths)
        candidates, state = _continue(step, beam.token_ids[:, :, position], parents, state)
        return position + 1, is_active, alive, ended, candidates, with_row_specs(state, state_specs)

    first, empty = _initial_hypotheses(batch_size, beam_width, max_width(max_lengths))
    candidates = _candidates(tf.repeat(normalized(logits)[:, None], beam_width, axis=1))
    start = (0, max_lengths > 0, first, empty, candidates, repeat_rows(state, beam_width))
    invariants = (
        tf.TensorShape([]),
        tf.TensorShape([None]),
        *(Hypotheses(_BEAM_TOKENS, _BEAM, _BEAM, _BEAM) for _ in range(2)),
        Candidates(_BEAM_TOKENS, _BEAM_TOKENS),
        state_specs,
    )
    _, _, alive, ended, *_ = tf.while_loop(
        lambda position, is_active, *_: tf.reduce_any(is_active), body, start, shape_invariants=invariants
    )
    return _merge(ended, alive, beam_width, length_penalty)


def _initial_hypotheses(batch_size: tf.Tensor, beam_width: int, width: tf.Tensor) -> tuple[Hypotheses, Hypotheses]:
    """Returns a beam with one empty hypothesis per row, and a list without hypotheses."""
    token_ids = tf.zeros([batch_size, beam_width, width], tf.int32) + PADDING_ID
    lengths = tf.zeros([batch_size, beam_width], tf.int32)
    impossible = tf.fill([batch_size, beam_width], IMPOSSIBLE)
    first = tf.where(tf.range(beam_width) == 0, 0.0, impossible)
    return Hypotheses(token_ids, lengths, first, first), Hypotheses(token_ids, lengths, impossible, impossible)


def _candidates(log_probabilities: tf.Tensor) -> Candidates:
    """Returns the best continuations of each hypothesis: twice as many as hypotheses, so that enough of them do not end.

    Args:
        log_probabilities: float32 `(batch, beam_width, vocabulary_size)`.
    """
    shape = tf.shape(log_probabilities)
    return Candidates(*tf.math.top_k(log_probabilities, tf.minimum(2 * shape[1], shape[2])))


def _continue(step: StepFunction, token_ids: tf.Tensor, parents: tf.Tensor, state: Any) -> tuple[Candidates, Any]:
    """Calls `step` for the next beam.

    Args:
        step: step function.
        token_ids: last token of each hypothesis of the next beam, int32 `(batch, beam_width)`.
        parents: index of the hypothesis that each one continues, int32 `(batch, beam_width)`.
        state: state of the beam before, with `batch * beam_width` rows.
    """
    batch_size, beam_width = tf.unstack(tf.shape(parents))
    rows = tf.reshape(tf.range(batch_size)[:, None] * beam_width + parents, [-1])
    state = tf.nest.map_structure(lambda value: tf.gather(value, rows), state)
    logits, state = step(tf.reshape(token_ids, [-1]), state)
    return _candidates(tf.reshape(normalized(logits), [batch_size, beam_width, tf.shape(logits)[-1]])), state


def _advance(
    position: tf.Tensor,
    alive: Hypotheses,
    ended: Hypotheses,
    candidates: Candidates,
    end_token: int,
    length_penalty: float,
) -> tuple[Hypotheses, Hypotheses, tf.Tensor]:
    """Adds one token to each hypothesis.

    Returns:
        The next beam; the hypotheses that have ended; and the index, int32 `(batch, beam_width)`, of the hypothesis that each one of
        the next beam continues.
    """
    beam_width, per_hypothesis = tf.shape(alive.lengths)[1], tf.shape(candidates.token_ids)[2]
    totals = tf.maximum(alive.log_probabilities[:, :, None] + candidates.log_probabilities, IMPOSSIBLE)
    count = beam_width * tf.minimum(2, per_hypothesis)
    values, indices = tf.math.top_k(_flatten(totals), count)
    parents, token_ids = indices // per_hypothesis, tf.gather(_flatten(candidates.token_ids), indices, batch_dims=1)
    tokens = tf.gather(alive.token_ids, parents, batch_dims=1)
    lengths = tf.gather(alive.lengths, parents, batch_dims=1)
    is_end = token_ids == end_token
    may_end = is_end & (tf.range(count) < beam_width)
    scores = _scores(values, lengths + 1, length_penalty)
    endings = Hypotheses(tokens, lengths, tf.where(may_end, values, IMPOSSIBLE), tf.where(may_end, scores, IMPOSSIBLE))
    endings = _concatenate(ended, endings)
    # The first hypotheses that end fill the list: a stable order by age, not by score.
    is_possible = tf.cast(endings.log_probabilities > IMPOSSIBLE / 2, tf.float32)
    ended = _gather(endings, tf.math.top_k(is_possible, beam_width)[1])
    values, best = tf.math.top_k(tf.where(is_end, IMPOSSIBLE, values), beam_width)
    continued = write_column(tf.gather(tokens, best, batch_dims=1), tf.gather(token_ids, best, batch_dims=1), position)
    beam = Hypotheses(continued, tf.gather(lengths, best, batch_dims=1) + 1, values, values)
    return beam, ended, tf.gather(parents, best, batch_dims=1)


def _merge(ended: Hypotheses, alive: Hypotheses, beam_width: int, length_penalty: float) -> Hypotheses:
    """Returns the hypotheses that ended, then those of the last beam as far as there is room, each group by falling score."""
    alive = alive._replace(scores=_scores(alive.log_probabilities, alive.lengths, length_penalty))
    ended = _gather(ended, tf.math.top_k(ended.scores, beam_width)[1])
    alive = _gather(alive, tf.math.top_k(alive.scores, beam_width)[1])
    merged = _concatenate(ended, alive)
    is_possible = merged.log_probabilities > IMPOSSIBLE / 2
    merged = _gather(merged, tf.math.top_k(tf.cast(is_possible, tf.float32), beam_width)[1])
    is_possible = merged.log_probabilities > IMPOSSIBLE / 2
    return Hypotheses(
        tf.where(is_possible[:, :, None], merged.token_ids, PADDING_ID),
        tf.where(is_possible, merged.lengths, 0),
        tf.where(is_possible, merged.log_probabilities, IMPOSSIBLE),
        tf.where(is_possible, merged.scores, IMPOSSIBLE),
    )


def _scores(log_probabilities: tf.Tensor, lengths: tf.Tensor, length_penalty: float) -> tf.Tensor:
    return log_probabilities / length_penalties(lengths, length_penalty)


def _flatten(values: tf.Tensor) -> tf.Tensor:
    """Reshapes `(batch, beam_width, candidates)` to `(batch, beam_width * candidates)`."""
    shape = tf.shape(values)
    return tf.reshape(values, [shape[0], shape[1] * shape[2]])


def _gather(hypotheses: Hypotheses, indices: tf.Tensor) -> Hypotheses:
    """Selects hypotheses of each row by their indices, int32 `(batch, count)`."""
    return Hypotheses(*(tf.gather(values, indices, batch_dims=1) for values in hypotheses))


def _concatenate(first: Hypotheses, second: Hypotheses) -> Hypotheses:
    return Hypotheses(*(tf.concat(pair, axis=1) for pair in zip(first, second, strict=True)))


def _where(is_active: tf.Tensor, changed: Hypotheses, unchanged: Hypotheses) -> Hypotheses:
    """Returns the changed hypotheses in active rows, and the unchanged ones in the others."""
    pairs = zip(changed, unchanged, strict=True)
    return Hypotheses(
        *(tf.where(tf.reshape(is_active, [-1] + [1] * (new.shape.rank - 1)), new, old) for new, old in pairs)
    )
