"""The model reads no future, word by word as all at once; training loses what the head says."""

from __future__ import annotations

import numpy as np
import pytest

from tasks.next_word.model import Trainer

NUMBERS = np.array([[2, 3, 4, 5, 6, 3, 7, 8], [2, 9, 3, 10, 0, 0, 0, 0]], np.int32)
LENGTH = np.array([8, 4], np.int32)


def read(views, token_ids=NUMBERS, length=LENGTH, memory=None):
    memory = np.zeros((len(token_ids), views.state_size), np.float32) if memory is None else memory
    after = views.reader({"token_ids": token_ids, "length": length, "state": memory})
    return np.asarray(views.head(after["hidden"])), np.asarray(after["state"])


def test_the_head_gives_log_probabilities(views):
    logs, _ = read(views)
    np.testing.assert_allclose(np.exp(logs).sum(axis=-1), 1, rtol=1e-5)


def test_the_future_changes_nothing(views):
    changed = NUMBERS.copy()
    changed[0, 5:] = 11
    np.testing.assert_array_equal(read(views, changed)[0][0, :5], read(views)[0][0, :5])


def test_padding_and_neighbours_change_nothing(views):
    alone, memory = read(views, NUMBERS[1:, :4], LENGTH[1:])
    together, memories = read(views)
    np.testing.assert_allclose(together[1, :4], alone[0], atol=1e-6)
    np.testing.assert_allclose(memories[1], memory[0], atol=1e-6)


def test_word_by_word_equals_all_at_once(views):
    logs, _ = read(views)
    memory = np.zeros((2, views.state_size), np.float32)
    for k in range(4):
        one, memory = read(views, NUMBERS[:, k : k + 1], np.ones(2, np.int32), memory)
        np.testing.assert_allclose(one[:, 0], logs[:, k], atol=1e-5)


def test_the_bias_is_the_embeddings_last_column(views):
    hidden = np.zeros((1, 1, 5), np.float32)
    hidden[..., -1] = 1
    found = np.asarray(views.head(hidden))[0, 0]
    bias = np.asarray(views.embedding.embeddings)[:, -1]
    np.testing.assert_allclose(found - found[0], bias - bias[0], atol=1e-5)


def batch(token_ids: np.ndarray, is_continued: float) -> dict:
    return {"token_ids": token_ids, "is_continued": np.full(len(token_ids), is_continued, np.float32)}


@pytest.mark.parametrize("training", [True, False])
def test_a_row_loses_what_its_words_were_given_the_state_carried_on(views, training):
    """Without dropout and with all words in the sum, training and validation lose the same."""
    trainer = Trainer(views, rows=2)
    stream = np.array([[2, 3, 4, 5, 6, 3, 7], [2, 9, 3, 10, 4, 4, 5]], np.int32)
    found = [np.asarray(trainer(batch(stream[:, k : k + 4], float(k > 0)), training=training)) for k in (0, 3)]
    logs, _ = read(views, stream[:, :-1], np.full(2, 6, np.int32))
    expected = -np.take_along_axis(logs, stream[:, 1:, None], axis=-1)[..., 0]
    np.testing.assert_allclose(found[0], expected[:, :3].mean(axis=1), rtol=1e-5)
    np.testing.assert_allclose(found[1], expected[:, 3:].mean(axis=1), rtol=1e-5)
    again = np.asarray(trainer(batch(stream[:, :4], 0.0), training=training))
    np.testing.assert_allclose(again, found[0], rtol=1e-5)  # an epoch begins anew


def test_validation_does_not_disturb_the_state_of_training(views):
    trainer = Trainer(views, rows=2)
    trainer(batch(NUMBERS[:, :4], 0.0), training=True)
    before = np.asarray(trainer.memories["training_memory"])
    trainer(batch(NUMBERS[:, :4], 0.0), training=False)
    np.testing.assert_array_equal(np.asarray(trainer.memories["training_memory"]), before)
    assert np.abs(before).max() > 0
