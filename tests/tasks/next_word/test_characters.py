"""The same code predicts characters: training, evaluation, signatures and single steps."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared import workflow
from shared.data.sources import Origin, Splits
from tasks.next_word import serving, train
from tasks.next_word.config import TextConfig
from tasks.next_word.evaluate import score
from tasks.next_word.inputs import READERS
from tests.evaluations import evaluate

LINES = ["the cat sat", "a dog ran", "the dog sat"] * 60


@pytest.fixture(scope="module")
def config(config):
    return replace(config, text=TextConfig(unit="character"))


@pytest.fixture(scope="module")
def splits() -> Splits:
    frames = [pd.DataFrame({"text": part}) for part in (LINES[:90], LINES[90:130], LINES[130:])]
    return Splits(*frames, origin=Origin("synthetic", "", "", "", ""))


@pytest.fixture(scope="module")
def trained_model(config, splits, tmp_path_factory):
    return workflow.train_model(train.TASK, config, splits, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def signatures(trained_model):
    return serving.export_spec(trained_model.model, trained_model.metadata).signatures


def test_characters_have_bits_per_character_and_no_top_k(trained_model, splits, config):
    scores = {(s.model, s.metric): s.value for s in evaluate("next_word", trained_model, splits, config).scores}
    bits = scores["exported", "bits_per_character"]
    assert 2**bits == pytest.approx(scores["exported", "perplexity"], rel=1e-6)
    assert bits < np.log2(len(trained_model.metadata["vocabulary"]))
    assert not any(metric.startswith("top_") for _, metric in scores)


def test_every_signature_accepts_its_example_request(signatures):
    for signature in signatures.values():
        request = {name: tf.constant(value) for name, value in signature.example_request.items()}
        for value in tf.function(signature.function)(**request).values():
            assert value.dtype == tf.string or np.isfinite(value.numpy()).all()


def test_generated_characters_are_joined_without_spaces(signatures, trained_model):
    request = {name: tf.constant(value) for name, value in signatures["generate"].example_request.items()}
    (text, *_) = signatures["generate"].function(**request)["text"].numpy()
    assert len(text.decode()) == 12  # the requested length
    assert set(text.decode()) <= set(trained_model.metadata["vocabulary"])


def test_step_equals_score(signatures, trained_model):
    vocabulary = ["", "[UNK]", *trained_model.metadata["vocabulary"]]
    expected = signatures["score"].function(text=tf.constant(["the cat"]))["log_probability"].numpy()[0]
    state = tf.zeros((1, signatures["step"].example_request["state"].shape[1]))
    for k, (previous, following) in enumerate(zip("\nthe ca", "the cat", strict=True)):
        outputs = signatures["step"].function(word=tf.constant([previous]), state=state)
        state = outputs["state"]
        value = outputs["log_probabilities"].numpy()[0, vocabulary.index(following)]
        assert value == pytest.approx(expected[k], abs=1e-5)


def test_a_file_is_scored_by_its_characters(signatures, trained_model, config, tmp_path):
    path = tmp_path / "some.txt"
    path.write_text("the cat sat\nqx the dog\n" * 200)

    def predictor(request):
        assert len(request["text"]) <= serving.SCORING_BATCH_SIZE
        tensors = {name: tf.constant(value) for name, value in request.items()}
        return {name: value.numpy() for name, value in signatures["score"].function(**tensors).items()}

    metadata = trained_model.metadata
    records = READERS.read_records(config, str(path), metadata)
    predictions = serving.predict_labelled(records, metadata, predictor)
    assert len(predictions["probability"]) == len(path.read_text())
    scores = {s.metric: s.value for s in score(records, predictions, metadata)}
    assert scores["bits_per_character"] == pytest.approx(np.log2(scores["perplexity"]))
