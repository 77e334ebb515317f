"""The suite's promises, for every task: raw in and answers out, loads anywhere, honest, whole versions or none."""

from __future__ import annotations

import errno
import json
import shutil
import subprocess
import sys
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from shared import cpp_runtime, export, report, results, workflow
from shared.errors import ExportError
from tests.contract.conftest import answer, assert_close, export_spec

RESULT_KEYS = {
    *("model", "dataset", "split", "metric", "value", "low", "high"),
    *("baseline", "baseline_value", "minutes", "seeds", "command"),
}


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_the_saved_model_answers_raw_requests_as_the_keras_model_does(trained, signatures):
    for signature, request, spec in signatures.values():
        expected = {
            k: v.numpy() for k, v in spec.function(**{k: tf.constant(v) for k, v in request.items()}).items()
        }
        assert_close(answer(signature, request), expected)


def test_an_example_alone_answers_as_in_a_batch_with_longer_neighbours(trained, signatures):
    for signature, request, _ in signatures.values():
        together = answer(signature, request)
        count = len(next(iter(request.values())))
        assert count > 1, "a sample request holds several examples of different lengths"
        for k in range(count):
            alone = answer(signature, {name: value[k : k + 1] for name, value in request.items()})
            assert_close(alone, {name: value[k : k + 1] for name, value in together.items()})


def test_the_cpp_runtime_gives_the_same_answers_without_python(trained, signatures):
    for name, (signature, request, _) in signatures.items():
        assert_close(cpp_runtime.run_isolated(trained.version, name, request), answer(signature, request))


