"""A trained model is judged beside n-grams by one code; the file's scores say what the run's do."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from shared.sources import Origin, Splits
from tasks.next_word import serving, train, words
from tasks.next_word.evaluate import evaluate, likelihood, probabilities, usefulness
from tasks.next_word.model import get_submodels


@pytest.fixture(scope="module")
def splits():
    import pandas as pd

    rng = np.random.default_rng(0)
    things, acts = "cat dog man".split(), "sat ran slept".split()
    lines = [f"the {things[a]} {acts[a]} on the mat ." for a in rng.integers(0, 3, 900)]
    frames = [pd.DataFrame({"text": part}) for part in (lines[:560], lines[560:700], lines[700:])]
    return Splits(*frames, origin=Origin("made up", "", "", "", ""))


@pytest.fixture(scope="module")
def judged(splits, config, tmp_path_factory):
    trained_model = train.train_model(config, splits, tmp_path_factory.mktemp("run"))
    return trained_model, evaluate(trained_model, splits, config)


def test_every_model_has_its_scores(judged):
    scores = {(s.model, s.metric): s for s in judged[1].scores}
    assert {model for model, _ in scores} == {"exported", "unigram", "bigram", "kneser_ney_5", "mixture"}
    for model in ("exported", "kneser_ney_5", "mixture"):
        assert "perplexity_adaptive" in {m for name, m in scores if name == model}
    for score in scores.values():
        assert score.low <= score.value <= score.high
    perplexity = {model: s.value for (model, metric), s in scores.items() if metric == "perplexity"}
    assert (
        perplexity["kneser_ney_5"] < perplexity["bigram"] < perplexity["unigram"]
    )  # who sat hangs on two words before
    assert perplexity["mixture"] <= perplexity["kneser_ney_5"] * 1.02
    assert scores["kneser_ney_5", "top_3"].value > scores["unigram", "top_3"].value


def test_learning_from_the_test_text_is_told_by_itself_and_mixed_where_asked_for(judged, splits, config):
    trained_model, static = judged
    before = trained_model.model.get_weights()
    found = evaluate(trained_model, splits, dataclasses.replace(config, dynamic_evaluation=True))
    scores = {(s.model, s.metric): s.value for s in found.scores}
    plain = {(s.model, s.metric): s.value for s in static.scores}
    assert set(scores) - set(plain) == {("exported", "perplexity_dynamic"), ("mixture", "perplexity_dynamic")}
    assert all(scores[name] == pytest.approx(value, rel=1e-6) for name, value in plain.items())
    learning, still = scores["exported", "perplexity_dynamic"], scores["exported", "perplexity"]
    assert learning != still
    assert learning == pytest.approx(still, rel=0.05)  # it has little left to learn: one sentence, nine ways
    assert "dynamic evaluation" in found.notes["weights of the mixtures"]["mixture perplexity_dynamic"]
    assert all(np.array_equal(one, other) for one, other in zip(before, trained_model.model.get_weights(), strict=True))


def test_plots_can_be_drawn(judged, tmp_path):
    for name, draw in judged[1].plots.items():
        draw(tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5000


def test_a_text_is_read_as_one_whatever_the_parts(judged, splits, config, monkeypatch):
    from tasks.next_word import evaluate as module

    trained_model, _ = judged
    parts = get_submodels(trained_model.model)
    stream = words.stream_of(splits.test["text"].tolist(), trained_model.metadata["vocabulary"], config.text)
    whole, _ = probabilities(parts, stream)
    monkeypatch.setattr(module, "CHUNK", 37)
    again, states = probabilities(parts, stream)
    np.testing.assert_allclose(again, whole, rtol=1e-4)
    assert len(states) == len(stream) - 1


def test_a_file_is_judged_by_the_scores_of_its_words(judged, splits, config, tmp_path):
    import tensorflow as tf

    trained_model, _ = judged
    signature = serving.export_spec(trained_model.model, trained_model.metadata).signatures["score"].function
    path = tmp_path / "some.txt"
    path.write_text("\n".join(splits.test["text"]))

    def call(request):
        return {k: v.numpy() for k, v in signature(**{n: tf.constant(v) for n, v in request.items()}).items()}

    (score,) = serving.score_file(config, str(path), trained_model.metadata, call)
    found, _ = probabilities(
        get_submodels(trained_model.model), words.stream_of(splits.test["text"].tolist(), trained_model.metadata["vocabulary"], config.text)
    )
    assert score.value == pytest.approx(np.exp(-np.log(found).mean()), rel=0.02)


def test_perplexity_and_bits_are_those_of_the_formulas():
    found = np.tile([0.5, 0.125], 500)
    perplexity, bits = likelihood("m", "perplexity", found, "character")
    assert perplexity.value == pytest.approx(4)
    assert (bits.metric, bits.value) == ("bits_per_character", pytest.approx(2))
    assert len(likelihood("m", "perplexity", found, "word")) == 1


def test_keystrokes_saved_are_a_share_of_all():
    found = np.tile([[1, 1, 1, 1, 5, 1], [0, 0, 1, 3, 5, 1], [0, 0, 0, 0, 0, 0]], (400, 1))
    scores = {s.metric: s.value for s in usefulness("m", found)}
    assert scores == pytest.approx({"top_1": 0.5, "top_3": 0.5, "top_5": 1.0, "keystrokes_saved": 0.6})
