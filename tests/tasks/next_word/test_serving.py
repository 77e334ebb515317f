"""The signatures keep their promises, and what is out of range is refused by name."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from tasks.next_word import serving, words
from tests.tasks.next_word.conftest import VOCABULARY

TEXT = {"unit": "word", "pretokenized": False, "column": "text", "vocabulary_size": 100, "fewest": 1}


@pytest.fixture
def signatures(model):
    served = serving.export_spec(model, {"text": TEXT, "vocabulary": VOCABULARY})
    return {name: signature.function for name, signature in served.signatures.items()}


def generated(signatures, prompts, **how) -> list[str]:
    count = len(prompts)
    default = {"length": 8, "temperature": 1.0, "top_k": 0, "top_p": 1.0, "seed": 3}
    kinds = {"length": tf.int32, "temperature": tf.float32, "top_k": tf.int32, "top_p": tf.float32, "seed": tf.int32}
    given = {
        name: tf.constant(np.broadcast_to(how.get(name, value), count), kinds[name]) for name, value in default.items()
    }
    found = tf.function(signatures["generate"])(prompt=tf.constant(prompts), **given)
    return [text.decode() for text in found["text"].numpy()]


def scored(signatures, texts):
    return {name: value.numpy() for name, value in signatures["score"](text=tf.constant(texts)).items()}


def suggested(signatures, texts, k):
    found = signatures["serving_default"](text=tf.constant(texts), k=tf.constant(k, tf.int32))
    return found["words"].numpy(), found["probabilities"].numpy()


def test_suggestions_are_the_likeliest_words_in_order(signatures, parts, model):
    words, probabilities = suggested(signatures, ["the cat", ""], [3, 2])
    assert words.shape == (2, 3)
    assert words[1, 2] == b""
    assert probabilities[1, 2] == 0
    assert (np.diff(probabilities[0]) <= 0).all()
    logs = np.asarray(model(tf.constant(["the cat"])))[0]
    names = parts.vocabulary
    order = [k for k in np.argsort(-logs) if k > 2][:3]
    assert [word.decode() for word in words[0]] == [names[k] for k in order]
    np.testing.assert_allclose(probabilities[0], np.exp(logs[order]), rtol=1e-5)


def test_neither_the_unknown_word_nor_the_end_of_a_line_is_suggested(signatures):
    words, _ = suggested(signatures, ["qzxv qzxv", "the"], [10, 10])
    assert not {b"<unk>", b"[UNK]", b"<eos>", b""} & set(words.ravel())


@pytest.mark.parametrize("k", [0, -1, 11, 1000])
def test_a_k_out_of_range_is_refused(signatures, k):
    with pytest.raises(tf.errors.InvalidArgumentError, match="k must be from 1 to 10"):
        suggested(signatures, ["the"], [k])


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ({"temperature": -0.1}, "temperature must be from 0 to 100"),
        ({"temperature": np.nan}, "temperature must be from 0 to 100"),
        ({"temperature": 101.0}, "temperature must be from 0 to 100"),
        ({"top_p": 0.0}, "top_p must be above 0 and at most 1"),
        ({"top_p": 1.1}, "top_p must be above 0 and at most 1"),
        ({"top_k": -1}, "top_k must be 0 or more"),
        ({"length": 0}, "length must be from 1 to 1000"),
        ({"length": 1_000_000}, "length must be from 1 to 1000"),
    ],
)
def test_what_is_out_of_range_is_refused_by_name(signatures, how, message):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
        generated(signatures, ["the cat"], **how)


def test_the_same_seed_gives_the_same_text_alone_or_not(signatures):
    one = generated(signatures, ["the cat"], seed=5)
    both = generated(signatures, ["the cat", "the dog sat on the mat"], seed=[5, 9])
    assert both[0] == one[0]
    others = {generated(signatures, ["the cat"], seed=seed)[0] for seed in range(8)}
    assert len(others) > 4


def test_a_longer_text_begins_as_a_shorter_one(signatures):
    short, long = (generated(signatures, ["the cat"], length=n, seed=5)[0] for n in (4, 12))
    assert long.startswith(short)


def test_a_temperature_of_zero_follows_the_likeliest_word(signatures):
    (text,) = generated(signatures, ["the cat"], temperature=0, length=3)
    (again,) = generated(signatures, ["the cat"], temperature=0, length=3, seed=77)
    assert text == again
    (only,) = generated(signatures, ["the cat"], top_k=1, length=3)
    assert only == text


def test_no_text_holds_the_unknown_word(signatures):
    for temperature in (1.0, 100.0):
        texts = generated(signatures, [f"the {k}" for k in range(20)], length=30, temperature=temperature)
        assert set(" ".join(texts).replace("\n", " ").replace(".", " . ").replace(",", " , ").split()) <= set(
            VOCABULARY
        )


def test_a_score_is_that_of_each_word_after_those_before(signatures, model, parts):
    text = "the cat sat on . "
    found = scored(signatures, [text])
    words = text.split()
    assert [word.decode() for word in found["words"][0]] == words
    for k, word in enumerate(words):
        logs = np.asarray(model(tf.constant([" ".join(words[:k])])))[0]
        assert found["log_probability"][0, k] == pytest.approx(logs[parts.vocabulary.index(word)], abs=1e-5)
    assert found["perplexity"][0] == pytest.approx(np.exp(-found["log_probability"][0].mean()), rel=1e-5)


def test_long_and_short_texts_score_alike_together_and_alone(signatures):
    long, short = "the cat sat on the mat . " * 30, "dog there"
    together, alone = scored(signatures, [long, short, ""]), scored(signatures, [short])
    np.testing.assert_allclose(together["log_probability"][1, :2], alone["log_probability"][0], atol=1e-5)
    assert not together["log_probability"][1, 2:].any()
    assert together["perplexity"][2] == 1


def test_empty_texts_alone_have_a_score_too(signatures):
    found = scored(signatures, ["", " "])
    assert found["perplexity"].tolist() == [1, 1]


def test_an_unknown_word_has_a_score_too(signatures):
    found = scored(signatures, ["the qzxv"])
    assert found["words"][0].tolist() == [b"the", b"<unk>"]
    assert np.isfinite(found["log_probability"]).all()


def test_a_prompt_of_a_hundred_thousand_words_is_read_by_its_end(signatures):
    long, _ = suggested(signatures, ["dog " * 100_000 + "the cat sat on the mat . " * 200], [5])
    short, _ = suggested(signatures, ["the cat sat on the mat . " * 200], [5])
    assert long.tolist() == short.tolist()


def test_what_is_read_of_a_long_prompt_are_its_last_thousand_words():
    token_ids = tf.constant([[2, *range(3, 1503)]])
    assert words.tail(token_ids).numpy()[0].tolist() == list(range(503, 1503))


def test_step_by_step_equals_the_score(signatures, parts):
    text = "the cat sat"
    found = scored(signatures, [text])["log_probability"][0]
    memory = tf.zeros((1, parts.state_size))
    before = ["<eos>", *text.split()]
    for k, word in enumerate(text.split()):
        answer = signatures["step"](word=tf.constant([before[k]]), memory=memory)
        memory = answer["state"]
        logs = answer["log_probabilities"].numpy()[0]
        assert logs[parts.vocabulary.index(word)] == pytest.approx(found[k], abs=1e-5)


def test_predictions_are_words_that_can_be_printed(signatures):
    def call(request):
        return {
            k: v.numpy()
            for k, v in signatures["serving_default"](**{n: tf.constant(v) for n, v in request.items()}).items()
        }

    found = serving.predict(["the cat", "\udcff odd"], {"text": TEXT, "vocabulary": VOCABULARY}, call)
    assert found["words"].shape == (2, 5)
    assert set(found["words"].ravel()) <= set(VOCABULARY)