def test_model_keras_opens_and_answers_in_plain_keras_without_the_project(trained, tmp_path):
    """In another process that cannot import `shared` or `tasks`; its answers equal the model's in here."""
    model = trained.run.trained_model.model
    request = next(iter(export_spec(trained).signatures.values())).example_request
    plain = {tensor.name: request[tensor.name] for tensor in model.inputs}
    plain = {name: value.tolist() if value.dtype == object else value for name, value in plain.items()}
    code = export.PLAIN_KERAS + (
        "\nimport numpy as np, pickle\n"
        "inputs = pickle.load(open('inputs.pickle', 'rb'))\n"
        "model = keras.models.load_model(sys.argv[1], compile=False)\n"
        "np.save('answer.npy', model({k: keras.ops.convert_to_tensor(v) for k, v in inputs.items()}))\n"
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
    np.testing.assert_allclose(np.load(tmp_path / "answer.npy"), expected, atol=1e-5)


def test_a_graph_with_a_cudnn_operation_is_not_published(trained, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((trained.version / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        functions = meta.graph_def.library.function
        operations = {node.op for nodes in (meta.graph_def.node, *(f.node_def for f in functions)) for node in nodes}
        assert not [name for name in operations if "cudnn" in name.lower()]  # an attribute of Conv2D has the name too
    saved.meta_graphs[0].graph_def.library.function[0].node_def.add(name="rnn", op="CudnnRNNV3")
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ExportError, match="CudnnRNNV3"):
        export.verify(export_spec(trained), tmp_path)


def test_the_warm_up_requests_are_ones_that_the_model_answers(trained, signatures):
    from tensorflow_serving.apis import prediction_log_pb2

    path = trained.version / "assets.extra" / "tf_serving_warmup_requests"
    logs = [prediction_log_pb2.PredictionLog.FromString(r.numpy()) for r in tf.data.TFRecordDataset(str(path))]
    assert 1 <= len(logs) <= export.MAX_WARMUP_RECORDS
    requests = [log.predict_log.request for log in logs]
    assert {request.model_spec.signature_name for request in requests} == set(signatures)
    for request in requests:
        signature = signatures[request.model_spec.signature_name][0]
        answer(signature, {name: tf.make_ndarray(value) for name, value in request.inputs.items()})


def test_every_score_stands_beside_baselines_on_the_same_split(trained):
    rows = json.loads((trained.version / "metrics.json").read_text())["results"]
    assert rows
    own = {"exported", *trained.run.trained_model.components}
    for row in rows:
        assert set(row) == RESULT_KEYS
        assert row["value"] is None or row["low"] <= row["value"] <= row["high"]
        if row["model"] in own:
            assert row["baseline"] not in {None, *own}
            assert row["value"] is not None
        else:
            assert row["baseline"] is None
    assert own < {row["model"] for row in rows}
    assert trained.task.primary_metric in {row["metric"] for row in rows}


def test_the_card_and_the_plots_tell_what_was_done(trained):
    card = (trained.version / "card.md").read_text()
    origin = trained.run.splits.origin
    seed = f"| seed | {trained.config.training.seed} |"
    for part in (origin.sha256, origin.licence, trained.run.command, "curl", "## Limits", seed):
        assert part in card
    for baseline in {s.model for s in trained.run.evaluation.scores}:
        assert baseline in card
    signature = next(iter(export_spec(trained).signatures.values()))
    (instance,) = json.loads(card.split("curl -d '")[1].split("' http")[0])["instances"]
    assert set(instance) == set(signature.inputs)
    assert trained.run.evaluation.plots
    for plot in ("learning_curve.png", *trained.run.evaluation.plots):
        assert (trained.version / "plots" / plot).stat().st_size > 5000


def test_the_newest_version_lies_in_the_tasks_folder_too(trained):
    for name in ("model.keras", "task.json", "card.md", "metrics.json", "plots/learning_curve.png"):
        assert (trained.version.parent / name).read_bytes() == (trained.version / name).read_bytes()


def test_nothing_of_the_test_split_reaches_training(trained, tmp_path):
    """The same run with another test split gives the same model, weight for weight."""
    import dataclasses

    splits = trained.run.splits
    other = dataclasses.replace(
        splits, test=splits.test.iloc[::-1].head(20).assign(**{splits.test.columns[0]: "never seen"})
    )
    again = trained.task.train(trained.config, other, tmp_path)
    for weight, expected in zip(again.model.get_weights(), trained.run.trained_model.model.get_weights(), strict=True):
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_array_equal(weight, expected)


def test_a_training_that_is_interrupted_ends_where_it_would_have(trained, tmp_path, interrupted):
    """Weight for weight, with the sample's own settings."""
    import dataclasses

    config = dataclasses.replace(trained.config, training=dataclasses.replace(trained.config.training, epochs=2))
    splits = trained.run.splits
    whole = trained.task.train(config, splits, tmp_path / "whole")
    interrupted(lambda: trained.task.train(config, splits, tmp_path / "parts"))
    again = trained.task.train(config, splits, tmp_path / "parts")
    for weight, expected in zip(again.model.get_weights(), whole.model.get_weights(), strict=True):
        if np.asarray(expected).dtype.kind == "f":
            np.testing.assert_array_equal(weight, expected)
    assert again.metadata == whole.metadata


@pytest.mark.parametrize("moment", ["writing", "writing in TensorFlow", "reporting", "verifying"])
def test_a_failed_export_leaves_everything_as_it_was(trained, tmp_path, monkeypatch, moment):
    folder = tmp_path / "task"
    shutil.copytree(trained.version.parent, folder)
    before = files(folder)

    def full_disk(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    def differs(*arguments, **options):
        raise ExportError("signature serving_default differs")

    add_report = full_disk if moment == "reporting" else None
    if moment == "writing":
        monkeypatch.setattr(keras.Model, "save", full_disk)
    if moment == "writing in TensorFlow":

        def full_for_tensorflow(*arguments, **options):
            raise tf.errors.ResourceExhaustedError(None, None, "variables/x; No space left on device")

        monkeypatch.setattr(type(keras.export.ExportArchive()), "write_out", full_for_tensorflow)
    if moment == "verifying":
        monkeypatch.setattr(export, "verify", differs)
    with pytest.raises(ExportError, match="differs" if moment == "verifying" else "disk is full"):
        export.publish(export_spec(trained), folder, add_report)
    assert files(folder) == before


def test_copies_that_cannot_be_refreshed_are_told_and_the_version_stands(trained, tmp_path, monkeypatch):
    def full_disk(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(ExportError, match=r"1 is published, but .* disk is full"):
        export.publish(export_spec(trained), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_folder_that_cannot_be_made_is_one_clear_error(trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Check the folder"):
        export.publish(export_spec(trained), tmp_path / "file" / "task")


def test_what_a_killed_export_left_is_swept_away_later(trained, tmp_path):
    import os

    old, new = tmp_path / ".incomplete-old", tmp_path / ".incomplete-new"
    for folder in (old, new):
        (folder / "variables").mkdir(parents=True)
    os.utime(old, (0, 0))
    export.publish(export_spec(trained), tmp_path)
    assert not old.exists()
    assert new.exists()


def test_a_model_of_another_task_is_not_exported(trained, tmp_path):
    shutil.copyfile(trained.version / "model.keras", tmp_path / "model.keras")
    (tmp_path / "task.json").write_text('{"task": "something else"}')
    with pytest.raises(ExportError, match="something else"):
        workflow.re_export(trained.task, tmp_path / "model.keras", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_copy_in_the_tasks_folder_exports_too_with_its_report(trained, tmp_path):
    version = workflow.re_export(trained.task, trained.version.parent / "model.keras", tmp_path)
    for name in ("card.md", "metrics.json", "task.json", "plots/learning_curve.png"):
        assert (version / name).read_bytes() == (trained.version / name).read_bytes()


def test_versions_count_up_and_only_plain_numbers_are_versions(trained, tmp_path):
    for name in ("3", "03", "12", "runs", ".incomplete-x", "4.tmp"):
        (tmp_path / name).mkdir()
    assert [path.name for path in export.list_versions(tmp_path)] == ["3", "12"]
    assert export.publish(export_spec(trained), tmp_path).name == "13"


def test_a_model_that_answers_otherwise_than_its_keras_model_is_not_published(trained, tmp_path, monkeypatch):
    real = cpp_runtime.run_isolated

    def off(*arguments, **options):
        return {k: v + 1e-3 if v.dtype.kind == "f" else v for k, v in real(*arguments, **options).items()}

    monkeypatch.setattr(cpp_runtime, "run_isolated", off)
    with pytest.raises(ExportError, match="differs from the Keras model"):
        export.publish(export_spec(trained), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_tasks_page_and_its_results_file_say_the_same(trained):
    folder = Path(__file__).resolve().parents[2] / "tasks" / trained.task.name
    rows, page = json.loads((folder / "results.json").read_text()), (folder / "README.md").read_text()
    assert any(row["model"] == "exported" and row["metric"] == trained.task.primary_metric for row in rows)
    folds, tables = results.in_folds(page, rows), list(results.FOLDS.finditer(page))
    for row in rows:
        assert set(row) == RESULT_KEYS
        assert row["low"] is None or row["low"] <= row["value"] <= row["high"]
        if row["command"] in folds:  # stands in a table by its option's value, with the table's metric
            lines = [
                line for table in tables for line in table[0].splitlines() if _tells_of(line, row, table["option"])
            ]
            assert lines
            if row["metric"] in {table["metric"] for table in tables}:
                assert any(results.number(row["metric"], row["value"]) in line for line in lines)
            continue
        assert row["command"] in page
        if row["metric"] == trained.task.primary_metric:
            for value in (row["value"], row["baseline_value"]):
                if value is None:  # of a baseline's own row
                    continue
                told = (f"{value:.2f}",) if value > 1 else (f"{100 * value:.2f}", f"{value:.4f}")
                assert any(text in page for text in told)


def _tells_of(line: str, row: dict, option: str) -> bool:
    return line.startswith(f"| `{results.value_of(row['command'], option)}` |")


def test_every_part_of_the_results_names_the_command_and_the_data(trained):
    for row in report.results(trained.run):
        assert row["command"] == trained.run.command
        assert row["dataset"] == "sample"


def test_predictions_through_the_workflow_are_the_saved_models(trained, signatures):
    lines = list(trained.task.examples)
    rows = workflow.predict(trained.task, trained.version, lines)
    signature = signatures["serving_default"][0]
    expected = trained.task.predict(lines, trained.run.trained_model.metadata, lambda request: answer(signature, request))
    assert len(rows) == len(lines)
    for k, row in enumerate(rows):
        for name, values in expected.items():
            value = values[k].decode() if isinstance(values[k], bytes) else values[k]
            np.testing.assert_array_equal(np.asarray(row[name]), np.asarray(value, np.asarray(row[name]).dtype))
