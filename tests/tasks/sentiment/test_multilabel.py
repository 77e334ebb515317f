"""A model of several labels per text, from the file of a user to predictions, scores and explanations, through the command line."""

from __future__ import annotations

import json
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from shared.cli import main
from shared.data.sources import Origin, Splits
from shared.task import EXPORTED
from tasks.sentiment import multilabel
from tasks.sentiment.evaluate import score
from tests.shared.serving.conftest import start_server

CLASSES = ["late fee", "price", "service"]
WORDS = {"late fee": "delay", "price": "expensive", "service": "agent"}
TRAIN_TEXTS, TEST_TEXTS = 150, 40


def make_table(count, seed):
    """Returns texts in which each label has its word; a quarter of them has no label."""
    rng = np.random.default_rng(seed)
    sets = [tuple(name for name in CLASSES if rng.random() < 0.4) for _ in range(count)]
    texts = [
        " ".join(rng.permutation([*"the order was what we had".split(), *map(WORDS.get, names)])) + f" {k}"
        for k, names in enumerate(sets)
    ]
    return pd.DataFrame({"body": texts, "topics": ["; ".join(names) for names in sets]})


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A model that the command line trained on a table with labels such as "price; service"."""
    folder = tmp_path_factory.mktemp("multilabel")
    make_table(TRAIN_TEXTS, 0).to_csv(folder / "train.csv", index=False)
    make_table(TEST_TEXTS, 1).to_csv(folder / "test.csv", index=False)
    words = f"""train sentiment --preset sample --data {folder}/train.csv --test-data {folder}/test.csv --columns.text body
        --columns.label topics --columns.label-separator ; --lstm.units 2 --lstm.no-bidirectional --model.embedding-size 2
        --model.ngram-buckets 4093 --training.epochs 1 --training.focal-gamma 1 --training.class-weights balanced"""
    assert main([*words.split(), "--output", str(folder / "models")]) == 0
    version = folder / "models" / "sentiment" / "1"
    return SimpleNamespace(folder=folder, version=version, models=["--models", str(folder / "models")])


def predict(run, *words):
    path = run.folder / "out.csv"
    assert main(["predict", "sentiment", *run.models, *words, "--to", str(path)]) == 0
    return pd.read_csv(path, keep_default_na=False)


def test_a_file_gets_its_labels_and_a_probability_per_label(run):
    table = predict(run, "--data", str(run.folder / "test.csv"))
    probabilities = [f"probability_{name}" for name in CLASSES]
    assert list(table.columns) == ["body", "topics", "labels", *probabilities]
    thresholds = json.loads((run.version / "task.json").read_text())["thresholds"]
    expected = [
        ";".join(name for name, p, t in zip(CLASSES, row, thresholds, strict=True) if p >= t)
        for row in table[probabilities].to_numpy()
    ]
    assert table["labels"].tolist() == expected
    assert (table["labels"] == table["topics"].str.replace("; ", ";")).mean() > 0.9


def test_a_labelled_file_has_the_scores_of_the_report(run, capsys):
    capsys.readouterr()
    assert main(["evaluate", "sentiment", *run.models, "--data", str(run.folder / "test.csv"), "--json"]) == 0
    scores = json.loads(capsys.readouterr().out)
    metrics = json.loads((run.version / "metrics.json").read_text())
    expected = {row["metric"]: row["value"] for row in metrics["results"] if row["model"] == EXPORTED}
    assert {name: value["value"] for name, value in scores.items()} == pytest.approx(expected, abs=1e-4)
    assert scores["f1_macro"]["value"] > 0.8
    assert metrics["verdict"]["metric"] == "f1_macro"
    assert metrics["verdict"]["baseline"] in ("tfidf_logistic_regression", "nb_logistic_regression")
    classes = metrics["notes"]["classes on the test split"]
    assert {name: row["support"] for name, row in classes.items()} == {
        name: int(make_table(TEST_TEXTS, 1)["topics"].str.contains(name).sum()) for name in CLASSES
    }
    assert {"reliability.png", "labels.png"} <= {path.name for path in (run.version / "plots").iterdir()}


def test_the_server_returns_joined_labels_and_decisions(run):
    client = start_server(run.folder / "models")
    try:
        status, response = client.post("sentiment", {"instances": ["the expensive agent was late", "the order"]})
    finally:
        client.server.stop()
    assert status == 200, response
    first, second = response["predictions"]
    assert first["labels"] == "price;service"
    assert first["has_label"] == [False, True, True]
    assert (second["labels"], second["has_label"]) == ("", [False] * 3)
    assert len(first["probabilities"]) == 3


def test_a_file_with_an_unknown_label_is_an_error(run, tmp_path, capsys):
    (tmp_path / "a.csv").write_text("body,topics\nthe order,price\nthe agent,price;odd\n")
    assert main(["evaluate", "sentiment", *run.models, "--data", str(tmp_path / "a.csv")]) == 2
    assert 'a.csv, row 2: label "odd" is not a class of the model (late fee, price, service)' in capsys.readouterr().err


def test_a_multi_label_model_has_no_recalibration(run, capsys):
    assert main(["recalibrate", "sentiment", *run.models, "--data", str(run.folder / "test.csv")]) == 2
    assert "this task has no recalibration. Train it again on newer data." in capsys.readouterr().err


def test_scores_compare_predicted_labels_with_sets():
    records = pd.DataFrame({"text": ["a", "b"], "label": [("x", "y"), ()]})
    predictions = {
        "probabilities": np.array([[0.9, 0.4], [0.1, 0.2]]),
        "has_label": np.array([[True, True], [False, True]]),
    }
    metadata = {"labels": ["x", "y"], "thresholds": [0.5, 0.2]}
    scores = {s.metric: s.value for s in score(records, predictions, metadata)}
    assert scores["exact_match"] == 0.5
    assert scores["hamming_loss"] == 0.25
    assert scores["f1_micro"] == pytest.approx(0.8)


def test_baselines_have_thresholds_from_the_validation_split():
    sets = [("x", "y"), ("x",), (), ("y",)] * 30
    table = pd.DataFrame({"text": [f"{' '.join(names)} word {k}" for k, names in enumerate(sets)], "label": sets})
    splits = Splits(table[:60], table[60:100], table[100:], origin=Origin("", "", "", "", ""))
    for name, fit in multilabel.baselines().items():
        predictions = multilabel._predict_baseline(name, fit, splits, ["x", "y"])
        assert predictions["probabilities"].shape == predictions["has_label"].shape == (20, 2)
        correct = np.array([[label in names for label in "xy"] for names in splits.test["label"]])
        assert (predictions["has_label"] == correct).all() == (name != "majority")
