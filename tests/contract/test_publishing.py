"""Versions of every task are complete or absent: whatever fails, earlier versions stay as they are."""

from __future__ import annotations

import errno
import shutil
from pathlib import Path

import keras
import pytest
import tensorflow as tf

from shared import workflow
from shared.errors import ExportError
from shared.export import cpp_runtime, publishing
from shared.export.versions import list_versions
from tests.contract.conftest import build_export_spec


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_graph_with_a_cudnn_operation_is_not_published(trained, tmp_path):
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((trained.version / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        functions = meta.graph_def.library.function
        operations = {node.op for nodes in (meta.graph_def.node, *(f.node_def for f in functions)) for node in nodes}
        assert not [
            name for name in operations if "cudnn" in name.lower()
        ]  # the name also occurs as an attribute of Conv2D
    saved.meta_graphs[0].graph_def.library.function[0].node_def.add(name="rnn", op="CudnnRNNV3")
    (tmp_path / "saved_model.pb").write_bytes(saved.SerializeToString())
    with pytest.raises(ExportError, match="CudnnRNNV3"):
        publishing.verify(build_export_spec(trained), tmp_path)


@pytest.mark.parametrize("moment", ["writing", "writing in TensorFlow", "reporting", "verifying"])
def test_a_failed_export_changes_nothing(trained, tmp_path, monkeypatch, moment):
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
        monkeypatch.setattr(publishing, "verify", differs)
    with pytest.raises(ExportError, match="differs" if moment == "verifying" else "disk is full"):
        publishing.publish(build_export_spec(trained), folder, add_report)
    assert files(folder) == before


def test_a_version_stays_published_if_its_copies_cannot_be_updated(trained, tmp_path, monkeypatch):
    def full_disk(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full_disk)
    with pytest.raises(ExportError, match=r"1 is published, but .* disk is full"):
        publishing.publish(build_export_spec(trained), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["1"]


def test_a_folder_that_cannot_be_created_is_a_clear_error(trained, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ExportError, match="Check the folder"):
        publishing.publish(build_export_spec(trained), tmp_path / "file" / "task")


def test_a_later_export_removes_what_a_killed_export_left(trained, tmp_path):
    import os

    old, new = tmp_path / ".incomplete-old", tmp_path / ".incomplete-new"
    for folder in (old, new):
        (folder / "variables").mkdir(parents=True)
    os.utime(old, (0, 0))
    publishing.publish(build_export_spec(trained), tmp_path)
    assert not old.exists()
    assert new.exists()


def test_a_model_of_another_task_cannot_be_exported(trained, tmp_path):
    shutil.copyfile(trained.version / "model.keras", tmp_path / "model.keras")
    (tmp_path / "task.json").write_text('{"task": "something else"}')
    with pytest.raises(ExportError, match="something else"):
        workflow.re_export(trained.task, tmp_path / "model.keras", tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_the_copy_in_the_folder_of_the_task_can_be_exported_with_its_report(trained, tmp_path):
    version = workflow.re_export(trained.task, trained.version.parent / "model.keras", tmp_path)
    for name in ("card.md", "metrics.json", "task.json", "report.html", "request.json", "plots/learning_curve.png"):
        assert (version / name).read_bytes() == (trained.version / name).read_bytes()


def test_versions_are_numbered_and_only_plain_numbers_are_versions(trained, tmp_path):
    for name in ("3", "03", "12", "runs", ".incomplete-x", "4.tmp"):
        (tmp_path / name).mkdir()
    assert [path.name for path in list_versions(tmp_path)] == ["3", "12"]
    assert publishing.publish(build_export_spec(trained), tmp_path).name == "13"


def test_a_model_that_differs_from_its_keras_model_is_not_published(trained, tmp_path, monkeypatch):
    real = cpp_runtime.run_isolated

    def off(*arguments, **options):
        return {k: v + 1e-3 if v.dtype.kind == "f" else v for k, v in real(*arguments, **options).items()}

    monkeypatch.setattr(cpp_runtime, "run_isolated", off)
    with pytest.raises(ExportError, match="differs from the Keras model"):
        publishing.publish(build_export_spec(trained), tmp_path)
    assert list(tmp_path.iterdir()) == []
