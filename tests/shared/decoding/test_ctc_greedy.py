"""Greedy decoding in the graph gives the text of the path, its words and steps, in one piece or in chunks."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from shared.decoding.ctc_greedy import GreedyDecoder, decode_greedily
from tests.shared.decoding.sequences import log_probabilities_of, random_log_probabilities

ALPHABET = " abc"
HANDWRITING = "\n αβγ'0é漢"
"""An alphabet of several scripts, with a line break; the space is not the first character."""


def decode(alphabet, *sequences):
    """Returns the outputs for sequences of any lengths."""
    padded = np.full((len(sequences), max(map(len, sequences)), len(alphabet) + 1), np.nan, np.float32)
    for row, sequence in zip(padded, sequences, strict=True):
        row[: len(sequence)] = sequence
        row[len(sequence) :] = log_probabilities_of(alphabet[-1], alphabet)  # padding that is not `BLANK_ID`
    step_count = tf.constant([len(sequence) for sequence in sequences])
    outputs = GreedyDecoder(alphabet).decode(tf.constant(padded), step_count)
    return {name: value.numpy() for name, value in outputs.items()}


def decode_in_chunks(alphabet, sequence, sizes):
    """Returns the text of a sequence in chunks of these sizes, which repeat, with two more steps of padding in each chunk."""
    decoder = GreedyDecoder(alphabet)
    state, text, start, k = tf.zeros((1, decoder.STATE_SIZE), tf.int32), b"", 0, 0
    while start < len(sequence):
        chunk = sequence[start : start + sizes[k % len(sizes)]]
        padded = np.concatenate([chunk, log_probabilities_of(alphabet[-1] * 2, alphabet)])[None].astype(np.float32)
        added, state = decoder.decode_chunk(tf.constant(padded), tf.constant([len(chunk)]), state)
        text, start, k = text + added.numpy()[0], start + sizes[k % len(sizes)], k + 1
    return text.decode()


def test_the_most_probable_symbol_of_each_step_gives_the_text():
    log_probabilities = np.log(np.array([[0.1, 0.8, 0.1], [0.1, 0.8, 0.1], [0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]))
    assert decode_greedily(log_probabilities, "ab") == "aa"


def test_words_have_the_steps_of_their_first_and_last_characters():
    outputs = decode(ALPHABET, log_probabilities_of("__aab_ _ bb_bc_ ", ALPHABET))
    assert outputs["text"][0] == b"ab bbc"
    assert outputs["words"][0].tolist() == [b"ab", b"bbc", *[b""] * 6]
    assert outputs["start_step"][0].tolist() == [2, 9, *[0] * 6]
    assert outputs["end_step"][0].tolist() == [5, 14, *[0] * 6]
    assert outputs["confidence"][0] == pytest.approx(0.9, rel=1e-5)


def test_the_confidence_of_a_word_is_the_mean_of_its_letters_and_not_of_other_steps():
    sequence = log_probabilities_of("_ab_ _c_", ALPHABET)
    weak = np.log(0.5) - sequence[1].max()
    sequence[1] += weak  # the letter a; its other symbols do not matter
    sequence[3] += np.log(0.2)  # no letter
    outputs = decode(ALPHABET, sequence)
    np.testing.assert_allclose(outputs["word_confidence"][0, :3], [np.sqrt(0.5 * 0.9), 0.9, 0], rtol=1e-5)
    assert outputs["confidence"][0] == pytest.approx((np.sqrt(0.5 * 0.9) * 0.9) ** 0.5, rel=1e-5)


def test_without_words_the_confidence_is_the_probability_of_silence():
    silence, unsure = log_probabilities_of("____", ALPHABET), log_probabilities_of("____", ALPHABET)
    unsure[:] = np.log([0.4, 0.15, 0.15, 0.15, 0.15])
    outputs = decode(ALPHABET, silence, unsure)
    np.testing.assert_allclose(outputs["confidence"], [0.9, 0.4], rtol=1e-5)


def test_the_calibration_is_a_sigmoid_of_the_logit():
    sequence = log_probabilities_of("_ab_", ALPHABET)
    outputs = GreedyDecoder(ALPHABET, (0.5, -1.0)).decode(tf.constant(sequence[None], tf.float32), tf.constant([4]))
    expected = 1 / (1 + np.exp(-(0.5 * np.log(0.9 / 0.1) - 1.0)))
    assert outputs["word_confidence"].numpy()[0, 0] == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("cut", range(1, 17))
def test_a_space_between_words_is_written_once_wherever_a_stream_is_cut(cut):
    sequence = log_probabilities_of(" _ aab_ _  bb_bc_ ", ALPHABET)
    assert len(sequence) == 18
    assert decode_in_chunks(ALPHABET, sequence, (cut, 18)) == "ab bbc"


def test_a_sequence_that_waits_keeps_its_state():
    decoder, chunk = GreedyDecoder(ALPHABET), tf.constant(log_probabilities_of("abc", ALPHABET)[None])
    state = tf.constant([[2, 1]])
    text, next_state = decoder.decode_chunk(chunk, tf.constant([0]), state)
    assert text.numpy().tolist() == [b""]
    np.testing.assert_array_equal(next_state, state)


def test_ctc_blanks_alone_have_no_words():
    outputs = decode(ALPHABET, log_probabilities_of("____", ALPHABET))
    assert outputs["text"][0] == b""
    assert set(outputs["words"].ravel()) == {b""}
    assert not outputs["start_step"].any()
    assert not outputs["end_step"].any()


def test_an_alphabet_without_a_space_gives_one_word():
    outputs = decode("17", log_probabilities_of("17", "17"))
    assert outputs["words"].tolist() == [[b"17"]]
    assert (outputs["start_step"].tolist(), outputs["end_step"].tolist()) == ([[0]], [[2]])


def test_a_line_of_handwriting_in_several_scripts_is_decoded():
    path = "α_ββ γ'00_0é__ 漢\nα "
    outputs = decode(HANDWRITING, log_probabilities_of(path, HANDWRITING), log_probabilities_of("é", HANDWRITING))
    assert [text.decode() for text in outputs["text"]] == ["αβ γ'00é 漢\nα", "é"]
    words = [word.decode() for word in outputs["words"][0] if word]
    assert words == ["αβ", "γ'00é", "漢\nα"]
    assert outputs["start_step"][0, :3].tolist() == [path.index(word[0]) for word in words]
    assert outputs["end_step"][0, :3].tolist() == [3, 12, 18]  # repetitions of the last character do not count
    assert outputs["words"][1].tolist() == ["é".encode(), *[b""] * (len(outputs["words"][1]) - 1)]


@pytest.mark.parametrize("alphabet", [ALPHABET, HANDWRITING, "17"])
@pytest.mark.parametrize("seed", range(3))
def test_the_graph_the_chunks_and_numpy_give_the_same_text(alphabet, seed):
    sequences = [random_log_probabilities(steps, alphabet, seed).astype(np.float32) for steps in (40, 17, 1)]
    expected = [decode_greedily(sequence, alphabet) for sequence in sequences]
    outputs = decode(alphabet, *sequences)
    assert [text.decode() for text in outputs["text"]] == expected
    for sequence, text, words in zip(sequences, expected, outputs["words"], strict=True):
        assert [word.decode() for word in words if word] == [word for word in text.split(" ") if word]
        assert all(decode_in_chunks(alphabet, sequence, sizes) == text for sizes in ((1,), (7, 2), (40,)))


def test_a_text_below_the_minimum_of_the_confidence_is_not_written():
    sequences = np.stack([log_probabilities_of("_ab_", ALPHABET), log_probabilities_of("_ab_", ALPHABET)])
    sequences[1, 1:3] += np.log(0.5)
    outputs = GreedyDecoder(ALPHABET, min_confidence=0.6).decode(
        tf.constant(sequences, tf.float32), tf.constant([4, 4])
    )
    assert outputs["text"].numpy().tolist() == [b"ab", b""]
    assert outputs["words"].numpy()[1].tolist() == [b"", b""]
    assert not outputs["word_confidence"].numpy()[1].any()
    assert not outputs["end_step"].numpy()[1].any()
