"""`tasks.sentiment.explain`: contributions of words add up, belong to the words of the user, and name the words that decide."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from shared.export import keras_file
from shared.task import Inputs, line_table
from shared.text.separation import separate_words
from tasks.sentiment import model, ngrams, sample
from tasks.sentiment.config import PRESETS, PredictOptions
from tasks.sentiment.explain import explain

OPTIONS = PredictOptions(explain=True)
TEXTS = ["Good, bad -- <b>UGLY</b>… don't ask!", "good", "ugly", "a b c d e f g h i good bad ugly"]


def contributions(classifier, texts):
    return explain(Inputs(line_table(texts), texts), classifier, {}, OPTIONS)


def margin(classifier, text, label=None):
    """Returns the predicted label, and its logit minus the mean of the others, from the probabilities."""
    logits = np.log(classifier(separate_words(tf.constant([text]))).numpy()[0].astype(np.float64))
    label = int(np.argmax(logits)) if label is None else label
    return label, logits[label] - np.delete(logits, label).mean()


def unknown_text(text):
    tokens = separate_words(tf.constant(text)).numpy().decode().split(" ")
    return " ".join("unknownword" for token in tokens if token.strip("'"))


def assert_sums(classifier, texts, **tolerance):
    for text, words in zip(texts, contributions(classifier, texts)["contributions"], strict=True):
        label, value = margin(classifier, text)
        expected = value - margin(classifier, unknown_text(text), label)[1]
        np.testing.assert_allclose(sum(word["contribution"] for word in words), expected, **tolerance)


def build_classifier(classes, order, sequence_length=400, is_multilabel=False):
    config = PRESETS["sample"]
    config = dataclasses.replace(
        config,
        model=dataclasses.replace(config.model, embedding_size=4),
        lstm=dataclasses.replace(config.lstm, units=(3,)),
    )
    tokenizer = model.build_tokenizer([*TEXTS[:2], TEXTS[3]], config)
    lstm = model.LSTMSubmodels(config, classes).full_model
    rng = np.random.default_rng(0)
    ngram_model = ngrams.build_ngram_model(classes, order, 211, is_multilabel) if order else None
    for part in [lstm] + [ngram_model] * (order > 0):
        part.set_weights([rng.normal(0, 0.5, weight.shape) for weight in part.get_weights()])
    if order:
        table = ngram_model.get_layer("ngram_weights")
        table.set_weights([table.get_weights()[0] * (np.arange(211) > 0)[:, None]])  # bucket 0 stands for no n-gram
    return model.build_classifier(tokenizer, lstm, ngram_model, (1.5, 0.7), sequence_length, is_multilabel)


@pytest.mark.parametrize(("classes", "order", "sequence_length"), [(2, 3, 400), (3, 1, 5), (2, 0, 400)])
def test_contributions_add_up_to_the_change_of_the_logit(classes, order, sequence_length):
    assert_sums(build_classifier(classes, order, sequence_length), TEXTS[::3], atol=1e-3)


def test_contributions_add_up_to_the_change_of_the_logit_of_the_most_probable_of_several_labels():
    classifier, metadata = build_classifier(2, 2, is_multilabel=True), {"labels": ["a", "b"], "thresholds": [0.1, 0.9]}
    texts = TEXTS[::3]
    table = explain(Inputs(line_table(texts), texts), classifier, metadata, OPTIONS)
    for text, name, words in zip(texts, table["explained_label"], table["contributions"], strict=True):
        p, q = (classifier(separate_words(tf.constant([one]))).numpy()[0] for one in (text, unknown_text(text)))
        k = int(np.argmax(p))
        assert name == metadata["labels"][k]
        expected = np.log(p[k] / (1 - p[k])) - np.log(q[k] / (1 - q[k]))
        np.testing.assert_allclose(sum(word["contribution"] for word in words), expected, atol=2e-3)


def test_words_that_the_lstm_does_not_read_contribute_nothing_without_ngrams():
    words = contributions(build_classifier(2, 0, sequence_length=2), ["good bad ugly good bad ugly"])["contributions"][
        0
    ]
    assert [bool(word["contribution"]) for word in words] == [True, False, False, False, False, True]


def test_words_are_those_of_the_user():
    words = contributions(build_classifier(2, 1), TEXTS[:1])["contributions"][0]
    assert [word["word"] for word in words] == ["Good", ",", "bad", "--", "UGLY", "…", "don't", "ask", "!"]
    assert all(TEXTS[0][word["start"] :].startswith(word["word"]) for word in words)


def test_texts_without_words_have_no_contributions():
    table = contributions(build_classifier(2, 1), ["", "<br>", "'", "caf\udce9"])
    assert [len(words) for words in table["contributions"]] == [0, 0, 1, 1]
    assert table["word_1"].isna().sum() == 4  # an apostrophe has no contribution, and the other word is unknown


@pytest.mark.only_task("sentiment")
def test_the_words_that_decide_contribute_most(trained):
    """The label of the sample depends on the places of a positive and a negative word; the others are the same for both labels."""
    classifier = keras_file.load(trained.version / "model.keras")
    texts = sample.generate(6, seed=77)["text"].tolist()
    table = contributions(classifier, texts)
    deciding = {*sample.POSITIVE_WORDS, *sample.NEGATIVE_WORDS}
    assert np.mean([word.lower() in deciding for word in table["word_1"]]) >= 0.9
    assert (table["word_1_contribution"] > 0).mean() >= 0.9
    examples = contributions(classifier, trained.task.example_inputs)
    assert set(examples["word_1"]) <= {"wonderful", "dull"}
    assert_sums(classifier, texts[:2], rtol=0.02, atol=0.01)
