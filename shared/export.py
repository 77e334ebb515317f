"""The only writer of models.

A version is written to a folder staging, verified there, and renamed to its number: TensorFlow Serving picks a number up
the moment it appears, so it must be whole and right by then. When anything fails, the folder staging goes and every
earlier version stays as it was.

    saved_models/TASK/3/   saved_model.pb  variables/  assets/  assets.extra/tf_serving_warmup_requests
                           model.keras  task.json  card.md  metrics.json  plots/
    saved_models/TASK/     model.keras  card.md  metrics.json  plots/     copies of the newest version's
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
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

from shared import cpp_runtime
from shared.errors import ExportError
from shared.lstm import disable_cudnn
from shared.signatures import has_uniform_rows
from shared.task import ExportSpec, Signature

TOLERANCE = 1e-5
NUMBER = re.compile("0|[1-9][0-9]{0,18}")  # names of versions
COPIED = ("model.keras", "task.json", "card.md", "metrics.json", "report.html", "request.json", "plots")
STAGING_PREFIX = ".incomplete-"
ABANDONED = 24 * 3600
"""Seconds after which a folder staging is taken for that of a killed process."""
BATCHING = """max_batch_size { value: 64 }
batch_timeout_micros { value: 1000 }
max_enqueued_batches { value: 100 }
"""
"""How TensorFlow Serving joins requests to a model whose rows have one shape; others it must not join, since without padding
those of different lengths fail, and with it they are padded by a repetition of their first value."""
WARMUP = Path("assets.extra") / "tf_serving_warmup_requests"
MAX_WARMUP_RECORDS = 1000  # TensorFlow Serving refuses more


def publish(export_spec: ExportSpec, folder: Path, add_report: Callable[[Path], None] | None = None) -> Path:
    """Writes, verifies and publishes the next version of a model.

    Args:
        export_spec: the model and its signatures.
        folder: the task's folder; versions are numbered 1, 2, 3 … in it.
        add_report: called with the folder staging, to put card, metrics and plots beside the model before it is published.

    Returns:
        The version's folder.

    Raises:
        ExportError: writing or verifying failed; nothing was published and no earlier version was touched.
    """
    staging = None
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        staging = Path(tempfile.mkdtemp(prefix=STAGING_PREFIX, dir=folder))
        write(export_spec, staging)
        verify(export_spec, staging)
        if add_report is not None:
            add_report(staging)
        _sync(staging)
        staging.chmod(0o755)
        version = _rename_to_next_version(staging, folder)
    except (OSError, tf.errors.OpError) as error:
        raise ExportError(
            f"{folder}: the version could not be written: {error_hint(error)}; earlier versions are untouched."
        ) from error
    finally:
        if staging is not None:
            shutil.rmtree(staging, ignore_errors=True)
    try:
        _refresh_copies(version, folder)
    except OSError as error:
        raise ExportError(
            f"{version} is published, but the copies beside it could not be refreshed: {error_hint(error)}."
        ) from error
    return version


def error_hint(error: OSError | tf.errors.OpError) -> str:
    """Returns what to do about a failure to write."""
    text = str(error).splitlines()[0] if str(error) else type(error).__name__
    numbers = (errno.ENOSPC, errno.EDQUOT)
    if getattr(error, "errno", None) in numbers or any(os.strerror(number) in str(error) for number in numbers):
        return f"the disk is full ({text}). Make room and give the command again"
    return f"{text}. Check the folder and its rights"


def list_versions(folder: Path) -> list[Path]:
    """Returns the published versions, oldest first; only plain numbers count, as for TensorFlow Serving."""
    if not folder.is_dir():
        return []
    found = [
        path for path in folder.iterdir() if path.is_dir() and NUMBER.fullmatch(path.name) and int(path.name) < 2**63
    ]
    return sorted(found, key=lambda path: int(path.name))


def latest_version(folder: Path) -> Path:
    """Returns the newest version's folder.

    Raises:
        ExportError: there is none.
    """
    found = list_versions(folder)
    if not found:
        raise ExportError(
            f"{folder}: no exported version. Train one first, for example: lstm-suite train {folder.name}"
        )
    return found[-1]


def find_version(folder: Path, number: int | None) -> Path:
    """Returns a version's folder by its number, the newest for None.

    Raises:
        ExportError: there is none.
    """
    if number is None:
        return latest_version(folder)
    path = folder / str(number)
    if path not in list_versions(folder):
        found = ", ".join(version.name for version in list_versions(folder)) or "none"
        raise ExportError(f"{folder} has no version {number}; there: {found}.")
    return path


def write(export_spec: ExportSpec, folder: Path) -> None:
    """Writes SavedModel, `model.keras`, `task.json` and warm-up requests into a folder of one's own."""
    disable_cudnn(export_spec.model)
    archive = keras.export.ExportArchive()
    archive.track(export_spec.model)
    functions = []
    for name, signature in export_spec.signatures.items():
        functions.append(tf.function(_by_position(signature), input_signature=list(signature.inputs.values())))
        archive.add_endpoint(name, functions[-1])
    archive.write_out(str(folder), verbose=False)
    export_spec.model.save(folder / "model.keras")
    (folder / "task.json").write_text(json.dumps(export_spec.metadata, indent=2) + "\n", encoding="utf-8")
    _write_warmup(export_spec, folder / WARMUP)
    if all(has_uniform_rows(function.get_concrete_function()) for function in functions):
        (folder / "batching_params.pbtxt").write_text(BATCHING, encoding="utf-8")


