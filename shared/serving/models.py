"""One version of a model: loading, warm-up, validation of requests, and unloading after the last request."""

from __future__ import annotations

import gc
import json
import logging
import threading
import time
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import prediction_log_pb2

from shared.export.publishing import MAX_WARMUP_RECORDS, WARMUP
from shared.serving.batching import Batcher, Batching
from shared.serving.errors import INVALID_ARGUMENT, UNAVAILABLE, ServingError, VersionUnavailable
from shared.serving.logs import fields

logger = logging.getLogger(__name__)
OTHER_VERSION_HINT = (
    ". Is the state from another version of this model? Send all requests of a stream to one version (REST: /versions/N in the path; "
    "gRPC: model_spec.version)."
)
START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


class ModelVersion:
    """One version of a model. It is thread-safe.

    Args:
        name: name of the model.
        version: number of the version.
        folder: folder of the SavedModel.

    Attributes:
        state: START, LOADING, AVAILABLE, UNLOADING or END, the states of TensorFlow Serving.
        error: reason why the version could not be loaded, or "".
        load_seconds: duration of the loading and of the warm-up, once the state is AVAILABLE.
        signatures: signatures by name, while the state is AVAILABLE.
        metadata: metadata of the model; empty if it has none.
    """

    def __init__(self, name: str, version: int, folder: Path) -> None:
        self.name, self.version, self.folder = name, version, folder
        self.state, self.error, self.load_seconds = START, "", 0.0
        self.signatures: dict[str, Batcher] = {}
        self.metadata: dict[str, Any] = {}
        self._saved_model: object = None
        self._num_users = 0
        self._users_changed = threading.Condition()

    def load(self, batching: Batching | None) -> None:
        """Loads the SavedModel and runs its warm-up requests.

        If this fails, `state` becomes END and `error` the reason, which is also logged.
        """
        self.state, started = LOADING, time.monotonic()
        try:
            saved_model = tf.saved_model.load(str(self.folder))
            signatures = {name: Batcher(one, batching) for name, one in saved_model.signatures.items()}
            if not signatures:
                raise ValueError("the SavedModel has no signature")
            _warm_up(self.folder / WARMUP, signatures)
            metadata = _read_metadata(self.folder / "task.json")
        except Exception as error:  # a damaged folder can raise anything
            self.error = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            self.state = END
            logger.error(
                "%s: the version cannot be loaded: %s",
                *(self.folder, self.error),
                extra=self._event_fields("load failed", error=self.error),
            )
            return
        self._saved_model, self.signatures, self.metadata = saved_model, signatures, metadata
        self.state, self.load_seconds = AVAILABLE, time.monotonic() - started
        logger.info(
            "%s: version %d is loaded, in %.1f s",
            *(self.name, self.version, self.load_seconds),
            extra=self._event_fields("load", seconds=round(self.load_seconds, 3)),
        )

    def _event_fields(self, event: str, **values: object) -> dict[str, Any]:
        return fields(event=event, model=self.name, version=self.version, **values)

    @contextmanager
    def in_use(self) -> Iterator[None]:
        """Keeps the version loaded while a request uses it.

        Raises:
            VersionUnavailable: the version is not loaded.
        """
        with self._users_changed:
            if self.state != AVAILABLE:
                raise VersionUnavailable(
                    UNAVAILABLE, f"Version {self.version} of {self.name} is {self.state}. Try again."
                )
            self._num_users += 1
        try:
            yield
        finally:
            with self._users_changed:
                self._num_users -= 1
                self._users_changed.notify_all()

    def unload(self) -> None:
        """Rejects new requests, waits until the running requests are finished, and frees the memory."""
        with self._users_changed:
            self.state = UNLOADING
            self._users_changed.wait_for(lambda: self._num_users == 0)
        self.signatures, self._saved_model = {}, None
        self.state = END
        gc.collect()  # functions and their closures refer to each other
        logger.info("%s: version %d is unloaded", self.name, self.version, extra=self._event_fields("unload"))

    def get_signature(self, name: str) -> Batcher:
        """Returns a signature by its name.

        Raises:
            ServingError: there is no such signature.
        """
        if name not in self.signatures:
            raise ServingError(
                INVALID_ARGUMENT,
                f'Serving signature name "{name}" not found in {self.name}. '
                f"The signatures are {', '.join(sorted(self.signatures))}.",
            )
        return self.signatures[name]


