"""The promises of the suite, for every task: raw input and decoded output, portable models, honest scores, complete versions."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from benchmarks import result_tables as tables
from benchmarks import results
from shared import workflow
from shared.evaluation.metric import best_baseline
from shared.export import cpp_runtime, publishing
from shared.task import (
    has_recalibration,
    has_state,
    list_task_names,
    load_predict_options,
    load_readers,
    trained_config,
)
from tests.contract.conftest import assert_close, build_export_spec, call_signature
from tests.contract.labelled_files import ROW_COLUMNS


def test_the_saved_model_equals_the_keras_model_on_raw_requests(trained, signatures):
    for signature, request, spec in signatures.values():
        expected = {k: v.numpy() for k, v in spec.function(**{k: tf.constant(v) for k, v in request.items()}).items()}
        assert_close(call_signature(signature, request), expected)


def test_an_example_alone_gives_the_same_outputs_as_in_a_batch(trained, signatures):
    for signature, request, _ in signatures.values():
        together = call_signature(signature, request)
        count = len(next(iter(request.values())))
        assert count > 1, "a sample request holds several examples of different lengths"
        for k in range(count):
            alone = call_signature(signature, {name: value[k : k + 1] for name, value in request.items()})
            assert_close(alone, {name: value[k : k + 1] for name, value in together.items()})


def test_the_cpp_runtime_gives_the_same_outputs(trained, signatures):
    for name, (signature, request, _) in signatures.items():
        assert_close(cpp_runtime.run_isolated(trained.version, name, request), call_signature(signature, request))


def test_model_keras_runs_in_plain_keras_without_the_project(trained, tmp_path):
    """It runs in another process that cannot import `shared` or `tasks`, with equal outputs."""
    model = trained.run.trained_model.model
    names = {tensor.name for tensor in model.inputs}
    requests = [signature.example_request for signature in build_export_spec(trained).signatures.values()]
    request = next(request for request in requests if names <= set(request))
    plain = {tensor.name: request[tensor.name] for tensor in model.inputs}
    plain = {name: value.tolist() if value.dtype == object else value for name, value in plain.items()}
    code = publishing.PLAIN_KERAS + (
        "\nimport numpy as np, pickle\n"
        "inputs = pickle.load(open('inputs.pickle', 'rb'))\n"
        "model = keras.models.load_model(sys.argv[1], compile=False)\n"
        "np.save('outputs.npy', model({k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()}))\n"
        "assert not {'shared', 'tasks'} & set(sys.modules)\n"
    )
    import pickle

    (tmp_path / "inputs.pickle").write_bytes(pickle.dumps(plain))
    path = str(trained.version / "model.keras")
    done = subprocess.run(
        [sys.executable, "-P", "-c", code, path], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    expected = model({name: keras.ops.convert_to_tensor(value) for name, value in plain.items()})
    np.testing.assert_allclose(np.load(tmp_path / "outputs.npy"), expected, atol=1e-5)


def test_the_model_accepts_its_warm_up_requests(trained, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    path = trained.version / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert 1 <= len(logs) <= publishing.MAX_WARMUP_RECORDS
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.signature_name for request in requests} == set(signatures)
    for request in requests:
        signature = signatures[request.model_spec.signature_name][0]
        call_signature(signature, {name: tf.make_ndarray(value) for name, value in request.inputs.items()})


def test_every_score_is_beside_the_best_baseline_on_the_same_split(trained):
    rows = json.loads((trained.version / "metrics.json").read_text())["results"]
    assert rows
    own = set(trained.run.own_models)
    for row in rows:
        assert row["value"] is None or row["low"] <= row["value"] <= row["high"]
        if row["model"] in own:
            assert row["baseline"] not in {None, *own}
            assert row["value"] is not None
        else:
            assert "baseline" not in row
    assert own < {row["model"] for row in rows}
    assert trained.task.primary_metric in {row["metric"] for row in rows}


def test_the_card_says_what_was_trained_on_which_data_and_how(trained):
    card = (trained.version / "card.md").read_text()
    origin = trained.run.splits.origin
    seed = f"| seed | {trained.config.training.seed} |"
    for part in (origin.sha256, origin.licence, trained.run.command, "curl", "## Limits", seed):
        assert part in card
    best = best_baseline(
        trained.run.evaluation.scores, trained.task.metric(trained.task.primary_metric), trained.run.own_models
    )
    assert best.model in card


def test_the_report_has_every_model_and_every_plot(trained):
    page = (trained.version / "report.html").read_text()
    for model in {s.model for s in trained.run.evaluation.scores}:
        assert f">{model}<" in page
    drawings = trained.run.evaluation.description.plots
    assert drawings
    for plot in ("learning_curve.png", *drawings):
        assert (trained.version / "plots" / plot).stat().st_size > 5000
        assert f">{Path(plot).stem.replace('_', ' ')}<" in page


def test_the_request_beside_the_card_is_a_valid_request(trained, signatures):
    (instance,) = json.loads((trained.version / "request.json").read_text())["instances"]
    signature, example, _ = signatures["serving_default"]
    assert set(instance) == set(example)
    request = {name: np.array([value], example[name].dtype) for name, value in instance.items()}
    assert_close(call_signature(signature, request), call_signature(signature, {k: v[:1] for k, v in example.items()}))


def test_the_folder_of_the_task_holds_copies_of_the_newest_version(trained):
    for name in (
        "model.keras",
        "task.json",
        "card.md",
        "metrics.json",
        "report.html",
        "request.json",
        "plots/learning_curve.png",
    ):
        assert (trained.version.parent / name).read_bytes() == (trained.version / name).read_bytes()


def test_the_test_split_does_not_influence_training(trained, tmp_path):
    """The same run with another test split gives exactly the same weights."""
    import dataclasses

    splits = trained.run.splits
    other = dataclasses.replace(
        splits, test=splits.test.iloc[::-1].head(20).assign(**{splits.test.columns[0]: "never seen"})
    )
    again = workflow.train_model(trained.task, trained.config, other, tmp_path)
    for weight, expected in zip(again.model.get_weights(), trained.run.trained_model.model.get_weights(), strict=True):
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_array_equal(weight, expected)


def test_an_interrupted_training_ends_with_the_same_weights(trained, tmp_path, interrupted):
    """All weights are equal, with the settings of the sample preset."""
    import dataclasses

    config = dataclasses.replace(trained.config, training=dataclasses.replace(trained.config.training, epochs=2))
    splits = trained.run.splits
    whole = workflow.train_model(trained.task, config, splits, tmp_path / "whole")
    interrupted(lambda: workflow.train_model(trained.task, config, splits, tmp_path / "parts"))
    again = workflow.train_model(trained.task, config, splits, tmp_path / "parts")
    for weight, expected in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_array_equal(weight, expected)
    assert again.metadata == whole.metadata


@pytest.mark.only_task(*list_task_names())
def test_the_documents_of_a_task_hold_the_scores_of_its_results_file(trained):
    metric, runs = trained.task.metric(trained.task.primary_metric), results.read(trained.task.name)
    texts = [path.read_text() for path in tables.task_documents(trained.task.name)]
    in_cross_validation = set().union(*(tables.cross_validation_ids(text, runs) for text in texts))
    assert not runs or any(metric.name in run.scores["exported"] for run in runs)
    for run in runs:
        if run.id not in in_cross_validation:  # the tables of cross-validation need not show every metric
            assert any(run.command in text for text in texts), run.id
            values = [score.value for score in run.list_scores(metric.name)]
            assert all(any(metric.format(value) in text for text in texts) for value in values), run.id
        for score in (score for name in run.scores["exported"] for score in run.list_scores(name)):
            assert np.isnan(score.low) or score.low <= score.value <= score.high


def test_the_metrics_name_the_command_and_the_data_set(trained):
    metrics = json.loads((trained.version / "metrics.json").read_text())
    assert metrics["command"] == trained.run.command
    assert (metrics["dataset"], metrics["seed"]) == ("sample", trained.config.training.seed)


def test_predictions_of_the_workflow_equal_the_saved_model(trained, signatures):
    inputs = list(trained.task.example_inputs)
    task, options = trained.task, load_predict_options(trained.task.name)()
    predicted = workflow.predict_lines(task, trained.version, inputs)
    signature = signatures[task.prediction_signature][0]
    metadata = trained.run.trained_model.metadata
    parsed = load_readers(task.name).parse_inputs(trained_config(metadata), inputs, metadata, options)
    outputs = task.predict(parsed.records, metadata, lambda request: call_signature(signature, request), options)
    expected = task.prediction_table(parsed, outputs, metadata, options)
    assert predicted.rows.equals(parsed.rows)
    assert list(predicted.rows.columns) == ROW_COLUMNS.get(task.name, ["input"])
    pd.testing.assert_frame_equal(predicted.predictions, expected, check_dtype=False, rtol=1e-6)


def test_a_task_recalibrates_if_it_has_the_module(trained):
    readers = load_readers(trained.task.name)
    assert has_recalibration(trained.task.name) == (trained.task.recalibrate is not None)
    assert has_recalibration(trained.task.name) == (readers.read_newer is not None)
    assert has_state(trained.task.name) == (trained.task.state is not None) == (readers.read_state is not None)
