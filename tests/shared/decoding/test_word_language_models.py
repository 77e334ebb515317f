"""Scores of an exported next-word model as a language model."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.decoding.word_language_models import load_exported_model
from shared.errors import DataError

VOCABULARY = ["<eos>", "go", "left"]
TENTHS = np.array([[0, 1, 2, 5, 2], [0, 4, 2, 2, 2], [0, 1, 1, 3, 5], [0, 1, 7, 1, 1]], np.float32)
"""Probabilities in tenths. Rows: the previous word is unknown, the end, "go" or "left". Columns: padding, the unknown word, the end,
"go", "left"."""


class BigramModel(tf.Module):
    """Imitates an exported next-word model. Its state counts the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.Variable(np.log(TENTHS / 10 + 1e-9))

    @tf.function
    def step(self, word, state):
        known = tf.constant(VOCABULARY)
        row = tf.reduce_sum(tf.cast(word[:, None] == known, tf.int32) * tf.range(1, 4), axis=1)
        return {"log_probabilities": tf.gather(self.table, row), "state": state + 1.0}


@pytest.fixture
def exported(tmp_path):
    module = BigramModel()
    spec = (tf.TensorSpec([None], tf.string, name="word"), tf.TensorSpec([None, 2], tf.float32, name="state"))
    tf.saved_model.save(module, str(tmp_path), signatures={"step": module.step.get_concrete_function(*spec)})
    (tmp_path / "task.json").write_text(
        json.dumps({"task": "next_word", "text": {"unit": "word"}, "vocabulary": VOCABULARY})
    )
    return tmp_path


def test_the_scores_are_those_of_the_exported_model(exported):
    score, vocabulary = load_exported_model(exported, "next_word")
    assert vocabulary == {"go", "left"}
    assert np.exp(score((), "go")) == pytest.approx(0.2, rel=1e-5)
    assert np.exp(score(("go",), "left")) == pytest.approx(0.5, rel=1e-5)
    assert np.exp(score(("go", "left"), "")) == pytest.approx(0.7, rel=1e-5)
    assert np.exp(score(("go",), "far")) == pytest.approx(0.1 / 1000, rel=1e-5)
    assert np.exp(score(("far",), "go")) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("metadata", "message"),
    [
        ({"task": "speech"}, "does not predict words"),
        ({"task": "next_word", "text": {"unit": "character"}}, "does not predict words"),
        (None, "not an exported next-word model"),
    ],
)
def test_a_folder_without_a_model_of_words_is_rejected(exported, metadata, message):
    if metadata is None:
        (exported / "task.json").unlink()
    else:
        (exported / "task.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=message):
        load_exported_model(exported, "next_word")
