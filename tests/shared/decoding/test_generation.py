"""Greedy decoding and sampling: ends, lengths, log-probabilities, seeds, and independence of rows."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.decoding import generation, sampling
from tests.shared.decoding.markov import END, VOCABULARY_SIZE, MarkovChain

MAX_LENGTH = 6


@pytest.fixture(scope="module")
def chain() -> MarkovChain:
    return MarkovChain(batch_size=20, max_length=MAX_LENGTH)


def row_of(chain: MarkovChain, row: int) -> MarkovChain:
    single = MarkovChain(batch_size=1, max_length=MAX_LENGTH)
    single.tables = chain.tables[row : row + 1]
    return single


def greedy(chain: MarkovChain, max_lengths: object = MAX_LENGTH, end_token: int | None = END) -> generation.Sequences:
    """Decodes in a graph whose batch size is unknown, as in an exported model."""

    @tf.function(input_signature=[tf.TensorSpec([None, VOCABULARY_SIZE])])
    def run(logits: tf.Tensor) -> generation.Sequences:
        return generation.greedy(chain.step, logits, chain.state, max_lengths, end_token)

    return generation.Sequences(*(values.numpy() for values in run(chain.logits)))


def sample(
    chain: MarkovChain,
    max_lengths: object = MAX_LENGTH,
    end_token: int | None = None,
    max_positions: int = 1000,
    **options: object,
) -> generation.Sequences:
    count = len(chain.tables)
    values = {"temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": np.arange(count)} | options
    dtypes = {"temperature": np.float32, "top_k": np.int32, "top_p": np.float32, "seed": np.int32}
    dtypes["repetition_penalty"] = np.float32
    settings = sampling.Settings(
        **{name: tf.constant(np.broadcast_to(value, count), dtypes[name]) for name, value in values.items()}
    )
    sequences = generation.sample(
        chain.step, chain.logits, chain.state, max_lengths, settings, end_token, max_positions
    )
    return generation.Sequences(*(values.numpy() for values in sequences))


def test_greedy_decoding_selects_the_most_probable_token_until_the_end(chain):
    sequences = greedy(chain)
    for row in range(20):
        previous, expected = 0, []
        for position in range(MAX_LENGTH):
            previous = int(np.argmax(chain.tables[row, position, previous]))
            if previous == END:
                break
            expected.append(previous)
        assert sequences.lengths[row] == len(expected)
        assert sequences.token_ids[row].tolist() == expected + [0] * (MAX_LENGTH - len(expected))
    assert len(set(sequences.lengths)) > 2


@pytest.mark.parametrize("decode", [greedy, sample])
def test_the_log_probability_is_the_sum_over_the_steps_with_the_end_token(chain, decode):
    sequences = decode(chain, end_token=END)
    for row, (tokens, length, value) in enumerate(zip(*sequences, strict=True)):
        sequence = [*tokens[:length], *([END] if length < MAX_LENGTH else [])]
        assert value == pytest.approx(chain.log_probability(row, sequence), abs=1e-5)


@pytest.mark.parametrize("decode", [greedy, sample])
def test_each_row_has_its_maximum_length(chain, decode):
    maximum = np.arange(20) % MAX_LENGTH + 1
    sequences = decode(chain, maximum, None)
    assert sequences.token_ids.shape == (20, MAX_LENGTH)
    assert sequences.lengths.tolist() == maximum.tolist()
    assert (np.count_nonzero(sequences.token_ids, axis=1) == maximum).all()


@pytest.mark.parametrize("decode", [greedy, sample])
def test_a_row_does_not_depend_on_the_other_rows(chain, decode):
    batched = decode(chain, end_token=END)
    for row in (0, 7, 19):
        options = {} if decode is greedy else {"seed": row}
        single = decode(row_of(chain, row), end_token=END, **options)
        assert single.token_ids[0].tolist() == batched.token_ids[row].tolist()


def test_the_loop_stops_when_all_rows_have_ended():
    chain = MarkovChain(batch_size=3)
    chain.tables[:, :, :, END] = 50
    calls = []

    def step(token_ids, state):
        calls.append(token_ids)
        return chain.step(token_ids, state)

    sequences = generation.greedy(step, chain.logits, chain.state, 1000, END)
    assert len(calls) == 1
    assert sequences.lengths.numpy().tolist() == [0, 0, 0]


def test_the_same_seed_gives_the_same_sequence_and_a_longer_one_begins_with_it(chain):
    first, again, other = (sample(chain, seed=seed).token_ids for seed in (3, 3, 4))
    assert first.tolist() == again.tolist()
    assert first.tolist() != other.tolist()
    assert sample(chain, 3, seed=3).token_ids.tolist() == first[:, :3].tolist()


def test_a_maximum_length_above_the_number_of_positions_is_rejected(chain):
    with pytest.raises(tf.errors.InvalidArgumentError, match="out of bounds"):
        sample(chain, 5, max_positions=4)


def test_each_row_has_its_own_settings(chain):
    temperature = np.where(np.arange(20) % 2, 0.0, 5.0)
    sequences, expected = sample(chain, temperature=temperature).token_ids, greedy(chain, end_token=None).token_ids
    assert (sequences[1::2] == expected[1::2]).all()
    assert (sequences[::2] != expected[::2]).any()
    top_1 = sample(chain, top_k=1, temperature=3.0)
    assert (top_1.token_ids == expected).all()


def test_impossible_tokens_never_occur(chain):
    assert sample(chain, temperature=100.0).token_ids.min() >= 1  # token 0 has the logit IMPOSSIBLE


def test_sampled_tokens_have_the_probabilities_of_the_model():
    chain = MarkovChain(batch_size=1, max_length=1)
    many = MarkovChain(batch_size=4000, max_length=1)
    many.tables = np.repeat(chain.tables, 4000, axis=0)
    tokens = sample(many, 1).token_ids[:, 0]
    frequencies = np.bincount(tokens, minlength=VOCABULARY_SIZE) / len(tokens)
    np.testing.assert_allclose(frequencies, tf.nn.softmax(chain.logits[0]), atol=0.03)


def test_an_empty_batch_has_no_sequences():
    assert greedy(MarkovChain(batch_size=0)).token_ids.shape == (0, 0)


def test_a_state_of_another_shape_is_rejected(chain):
    def step(token_ids, state):
        return chain.logits, tf.zeros((20, 3))

    with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match="compatible"):
        generation.greedy(step, chain.logits, tf.zeros((20, 2)), MAX_LENGTH)


def test_a_repetition_penalty_of_1_changes_nothing_and_a_high_one_prevents_repetitions(chain):
    plain, same = sample(chain), sample(chain, repetition_penalty=1.0)
    np.testing.assert_array_equal(plain.token_ids, same.token_ids)
    np.testing.assert_allclose(plain.log_probabilities, same.log_probabilities, rtol=1e-6)
    assert any(len(set(row)) < MAX_LENGTH for row in plain.token_ids.tolist()), "the test needs repetitions"
    length = VOCABULARY_SIZE - 1
    distinct = sample(chain, max_lengths=min(length, MAX_LENGTH), repetition_penalty=1e4)
    assert all(len(set(row)) == len(row) for row in distinct.token_ids.tolist())


def test_tokens_of_the_prompt_are_penalized_like_generated_ones():
    log_probabilities = tf.constant([[-1.0, -2.0], [-1.0, -2.0]])
    has_occurred = tf.constant([[True, False], [False, False]])
    values = sampling.penalize_repetitions(log_probabilities, has_occurred, tf.constant([3.0, 3.0]))
    np.testing.assert_array_equal(values, [[-3, -2], [-1, -2]])
