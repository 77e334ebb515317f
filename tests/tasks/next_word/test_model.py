"""The model does not use future words, single steps equal whole texts, and the loss is that of the head."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word.model import Trainer

TOKEN_IDS = np.array([[2, 3, 4, 5, 6, 3, 7, 8], [2, 9, 3, 10, 0, 0, 0, 0]], np.int32)
LENGTH = np.array([8, 4], np.int32)


def run(builder, token_ids=TOKEN_IDS, length=LENGTH, state=None):
    """Returns log-probabilities and the next state."""
    state = np.zeros((len(token_ids), builder.state_size), np.float32) if state is None else state
    outputs = builder.encoder({"token_ids": token_ids, "length": length, "state": state})
    return np.asarray(builder.head(outputs["hidden"])), np.asarray(outputs["state"])


def test_the_head_gives_log_probabilities(builder):
    log_probabilities, _ = run(builder)
    np.testing.assert_allclose(np.exp(log_probabilities).sum(axis=-1), 1, rtol=1e-5)


def test_future_words_change_nothing(builder):
    changed = TOKEN_IDS.copy()
    changed[0, 5:] = 11
    np.testing.assert_array_equal(run(builder, changed)[0][0, :5], run(builder)[0][0, :5])


def test_padding_and_other_rows_change_nothing(builder):
    single, single_state = run(builder, TOKEN_IDS[1:, :4], LENGTH[1:])
    batched, batched_state = run(builder)
    np.testing.assert_allclose(batched[1, :4], single[0], atol=1e-6)
    np.testing.assert_allclose(batched_state[1], single_state[0], atol=1e-6)


def test_single_words_equal_the_whole_text(builder):
    expected, _ = run(builder)
    state = np.zeros((2, builder.state_size), np.float32)
    for k in range(4):
        log_probabilities, state = run(builder, TOKEN_IDS[:, k : k + 1], np.ones(2, np.int32), state)
        np.testing.assert_allclose(log_probabilities[:, 0], expected[:, k], atol=1e-5)


def test_the_last_column_of_the_embedding_is_the_bias(builder):
    hidden = np.zeros((1, 1, 5), np.float32)
    hidden[..., -1] = 1
    log_probabilities = np.asarray(builder.head(hidden))[0, 0]
    bias = np.asarray(builder.embedding.embeddings)[:, -1]
    np.testing.assert_allclose(log_probabilities - log_probabilities[0], bias - bias[0], atol=1e-5)


def make_batch(token_ids: np.ndarray, is_continued: float) -> dict:
    return {"token_ids": token_ids, "is_continued": np.full(len(token_ids), is_continued, np.float32)}


@pytest.mark.parametrize("training", [True, False])
def test_the_loss_of_a_row_is_that_of_the_head_with_the_carried_state(builder, training):
    """Without dropout and with the full softmax, training and validation have the same loss."""
    trainer = Trainer(builder, batch_size=2)
    stream = np.array([[2, 3, 4, 5, 6, 3, 7], [2, 9, 3, 10, 4, 4, 5]], np.int32)
    batches = [make_batch(stream[:, k : k + 4], float(k > 0)) for k in (0, 3)]
    losses = [np.asarray(trainer(batch, training=training)) for batch in batches]
    log_probabilities, _ = run(builder, stream[:, :-1], np.full(2, 6, np.int32))
    expected = -np.take_along_axis(log_probabilities, stream[:, 1:, None], axis=-1)[..., 0]
    np.testing.assert_allclose(losses[0], expected[:, :3].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(losses[1], expected[:, 3:].mean(axis=1), rtol=1e-5)
    first_again = np.asarray(trainer(batches[0], training=training))  # the next epoch starts without a state
    np.testing.assert_allclose(first_again, losses[0], rtol=1e-5)


def test_validation_does_not_change_the_state_of_training(builder):
    trainer = Trainer(builder, batch_size=2)
    trainer(make_batch(TOKEN_IDS[:, :4], 0.0), training=True)
    before = np.asarray(trainer.carried_states["training_state"])
    trainer(make_batch(TOKEN_IDS[:, :4], 0.0), training=False)
    np.testing.assert_array_equal(np.asarray(trainer.carried_states["training_state"]), before)
    assert np.abs(before).max() > 0