def validate_request(
    request: Mapping[str, np.ndarray], inputs: Mapping[str, tf.TensorSpec], outputs: Collection[str] = ()
) -> None:
    """Checks names, dtypes and shapes of a request.

    Args:
        request: arrays by input name.
        inputs: inputs of the signature.
        outputs: names of the outputs; an input of the same name is a state.

    Raises:
        ServingError: the request does not match the inputs of the signature, or has no rows.
    """
    validate_names(request, inputs)
    rows = set()
    for name, spec in inputs.items():
        value = request[name]
        dtype = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        validate_dtype(name, dtype.as_datatype_enum, spec)
        if not spec.shape.is_compatible_with(value.shape):
            hint = OTHER_VERSION_HINT if name in outputs and value.ndim == spec.shape.rank else ""
            raise ServingError(
                INVALID_ARGUMENT,
                f'Input "{name}" must have the shape {_format_shape(spec.shape)}. Received: {_format_shape(value.shape)}{hint}',
            )
        rows.add(value.shape[0] if value.ndim else None)
    if len(rows) > 1:
        raise ServingError(
            INVALID_ARGUMENT,
            f"All inputs must have the same number of rows. Received: {', '.join(sorted(map(str, rows)))}",
        )
    if rows == {0}:
        raise ServingError(INVALID_ARGUMENT, "The request has no rows. Send at least one.")


def validate_names(names: Iterable[str], inputs: Mapping[str, tf.TensorSpec], prefix: str = "") -> None:
    """Checks the names of the inputs in a request.

    Args:
        names: names in the request.
        inputs: inputs of the signature.
        prefix: start of the error message, which says where in the request the names are.

    Raises:
        ServingError: a name is missing or unknown.
    """
    missing, unknown = sorted(set(inputs) - set(names)), sorted(set(names) - set(inputs))
    if missing or unknown:
        problems = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(
            unknown
        )
        raise ServingError(
            INVALID_ARGUMENT, f"{prefix}The inputs are {', '.join(sorted(inputs))}; {'; '.join(problems)}."
        )


def validate_dtype(name: str, dtype: int, spec: tf.TensorSpec) -> None:
    """Checks the dtype of an input.

    Args:
        name: name of the input.
        dtype: dtype in the request, as a value of TensorFlow's enum `DataType`.
        spec: input of the signature.

    Raises:
        ServingError: the dtypes differ.
    """
    if dtype != spec.dtype.as_datatype_enum:
        is_known = dtype in types_pb2.DataType.values() and dtype != types_pb2.DT_INVALID
        received = tf.as_dtype(dtype).name if is_known else f"DataType {dtype}"
        raise ServingError(INVALID_ARGUMENT, f'Input "{name}" must be {spec.dtype.name}. Received: {received}')


def _format_shape(shape: object) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"  # type: ignore[attr-defined]


def _read_metadata(path: Path) -> dict[str, Any]:
    """Returns the metadata of a version, as they were when it was loaded; empty if the model is not of this suite."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _warm_up(path: Path, signatures: Mapping[str, Batcher]) -> None:
    """Runs the warm-up requests that the exporter wrote into the version, so that the first client does not wait."""
    if not path.exists():
        return
    for count, record in enumerate(tf.data.TFRecordDataset(str(path)), 1):
        if count > MAX_WARMUP_RECORDS:
            raise ValueError(f"{path.name} has more than {MAX_WARMUP_RECORDS} records")
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        batcher = signatures[request.model_spec.signature_name or "serving_default"]
        values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        for _ in range(2):  # the second run creates the queue for this shape
            batcher(values)