def _by_position(signature: Signature) -> Callable[..., dict[str, tf.Tensor]]:
    """TensorFlow wants arguments in order for a list of specifications; the specifications' names become the inputs'."""
    return lambda *tensors: signature.function(**dict(zip(signature.inputs, tensors, strict=True)))


def verify(export_spec: ExportSpec, folder: Path) -> None:
    """Checks a written model as those who will load it do.

    Raises:
        ExportError: a signature's answer differs from the Keras model's by more than 1e-5, in Python or in the C++
            runtime; the graph holds a cuDNN operation; or `model.keras` needs more than plain Keras.
    """
    with _exact_arithmetic():
        _verify(export_spec, folder)


def _verify(export_spec: ExportSpec, folder: Path) -> None:
    _no_cudnn(folder)
    loaded = tf.saved_model.load(str(folder))
    for name, signature in export_spec.signatures.items():
        request = {key: tf.constant(value) for key, value in signature.example_request.items()}
        expected = {key: np.asarray(value) for key, value in signature.function(**request).items()}
        answer = {key: value.numpy() for key, value in loaded.signatures[name](**request).items()}
        _require_equal(expected, answer, f"signature {name}, reloaded")
        try:
            in_cpp = cpp_runtime.run_isolated(folder, name, signature.example_request)
        except cpp_runtime.CppRuntimeError as error:
            raise ExportError(f"signature {name} fails in TensorFlow's C++ runtime: {error}") from error
        _require_equal(expected, in_cpp, f"signature {name}, in the C++ runtime")
    _opens_in_plain_keras(folder / "model.keras")


@contextlib.contextmanager
def _exact_arithmetic() -> Iterator[None]:
    """On a GPU, TensorFlow rounds the factors of float32 products to 10 bits (TF32): too coarse to compare."""
    before = tf.config.experimental.tensor_float_32_execution_enabled()
    tf.config.experimental.enable_tensor_float_32_execution(False)
    try:
        yield
    finally:
        tf.config.experimental.enable_tensor_float_32_execution(before)


def _require_equal(expected: Mapping[str, np.ndarray], answer: Mapping[str, np.ndarray], where: str) -> None:
    if set(expected) != set(answer):
        raise ExportError(f"{where}: outputs {sorted(answer)} instead of {sorted(expected)}")
    for key, value in expected.items():
        if value.shape != answer[key].shape:
            raise ExportError(f"{where}: output {key} has shape {answer[key].shape} instead of {value.shape}")
        if value.dtype.kind == "f":
            difference = float(np.max(np.abs(value - answer[key]), initial=0.0))
            if not difference <= TOLERANCE:
                raise ExportError(
                    f"{where}: output {key} differs from the Keras model by {difference:.2g} > {TOLERANCE}"
                )
        elif not np.array_equal(value, answer[key]):
            raise ExportError(f"{where}: output {key} differs from the Keras model")


def _no_cudnn(folder: Path) -> None:
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((folder / "saved_model.pb").read_bytes())
    for meta in saved.meta_graphs:
        nodes = [*meta.graph_def.node, *(node for f in meta.graph_def.library.function for node in f.node_def)]
        found = sorted({node.op for node in nodes if "cudnn" in node.op.lower()})
        if found:
            raise ExportError(f"the graph holds {', '.join(found)}, which no CPU server can run")


PLAIN_KERAS = """
import sys
class Blocker:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("shared", "tasks"):
            raise ImportError(name + " is not to be had here")
sys.meta_path.insert(0, Blocker())
import keras
keras.models.load_model(sys.argv[1], compile=False)
"""


def _opens_in_plain_keras(path: Path) -> None:
    environment = os.environ | {
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "CUDA_VISIBLE_DEVICES": "-1",
        "KERAS_BACKEND": "tensorflow",
    }
    done = subprocess.run(
        [sys.executable, "-P", "-c", PLAIN_KERAS, str(path.resolve())],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        reason = done.stderr.strip().splitlines()[-1:] or [f"exit status {done.returncode}"]
        raise ExportError(f"{path.name} does not open in plain Keras without this project: {reason[0]}")


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
    """Takes the next free number; where another export was faster, the one after."""
    number = int(found[-1].name) + 1 if (found := list_versions(folder)) else 1
    while True:
        target = folder / str(number)
        if not target.exists():
            try:
                return staging.rename(target)
            except OSError as error:
                if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                    raise
        number += 1


def _refresh_copies(version: Path, folder: Path) -> None:
    """Copies what people look at to the task's folder, each whole; what the version lacks goes there too."""
    with tempfile.TemporaryDirectory(prefix=STAGING_PREFIX, dir=folder) as staging:
        for name in COPIED:
            source, target, copied = version / name, folder / name, Path(staging) / name
            if source.is_dir():
                shutil.copytree(source, copied)
            elif source.exists():
                shutil.copyfile(source, copied)
            if target.is_dir() or not source.exists():
                shutil.rmtree(target) if target.is_dir() else target.unlink(missing_ok=True)
            if source.exists():
                copied.replace(target)


def _sweep(folder: Path) -> None:
    """Takes away what killed processes left."""
    for path in folder.glob(f"{STAGING_PREFIX}*"):
        if time.time() - path.stat().st_mtime > ABANDONED:
            shutil.rmtree(path, ignore_errors=True)


def _sync(folder: Path) -> None:
    """Makes the disk hold what was written, before the name says that it is there."""
    for path in folder.rglob("*"):
        if path.is_file():
            with path.open("rb") as file:
                os.fsync(file.fileno())
