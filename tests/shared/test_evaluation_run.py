"""The exported model, the components and the baselines are scored by one function, and their notes and plots see all predictions."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from shared import evaluation_run
from shared.data.sources import Origin, Splits
from shared.evaluation.metric import Score
from shared.export.signatures import make_signature
from shared.task import EXPORTED, Description, EvaluationPlan, ExportSpec, Task
from shared.training.loop import History

TABLE = pd.DataFrame({"x": [1.0, 2.0, 3.0], "y": [2.0, 4.0, 7.0]})
SPLITS = Splits(TABLE, TABLE, TABLE, origin=Origin("table", "", "", "", ""))
TRAINED_MODEL = SimpleNamespace(model=None, metadata={"unit": 2.0}, history=History(), components={}, notes={})


def predict(records, metadata, predictor):
    return predictor({"x": records["x"].to_numpy(np.float32)})


def score(records, predictions, metadata):
    error = np.abs(predictions["y"] - records["y"]).mean() / metadata["unit"]
    return [Score(EXPORTED, "error", float(error), np.nan, np.nan)]


def make_task(**plan):
    def describe(predictions, scores):
        return Description("`y` is twice `x`.", notes={"models": list(predictions), "scores": len(scores)})

    evaluation_plan = EvaluationPlan(**{"describe": describe, **plan})
    functions = dict.fromkeys(("train", "export_spec", "prediction_table"))
    texts = {"primary_metric": "error", "example_inputs": (), "limitations": ""}
    return Task(
        name="double",
        predict=predict,
        predict_labelled=predict,
        score=score,
        plan_evaluation=lambda trained_model, splits, config: evaluation_plan,
        metrics=(),
        **functions,
        **texts,
    )


@pytest.fixture
def spec():
    signature = make_signature(lambda x: {"y": 2 * x}, {"x": np.ones(2, np.float32)})
    return ExportSpec(None, {"serving_default": signature}, {})


def evaluate(task, spec):
    return evaluation_run.evaluate(task, TRAINED_MODEL, spec, SPLITS, None)


def test_every_model_is_scored_by_the_same_function_under_its_own_name(spec):
    order = []

    def make_predictions(name, factor):
        order.append(name)
        return {"y": factor * TABLE["x"].to_numpy()}

    task = make_task(
        components={"half": lambda: make_predictions("half", 1.0)},
        baselines={"zero": lambda: make_predictions("zero", 0.0)},
        extra_scores=lambda predictions: [Score("zero", "extra", predictions["zero"]["y"].sum(), np.nan, np.nan)],
    )
    evaluation = evaluate(task, spec)
    values = {(s.model, s.metric): s.value for s in evaluation.scores}
    errors = {("exported", "error"): 1 / 6, ("half", "error"): 7 / 6, ("zero", "error"): 13 / 6}
    assert values == pytest.approx({**errors, ("zero", "extra"): 0.0})
    assert evaluation.components == ("half",)
    assert order == ["zero", "half"]
    notes = evaluation.description.notes
    assert (notes["models"], notes["scores"]) == (["exported", "half", "zero"], 4)
    assert set(notes["minutes per baseline"]) == {"zero"}


def test_exact_predictions_replace_those_of_the_signature(spec):
    task = make_task(exact_predictions=lambda: {"y": TABLE["y"].to_numpy()})
    (score,) = evaluate(task, spec).scores
    assert score.value == 0


def test_a_request_is_called_in_batches():
    sizes = []

    def signature(x):
        sizes.append(len(x))
        return {"y": x + 1}

    outputs = evaluation_run.in_batches(signature, batch_size=2)({"x": np.arange(5)})
    assert sizes == [2, 2, 1]
    assert outputs["y"].tolist() == [1, 2, 3, 4, 5]


def test_a_signature_is_called_with_any_number_of_rows(spec):
    predictor = evaluation_run.signature_predictor(spec, "serving_default")
    for count in (1, 3, 100):
        np.testing.assert_array_equal(predictor({"x": np.ones(count, np.float32)})["y"], np.full(count, 2.0))
    assert tf.executing_eagerly()
