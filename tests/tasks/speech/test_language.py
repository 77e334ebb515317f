"""The n-grams' opinion of words."""

from __future__ import annotations

import json

import numpy as np
import pytest
import tensorflow as tf

from shared.errors import DataError
from tasks.speech.language import exported_opinion, ngram_opinion

TEXTS = ["go left", "go right", "go left now", "stop", "stop now"] * 5


def test_opinions_of_all_words_and_the_end_sum_to_one():
    opinion, words = ngram_opinion(TEXTS, 3)
    assert words == {"go", "left", "right", "now", "stop"}
    for before in ((), ("go",), ("go", "left"), ("never", "heard")):
        known = sum(np.exp(opinion(before, word)) for word in [*words, ""])
        unknown = np.exp(opinion(before, "x")) * 10
        assert known + unknown == pytest.approx(1, abs=1e-6)


def test_what_was_said_before_counts():
    opinion, _ = ngram_opinion(TEXTS, 3)
    assert opinion(("go",), "left") > opinion(("go",), "right") > opinion(("go",), "stop")
    assert opinion((), "go") > opinion((), "left")
    assert opinion(("go", "left"), "") > opinion(("go",), "")


def test_a_long_unknown_word_is_less_likely_than_a_short_one():
    opinion, _ = ngram_opinion(TEXTS, 2)
    assert opinion((), "xy") > opinion((), "xyz") > opinion((), "xyzxyz")


VOCABULARY = ["<eos>", "go", "left"]
SHARES = np.array([[0, 1, 2, 5, 2], [0, 4, 2, 2, 2], [0, 1, 1, 3, 5], [0, 1, 7, 1, 1]], np.float32)
"""Of padding, the unknown word, the end, "go", "left" after the unknown word, the end, "go" and "left", in tenths."""


class Bigrams(tf.Module):
    """What a next-word model exports, as the two words before have it: memory tells how many there were."""

    def __init__(self) -> None:
        super().__init__()
        self.table = tf.Variable(np.log(SHARES / 10 + 1e-9))

    @tf.function
    def step(self, word, memory):
        known = tf.constant(VOCABULARY)
        number = tf.reduce_sum(tf.cast(word[:, None] == known, tf.int32) * tf.range(1, 4), axis=1)
        return {"log_probabilities": tf.gather(self.table, number), "state": memory + 1.0}


@pytest.fixture
def exported(tmp_path):
    module = Bigrams()
    spec = (tf.TensorSpec([None], tf.string, name="word"), tf.TensorSpec([None, 2], tf.float32, name="state"))
    tf.saved_model.save(module, str(tmp_path), signatures={"step": module.step.get_concrete_function(*spec)})
    (tmp_path / "task.json").write_text(
        json.dumps({"task": "next_word", "text": {"unit": "word"}, "vocabulary": VOCABULARY})
    )
    return tmp_path


def test_an_exported_next_word_model_has_its_opinion(exported):
    opinion, words = exported_opinion(exported)
    assert words == {"go", "left"}
    assert np.exp(opinion((), "go")) == pytest.approx(0.2, rel=1e-5)
    assert np.exp(opinion(("go",), "left")) == pytest.approx(0.5, rel=1e-5)
    assert np.exp(opinion(("go", "left"), "")) == pytest.approx(0.7, rel=1e-5)
    assert np.exp(opinion(("go",), "far")) == pytest.approx(0.1 / 1000, rel=1e-5)
    assert np.exp(opinion(("far",), "go")) == pytest.approx(0.5, rel=1e-5)


@pytest.mark.parametrize(
    ("metadata", "words"),
    [
        ({"task": "speech"}, "does not predict words"),
        ({"task": "next_word", "text": {"unit": "character"}}, "does not predict words"),
        (None, "no exported next-word model"),
    ],
)
def test_what_is_no_model_of_words_is_refused(exported, metadata, words):
    if metadata is None:
        (exported / "task.json").unlink()
    else:
        (exported / "task.json").write_text(json.dumps(metadata))
    with pytest.raises(DataError, match=words):
        exported_opinion(exported)
