"""The same code predicts characters: trained, judged, served and taken one by one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared.sources import Origin, Splits
from tasks.next_word import serving, train
from tasks.next_word.config import TextConfig
from tasks.next_word.evaluate import evaluate

LINES = ["the cat sat", "a dog ran", "the dog sat"] * 60


@pytest.fixture(scope="module")
def config(config):
    return replace(config, text=TextConfig(unit="character"))


@pytest.fixture(scope="module")
def splits() -> Splits:
    frames = [pd.DataFrame({"text": part}) for part in (LINES[:90], LINES[90:130], LINES[130:])]
    return Splits(*frames, origin=Origin("made up", "", "", "", ""))


@pytest.fixture(scope="module")
def trained_model(config, splits, tmp_path_factory):
    return train.train_model(config, splits, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def signatures(trained_model):
    return serving.export_spec(trained_model.model, trained_model.metadata).signatures


def test_characters_are_judged_in_bits(trained_model, splits, config):
    scores = {(s.model, s.metric): s.value for s in evaluate(trained_model, splits, config).scores}
    bits = scores["exported", "bits_per_character"]
    assert 2**bits == pytest.approx(scores["exported", "perplexity"], rel=1e-6)
    assert bits < np.log2(len(trained_model.metadata["vocabulary"]))
    assert not any(metric.startswith("top_") for _, metric in scores)


def test_every_signature_answers_its_own_request(signatures):
    for signature in signatures.values():
        answer = tf.function(signature.function)(
            **{name: tf.constant(value) for name, value in signature.example_request.items()}
        )
        for value in answer.values():
            assert value.dtype == tf.string or np.isfinite(value.numpy()).all()


def test_a_text_goes_on_without_blanks_between(signatures, trained_model):
    request = {name: tf.constant(value) for name, value in signatures["generate"].example_request.items()}
    (text, *_) = signatures["generate"].function(**request)["text"].numpy()
    assert len(text.decode()) == 12  # characters asked for
    assert set(text.decode()) <= set(trained_model.metadata["vocabulary"])


def test_step_by_step_equals_the_score(signatures, trained_model):
    names = ["", "[UNK]", *trained_model.metadata["vocabulary"]]
    found = signatures["score"].function(text=tf.constant(["the cat"]))["log_probability"].numpy()[0]
    memory = tf.zeros((1, signatures["step"].example_request["state"].shape[1]))
    for k, (before, after) in enumerate(zip("\nthe ca", "the cat", strict=True)):
        answer = signatures["step"].function(word=tf.constant([before]), memory=memory)
        memory = answer["state"]
        assert answer["log_probabilities"].numpy()[0, names.index(after)] == pytest.approx(found[k], abs=1e-5)


def test_a_file_is_judged_by_its_characters(signatures, trained_model, config, tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("the cat sat\nqx the dog\n" * 200)

    def call(request):
        assert len(request["text"]) <= serving.JUDGED
        given = {name: tf.constant(value) for name, value in request.items()}
        return {name: value.numpy() for name, value in signatures["score"].function(**given).items()}

    scores = {s.metric: s.value for s in serving.score_file(config, str(path), trained_model.metadata, call)}
    assert scores["bits_per_character"] == pytest.approx(np.log2(scores["perplexity"]))
