"""The only module that writes exported versions.

A version is written to a staging folder, verified there, and renamed to its version number. TensorFlow Serving loads a version
as soon as its folder appears, so it is published completely or not at all. After a failure the staging folder is removed and all
earlier versions are unchanged.

    saved_models/TASK/3/   saved_model.pb  variables/  assets/  assets.extra/tf_serving_warmup_requests
                           model.keras  task.json  card.md  metrics.json  report.html  request.json  plots/
    saved_models/TASK/     model.keras  task.json  card.md  …     copies from the newest version
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from shared.errors import ExportError
from shared.export import cpp_runtime
from shared.export.signatures import has_uniform_rows
from shared.export.versions import list_versions
from shared.layers.lstm import disable_cudnn
from shared.task import ExportSpec, Signature

TOLERANCE = 1e-5
COPIED_FILES = ("model.keras", "task.json", "card.md", "metrics.json", "report.html", "request.json", "plots")
STAGING_PREFIX = ".incomplete-"
STAGING_MAX_AGE = 24 * 3600
"""Seconds after which a staging folder is assumed to be left over from a killed process."""
BATCHING = """max_batch_size { value: 64 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
"""
"""Batching parameters for TensorFlow Serving, written only if all rows have the same shape. Requests with rows of different
lengths must not be batched: without padding they fail, and TensorFlow Serving pads by repeating the first value."""
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000  # limit of TensorFlow Serving


def publish(export_spec: ExportSpec, folder: Path, add_report: Callable[[Path], None] | None = None) -> Path:
    """Writes, verifies and publishes the next version of a model.

    Args:
        export_spec: model and signatures.
        folder: folder of the task; its versions are numbered 1, 2, 3 …
        add_report: function that writes card, metrics and plots to the staging folder before the version is published.

    Returns:
        Folder of the version.

    Raises:
        ExportError: writing or verification failed, nothing was published and earlier versions are unchanged; or the version was
            published, but the copies in the folder of the task could not be updated.
    """
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _remove_old_staging(folder)
        staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=folder))
        write(export_spec, staging)
        verify(export_spec, staging)
        if add_report is not None:
            add_report(staging)
        _flush_to_disk(staging)
        staging.chmod(0o755)
        version = _rename_to_next_version(staging, folder)
    except (OSError, tf.errors.OpError) as error:
        raise ExportError(
            f"{folder}: the version could not be written: {error_hint(error)}. Earlier versions are unchanged."
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    try:
        _update_copies(version, folder)
    except OSError as error:
        raise ExportError(
            f"{version} is published, but the copies in {folder} could not be updated: {error_hint(error)}."
        ) from error
    return version


def error_hint(error: OSError | tf.errors.OpError) -> str:
    """Returns the cause of a failed write and its fix, without a final period."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    codes = (errno.ENOSPC, errno.EDQUOT)
    if getattr(error, "errno", None) in codes or any(os.strerror(code) in str(error) for code in codes):
        return f"the disk is full ({text}). Free some space and run the command again"
    return f"{text}. Check the folder and its permissions"


def write(export_spec: ExportSpec, folder: Path) -> None:
    """Writes SavedModel, `model.keras`, `task.json`, warm-up requests and, if possible, batching parameters to an empty folder."""
    disable_cudnn(export_spec.model)
    _forget_training(export_spec.model)
    archive = keras.export.ExportArchive()
    archive.track(export_spec.model)
    functions = []
    for name, signature in export_spec.signatures.items():
        functions.append(tf.function(_accept_positional(signature), input_signature=list(signature.inputs.values())))
        archive.add_endpoint(name, functions[-1])
    archive.write_out(str(folder), verbose=False)
    export_spec.model.save(folder / "model.keras")
    (folder / "task.json").write_text(json.dumps(export_spec.metadata, indent=2) + "\n", encoding="utf-8")
    _write_warmup(export_spec, folder / WARMUP)
    if all(has_uniform_rows(function.get_concrete_function()) for function in functions):
        (folder / "batching_params.pbtxt").write_text(BATCHING, encoding="utf-8")


def _forget_training(model: keras.Model) -> None:
    """Removes loss and optimizer from all nested models, so that `model.keras` does not need the code of a loss of this project."""
    for layer in model._flatten_layers():
        if isinstance(layer, keras.Model):
            layer.compiled = False


def _accept_positional(signature: Signature) -> Callable[..., dict[str, tf.Tensor]]:
    """Returns a function with positional arguments, as `input_signature` needs them; the specs name the inputs."""
    return lambda *tensors: signature.function(**dict(zip(signature.inputs, tensors, strict=True)))


def verify(export_spec: ExportSpec, folder: Path) -> None:
    """Loads a written model in Python, in the C++ runtime and in plain Keras, and compares its outputs.

    Raises:
        ExportError: an output of a signature differs from the Keras model by more than 1e-5, in Python or in the C++ runtime;
            the graph contains a cuDNN operation; or `model.keras` needs code of this project.
    """
    with _full_float32():
        _verify(export_spec, folder)


def _verify(export_spec: ExportSpec, folder: Path) -> None:
    _require_no_cudnn(folder)
    loaded = tf.saved_model.load(str(folder))
    for name, signature in export_spec.signatures.items():
        request = {key: tf.constant(value) for key, value in signature.example_request.items()}
        expected = {key: np.asarray(value) for key, value in signature.function(**request).items()}
        outputs = {key: value.numpy() for key, value in loaded.signatures[name](**request).items()}
        _require_equal(expected, outputs, f"signature {name}, reloaded")
        try:
            cpp_outputs = cpp_runtime.run_isolated(folder, name, signature.example_request)
        except cpp_runtime.CppRuntimeError as error:
            raise ExportError(f"signature {name} fails in TensorFlow's C++ runtime: {error}") from error
        _require_equal(expected, cpp_outputs, f"signature {name}, in the C++ runtime")
    _require_plain_keras(folder / "model.keras")


@contextlib.contextmanager
def _full_float32() -> Iterator[None]:
    """Disables TF32, which rounds the factors of float32 products to 10 bits on a GPU: too coarse for the comparison."""
    was_enabled = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(was_enabled)


def _require_equal(expected: Mapping[str, np.ndarray], outputs: Mapping[str, np.ndarray], where: str) -> None:
    if set(expected) != set(outputs):
        raise ExportError(f"{where}: outputs {sorted(outputs)} instead of {sorted(expected)}")
    for key, value in expected.items():
        if value.shape != outputs[key].shape:
            raise ExportError(f"{where}: output {key} has shape {outputs[key].shape} instead of {value.shape}")
        if value.dtype.kind == "f":
            both_nan = np.isnan(value) & np.isnan(outputs[key])
            difference = float(np.max(np.where(both_nan, 0.0, np.abs(value - outputs[key])), initial=0.0))
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"{where}: output {key} differs from the Keras model by {difference:.2g} > {TOLERANCE}"
                )
        elif not np.array_equal(value, outputs[key]):
            raise ExportError(f"{where}: output {key} differs from the Keras model")


