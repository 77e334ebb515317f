"""Beam search: against greedy decoding, an exhaustive search and a second implementation; scores, lengths, and rows of a batch."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.decoding import beam, generation
from tests.shared.decoding.markov import END, VOCABULARY_SIZE, MarkovChain

MAX_LENGTH = 4


def search(
    chain: MarkovChain, width: int, max_lengths: object = MAX_LENGTH, length_penalty: float = 0.6
) -> beam.Hypotheses:
    """Runs the search in a graph whose batch size is unknown, as in an exported model."""

    @tf.function(input_signature=[tf.TensorSpec([None, VOCABULARY_SIZE])])
    def run(logits: tf.Tensor) -> beam.Hypotheses:
        return beam.beam_search(chain.step, logits, chain.state, max_lengths, width, END, length_penalty)

    return beam.Hypotheses(*(values.numpy() for values in run(chain.logits)))


def normalize(log_probability: float, length: int, length_penalty: float) -> float:
    return log_probability / ((5 + length) / 6) ** length_penalty


def reference_search(
    chain: MarkovChain, row: int, width: int, length_penalty: float
) -> list[tuple[tuple[int, ...], float]]:
    """Returns the hypotheses that end, and their scores, of a beam search over Python lists."""
    alive: list[tuple[int, ...]] = [()]
    ended: list[tuple[tuple[int, ...], float]] = []
    for _ in range(MAX_LENGTH):
        continuations = [(*tokens, token) for tokens in alive for token in range(1, VOCABULARY_SIZE)]
        continuations.sort(key=lambda tokens: -chain.log_probability(row, tokens))
        ended += [
            (tokens[:-1], normalize(chain.log_probability(row, tokens), len(tokens), length_penalty))
            for tokens in continuations[:width]
            if tokens[-1] == END
        ]
        alive = [tokens for tokens in continuations if tokens[-1] != END][:width]
        if len(ended) >= width:
            break
    return sorted(ended[:width], key=lambda item: -item[1])


@pytest.mark.parametrize("width", [1, 2, 3, 6])
@pytest.mark.parametrize("length_penalty", [0.0, 1.0])
def test_hypotheses_equal_those_of_a_second_implementation(width, length_penalty):
    chain = MarkovChain(batch_size=20)
    hypotheses = search(chain, width, length_penalty=length_penalty)
    for row in range(20):
        expected = reference_search(chain, row, width, length_penalty)
        for k, (tokens, score) in enumerate(expected):
            assert tuple(hypotheses.token_ids[row, k, : hypotheses.lengths[row, k]]) == tokens
            assert hypotheses.scores[row, k] == pytest.approx(score, abs=1e-5)


def test_a_beam_of_width_one_equals_greedy_decoding():
    chain = MarkovChain(batch_size=200)
    hypotheses = search(chain, 1)
    sequences = generation.greedy(chain.step, chain.logits, chain.state, MAX_LENGTH, END)
    assert hypotheses.token_ids[:, 0].tolist() == sequences.token_ids.numpy().tolist()
    assert hypotheses.lengths[:, 0].tolist() == sequences.lengths.numpy().tolist()
    np.testing.assert_allclose(hypotheses.log_probabilities[:, 0], sequences.log_probabilities, atol=1e-6)
    assert 0 < np.mean(hypotheses.lengths < MAX_LENGTH) < 1  # some end, some have the maximum length


def test_a_wide_beam_finds_the_best_of_all_sequences():
    chain = MarkovChain(batch_size=5)
    hypotheses = search(chain, 200, length_penalty=0.8)
    for row in range(5):
        scores = {
            tokens: normalize(value, len(tokens) + 1, 0.8)
            for tokens, value in chain.ended_sequences(row, MAX_LENGTH).items()
        }
        order = sorted(scores, key=lambda tokens: -scores[tokens])
        for k, tokens in enumerate(order):
            assert tuple(hypotheses.token_ids[row, k, : hypotheses.lengths[row, k]]) == tokens
            assert hypotheses.scores[row, k] == pytest.approx(scores[tokens], abs=1e-5)


def test_the_score_before_normalization_is_the_sum_of_the_log_probabilities_of_the_steps():
    chain = MarkovChain(batch_size=30)
    hypotheses = search(chain, 3)
    for row in range(30):
        for tokens, length, value, score in zip(*(values[row] for values in hypotheses), strict=True):
            is_ended = length < MAX_LENGTH
            sequence = [*tokens[:length], *([END] if is_ended else [])]
            assert value == pytest.approx(chain.log_probability(row, sequence), abs=1e-5)
            assert score == pytest.approx(normalize(value, len(sequence), 0.6), abs=1e-5)
            assert not tokens[length:].any()


def test_length_normalization_prefers_longer_sequences():
    chain = MarkovChain(batch_size=50, scale=0.5)
    means = [search(chain, 8, length_penalty=penalty).lengths[:, 0].mean() for penalty in (0.0, 3.0)]
    assert means[1] > means[0] + 0.2


def test_length_penalties_are_those_of_the_formula():
    np.testing.assert_allclose(beam.length_penalties(tf.constant([1, 7]), 0.5), [1.0, np.sqrt(2.0)], rtol=1e-6)


def test_a_row_does_not_depend_on_the_other_rows():
    chain = MarkovChain(batch_size=12)
    maximum = np.arange(12) % MAX_LENGTH + 1
    batched = search(chain, 3, maximum)
    for row in (0, 6, 11):
        single = MarkovChain(batch_size=1)
        single.tables = chain.tables[row : row + 1]
        hypotheses = search(single, 3, maximum[row])
        assert (batched.lengths[row] <= maximum[row]).all()
        assert batched.lengths[row].tolist() == hypotheses.lengths[0].tolist()
        assert batched.token_ids[row, :, : maximum[row]].tolist() == hypotheses.token_ids[0].tolist()
        np.testing.assert_allclose(batched.scores[row], hypotheses.scores[0], atol=1e-6)


def test_the_state_belongs_to_the_hypothesis_that_a_step_continues():
    chain = MarkovChain(batch_size=10)
    steps = []

    def step(token_ids, state):
        logits, state = chain.step(token_ids, state)
        steps.append(state["history"].numpy())
        return logits, state

    hypotheses = beam.beam_search(step, chain.logits, chain.state, MAX_LENGTH, 3, VOCABULARY_SIZE, 0.0)  # no end token
    histories = steps[-1].reshape(10, 3)
    for row in range(10):
        texts = {"".join(map(str, tokens)).encode() for tokens in hypotheses.token_ids.numpy()[row]}
        assert set(histories[row]) == texts


def test_a_row_with_fewer_sequences_than_the_beam_has_places_without_a_sequence():
    chain = MarkovChain(batch_size=2)
    chain.tables[..., 2:] = -1e9  # only the end is possible
    hypotheses = search(chain, 3)
    assert hypotheses.lengths.tolist() == [[0, 0, 0]] * 2
    assert hypotheses.log_probabilities[:, 0] == pytest.approx(0, abs=1e-6)
    assert (hypotheses.log_probabilities[:, 1:] == np.float32(generation.IMPOSSIBLE)).all()
    assert (hypotheses.scores[:, 1:] == np.float32(generation.IMPOSSIBLE)).all()


def test_an_empty_batch_has_no_hypotheses():
    hypotheses = search(MarkovChain(batch_size=0), 2)
    assert hypotheses.token_ids.shape[:2] == (0, 2)


def test_rows_are_repeated_in_the_order_of_the_hypotheses():
    repeated = beam.repeat_rows({"values": tf.constant([[1], [2]])}, 2)
    assert repeated["values"].numpy().tolist() == [[1], [1], [2], [2]]


@pytest.mark.parametrize(
    ("options", "message"), [((0, 0.6), "beam_width must be"), ((2, -0.1), "length_penalty must be")]
)
def test_an_impossible_setting_is_rejected(options, message):
    chain = MarkovChain()
    with pytest.raises(ValueError, match=message):
        beam.beam_search(chain.step, chain.logits, chain.state, 3, options[0], END, options[1])
