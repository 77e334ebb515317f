"""N-gram models: the probabilities of Kneser-Ney, and files in the ARPA format."""

from __future__ import annotations

import gzip
import math

import numpy as np
import pytest

from shared.decoding import arpa
from shared.errors import DataError
from shared.text.kneser_ney import KneserNey

TEXTS = ["go left", "go right", "go left now", "stop", "stop now"] * 5
TWO_WORDS = """a comment before the data

\\data\\
ngram 1=5
ngram 2=2

\\1-grams:
-99 <s> -0.3
-0.6 </s>
-1.0 <unk>
-0.4 go -0.2
-0.8 stop

\\2-grams:
-0.1 <s> go
-0.2 go </s>

\\end\\
"""


@pytest.mark.parametrize("order", [1, 2, 3, 4])
def test_the_probabilities_of_all_words_and_the_end_sum_to_one(order):
    model = arpa.train_model(TEXTS, order)
    assert model.vocabulary == {"go", "left", "right", "now", "stop"}
    for previous_words in ((), ("go",), ("go", "left"), ("unknown", "words")):
        known = sum(np.exp(model.log_probability(previous_words, word)) for word in [*model.vocabulary, ""])
        unknown = np.exp(model.log_probability(previous_words, "x")) * 10
        assert known + unknown == pytest.approx(1, abs=1e-9)


def test_backoff_gives_the_probabilities_of_the_interpolated_model():
    model, words = arpa.train_model(TEXTS, 3), ["go", "left", "now", "right", "stop"]
    ids = {word: k for k, word in enumerate(words, 3)} | {"": 1, "<unk>": 2}
    stream = [1]
    for text in TEXTS:
        stream += [*(ids[word] for word in text.split()), 1]
    direct = KneserNey(np.array(stream), 8, 1, 3)
    for context in ((), ("go",), ("stop", "now"), ("now", "now")):
        for word in (*words, ""):
            tokens = [1, *(ids[w] for w in context), ids[word]][-3:]
            expected = direct.probabilities(np.array(tokens))[-1]
            assert math.exp(model.log_probability(context, word)) == pytest.approx(expected, rel=1e-9)


def test_the_score_of_a_word_depends_on_the_words_before():
    model = arpa.train_model(TEXTS, 3)
    assert (
        model.log_probability(("go",), "left")
        > model.log_probability(("go",), "right")
        > model.log_probability(("go",), "stop")
    )
    assert model.log_probability(("go", "left"), "") > model.log_probability(("go",), "")


def test_a_long_unknown_word_is_less_probable_than_a_short_one():
    model = arpa.train_model(TEXTS, 2)
    assert model.log_probability((), "xy") - model.log_probability((), "xyz") == pytest.approx(math.log(10))


def test_a_file_has_the_probabilities_of_its_model(tmp_path):
    model = arpa.train_model(TEXTS, 3)
    (tmp_path / "lm.arpa.gz").write_bytes(gzip.compress(arpa.format_model(model).encode()))
    read = arpa.read_model(tmp_path / "lm.arpa.gz")
    assert read.order == 3
    assert read.vocabulary == model.vocabulary
    for context in ((), ("go",), ("go", "left"), ("x",)):
        for word in (*model.vocabulary, "", "x"):
            assert read.log_probability(context, word) == pytest.approx(model.log_probability(context, word), abs=1e-4)


def test_a_file_of_another_program_is_read_with_its_backoff_weights():
    model = arpa.parse_model(TWO_WORDS.splitlines(), "lm.arpa")
    ten = math.log(10)
    assert model.log_probability((), "go") == pytest.approx(-0.1 * ten)
    assert model.log_probability((), "stop") == pytest.approx((-0.3 - 0.8) * ten)
    assert model.log_probability(("go",), "stop") == pytest.approx((-0.2 - 0.8) * ten)
    assert model.log_probability(("stop",), "go") == pytest.approx(-0.4 * ten)
    assert model.log_probability(("go",), "") == pytest.approx(-0.2 * ten)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("one two three", r"lm\.arpa: there are no n-grams"),
        (
            TWO_WORDS.replace("-0.8 stop", "-0.8"),
            r'lm\.arpa, line 12: expected a logarithm, 1 words.*Received: "-0\.8"',
        ),
        (TWO_WORDS.replace("-0.8 stop", "x stop"), r'lm\.arpa, line 12: "x stop" begins or ends'),
        (TWO_WORDS.replace("\\2-grams:", "\\two-grams:"), r"lm\.arpa, line 14: expected a heading"),
    ],
)
def test_other_content_is_an_error(text, message):
    with pytest.raises(DataError, match=message):
        arpa.parse_model(text.splitlines(), "lm.arpa")
