"""The model and the n-grams are scored by the same code; scores of a file equal those of the run."""

from __future__ import annotations

import dataclasses

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared import workflow
from shared.data.sources import Origin, Splits
from tasks.next_word import evaluate as evaluate_module
from tasks.next_word import serving, tokenization, train
from tasks.next_word.evaluate import perplexity_scores, probabilities, typing_scores
from tasks.next_word.inputs import READERS
from tasks.next_word.model import get_submodels
from tests.evaluations import evaluate


@pytest.fixture(scope="module")
def splits():
    rng = np.random.default_rng(0)
    nouns, verbs = "cat dog man".split(), "sat ran slept".split()
    lines = [f"the {nouns[a]} {verbs[a]} on the mat ." for a in rng.integers(0, 3, 900)]
    frames = [pd.DataFrame({"text": part}) for part in (lines[:560], lines[560:700], lines[700:])]
    return Splits(*frames, origin=Origin("synthetic", "", "", "", ""))


@pytest.fixture(scope="module")
def trained_model(splits, config, tmp_path_factory):
    return workflow.train_model(train.TASK, config, splits, tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def evaluation(trained_model, splits, config):
    return evaluate("next_word", trained_model, splits, config)


def encode_test_split(trained_model, splits, config):
    return tokenization.encode_stream(splits.test["text"].tolist(), trained_model.metadata["vocabulary"], config.text)


def test_every_model_has_its_scores(evaluation):
    scores = {(s.model, s.metric): s for s in evaluation.scores}
    assert {model for model, _ in scores} == {"exported", "unigram", "bigram", "kneser_ney_5", "mixture"}
    for model in ("exported", "kneser_ney_5", "mixture"):
        assert "perplexity_adaptive" in {m for name, m in scores if name == model}
    for score in scores.values():
        assert score.low <= score.value <= score.high
    perplexity = {model: s.value for (model, metric), s in scores.items() if metric == "perplexity"}
    # the verb depends on the noun; the words after it depend on the two words before
    assert perplexity["kneser_ney_5"] < perplexity["bigram"] < perplexity["unigram"]
    assert perplexity["mixture"] <= perplexity["kneser_ney_5"] * 1.02
    assert scores["kneser_ney_5", "top_3"].value > scores["unigram", "top_3"].value


def test_dynamic_evaluation_adds_its_own_scores_and_changes_no_other(evaluation, trained_model, splits, config):
    before = trained_model.model.get_weights()
    dynamic_config = dataclasses.replace(config, evaluation=dataclasses.replace(config.evaluation, dynamic=True))
    dynamic = evaluate("next_word", trained_model, splits, dynamic_config)
    scores = {(s.model, s.metric): s.value for s in dynamic.scores}
    static_scores = {(s.model, s.metric): s.value for s in evaluation.scores}
    assert set(scores) - set(static_scores) == {("exported", "perplexity_dynamic"), ("mixture", "perplexity_dynamic")}
    assert all(scores[name] == pytest.approx(value, rel=1e-6) for name, value in static_scores.items())
    assert scores["exported", "perplexity_dynamic"] != scores["exported", "perplexity"]
    # the text has one sentence with three variants, so there is little left to learn
    assert scores["exported", "perplexity_dynamic"] == pytest.approx(scores["exported", "perplexity"], rel=0.05)
    assert "dynamic evaluation" in dynamic.description.notes["mixture weights"]["mixture perplexity_dynamic"]
    after = trained_model.model.get_weights()
    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_every_plot_is_written(evaluation, tmp_path):
    for name, draw in evaluation.description.plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_probabilities_do_not_depend_on_the_chunk_size(trained_model, splits, config, monkeypatch):
    submodels = get_submodels(trained_model.model)
    stream = encode_test_split(trained_model, splits, config)
    expected, _ = probabilities(submodels, stream)
    monkeypatch.setattr(evaluate_module, "CHUNK_SIZE", 37)
    result, states = probabilities(submodels, stream)
    np.testing.assert_allclose(result, expected, rtol=1e-4)
    assert len(states) == len(stream) - 1


def test_a_file_has_the_perplexity_of_its_words(trained_model, splits, config, tmp_path):
    signature = serving.export_spec(trained_model.model, trained_model.metadata).signatures["score"].function
    path = tmp_path / "some.txt"
    path.write_text("\n".join(splits.test["text"]))

    def predictor(request):
        return {k: v.numpy() for k, v in signature(**{n: tf.constant(v) for n, v in request.items()}).items()}

    records = READERS.read_records(config, str(path), trained_model.metadata)
    predictions = serving.predict_labelled(records, trained_model.metadata, predictor)
    stream = encode_test_split(trained_model, splits, config)
    expected, _ = probabilities(get_submodels(trained_model.model), stream)
    assert len(expected) > serving.PIECE_LENGTH
    np.testing.assert_allclose(predictions["probability"], expected, rtol=1e-3)


def test_perplexity_and_bits_follow_their_formulas():
    values = np.tile([0.5, 0.125], 500)
    perplexity, bits = perplexity_scores("m", "perplexity", values, "character")
    assert perplexity.value == pytest.approx(4)
    assert (bits.metric, bits.value) == ("bits_per_character", pytest.approx(2))
    assert len(perplexity_scores("m", "perplexity", values, "word")) == 1


def test_keystrokes_saved_are_a_fraction_of_all_keystrokes():
    statistics = np.tile([[1, 1, 1, 1, 5, 1], [0, 0, 1, 3, 5, 1], [0, 0, 0, 0, 0, 0]], (400, 1))
    scores = {s.metric: s.value for s in typing_scores("m", statistics)}
    assert scores == pytest.approx({"top_1": 0.5, "top_3": 0.5, "top_5": 1.0, "keystrokes_saved": 0.6})