def _require_no_cudnn(folder: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved_model = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta_graph in saved_model.meta_graphs:
        graph = meta_graph.graph_def
        nodes = [*graph.node, *(node for function in graph.library.function for node in function.node_def)]
        operations = sorted({node.op for node in nodes if "cudnn" in node.op.lower()})
        if operations:
            raise ExportError(
                f"the graph contains {', '.join(operations)}, which does not run on a CPU. Disable cuDNN in its layer."
            )


PLAIN_KERAS = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("shared", "tasks"):
            raise ImportError(name + " is not available here")
sys.meta_path.insert(0, Blocker())
import keras
keras.models.load_model(sys.argv[1], compile=False)
"""


def _require_plain_keras(path: Path) -> None:
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
    }
    process = subprocess.run(
        [sys.executable, "-P", "-c", PLAIN_KERAS, str(path.resolve())],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode != 0:
        reason = process.stderr.strip().splitlines()[-1:] or [f"exit status {process.returncode}"]
        raise ExportError(
            f"{path.name} cannot be loaded in Keras without this project: {reason[0]}. Use only layers and functions of Keras."
        )


def _write_warmup(export_spec: ExportSpec, path: Path) -> None:
    from tensorflow_serving.apis import predict_pb2, prediction_log_pb2

    path.parent.mkdir(parents=True, exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for name, signature in list(export_spec.signatures.items())[:MAX_WARMUP_RECORDS]:
            request = predict_pb2.PredictRequest()
            request.model_spec.signature_name = name
            for key, value in signature.example_request.items():
                request.inputs[key].CopyFrom(tf.make_tensor_proto(value))
            log = prediction_log_pb2.PredictLog(request=request)
            writer.write(prediction_log_pb2.PredictionLog(predict_log=log).SerializeToString())


def _rename_to_next_version(staging: Path, folder: Path) -> Path:
    """Renames the staging folder to the next free number; another export may publish a number at the same time."""
    number = int(versions[-1].name) + 1 if (versions := list_versions(folder)) else 1
    while True:
        target = folder / str(number)
        if not target.exists():
            try:
                return staging.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        number += 1


def _update_copies(version: Path, folder: Path) -> None:
    """Copies `COPIED_FILES` of a version to the folder of the task and removes those that the version lacks.

    Each file is copied to a staging folder first, so that its copy is never incomplete.
    """
    with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=folder) as staging:
        for name in COPIED_FILES:
            source, target, staged = version / name, folder / name, Path(staging) / name
            if source.is_dir():
                shutil.copytree(source, staged)
            elif source.exists():
                shutil.copyfile(source, staged)
            if target.is_dir() or not source.exists():
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            if source.exists():
                staged.replace(target)


def _remove_old_staging(folder: Path) -> None:
    """Removes staging folders that killed processes left."""
    for path in folder.glob(f"{STAGING_PREFIX}*"):
        if time.time() - path.stat().st_mtime > STAGING_MAX_AGE:
            shutil.rmtree(path, ignore_errors=True)


def _flush_to_disk(folder: Path) -> None:
    """Flushes all files of a folder to disk, so that a published version survives a power failure."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
