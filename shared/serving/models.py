"""A version of a model: loaded, warmed up, asked from many threads, and let go when nobody asks it any more."""

from __future__ import annotations

import gc
import logging
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import prediction_log_pb2

from shared.export import MAX_WARMUP_RECORDS, WARMUP
from shared.serving.batching import Batcher, Batching
from shared.serving.errors import INVALID, UNAVAILABLE, Gone, ServingError

START, LOADING, AVAILABLE, UNLOADING, END = "START", "LOADING", "AVAILABLE", "UNLOADING", "END"


class Version:
    """One version of a model.

    Args:
        name: of the model.
        number: of the version.
        folder: of the SavedModel.

    Attributes:
        state: START, LOADING, AVAILABLE, UNLOADING or END, as TensorFlow Serving calls them.
        error: why it could not be loaded; "" otherwise.
        signatures: by name, while it is AVAILABLE.
    """

    def __init__(self, name: str, number: int, folder: Path) -> None:
        self.name, self.number, self.folder = name, number, folder
        self.state, self.error = START, ""
        self.signatures: dict[str, Batcher] = {}
        self._loaded: object = None
        self._asked = 0
        self._idle = threading.Condition()

    def load(self, batching: Batching | None) -> None:
        """Loads the SavedModel and answers its warm-up requests; a failure is told by `state` and `error`, and logged."""
        self.state = LOADING
        try:
            loaded = tf.saved_model.load(str(self.folder))
            signatures = {name: Batcher(one, batching) for name, one in loaded.signatures.items()}
            if not signatures:
                raise ValueError("it has no signature")
            _warm_up(self.folder / WARMUP, signatures)
        except Exception as error:  # whatever a broken folder brings about
            self.error = f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error).strip() else ''}"
            self.state = END
            logging.getLogger(__name__).error("%s: cannot be served: %s", self.folder, self.error)
            return
        self._loaded, self.signatures = loaded, signatures
        self.state = AVAILABLE

    @contextmanager
    def asked(self) -> Iterator[None]:
        """Keeps the version from being let go while a request is answered.

        Raises:
            Gone: it is not there any more, or not yet.
        """
        with self._idle:
            if self.state != AVAILABLE:
                raise Gone(UNAVAILABLE, f"Version {self.number} of {self.name} is {self.state}. Try again.")
            self._asked += 1
        try:
            yield
        finally:
            with self._idle:
                self._asked -= 1
                self._idle.notify_all()

    def let_go(self) -> None:
        """Takes no new requests, waits for those that are being answered, and gives the memory back."""
        with self._idle:
            self.state = UNLOADING
            self._idle.wait_for(lambda: self._asked == 0)
        self.signatures, self._loaded = {}, None
        self.state = END
        gc.collect()  # functions and their closures hold each other

    def signature(self, name: str) -> Batcher:
        """Returns a signature by its name."""
        if name not in self.signatures:
            there = ", ".join(sorted(self.signatures))
            raise ServingError(INVALID, f'Serving signature name "{name}" not found in {self.name}. There are {there}.')
        return self.signatures[name]


def check(request: Mapping[str, np.ndarray], inputs: Mapping[str, tf.TensorSpec]) -> None:
    """Refuses a request whose names, kinds or shapes are not the signature's."""
    check_names(set(request), inputs)
    rows = set()
    for name, spec in inputs.items():
        value = request[name]
        kind = tf.string if value.dtype == object else tf.as_dtype(value.dtype)
        check_kind(name, kind.as_datatype_enum, spec)
        if not spec.shape.is_compatible_with(value.shape):
            raise ServingError(
                INVALID, f'Input "{name}" has the shape {_shape(spec.shape)}. Received: {_shape(value.shape)}'
            )
        rows.add(value.shape[0] if value.ndim else None)
    if len(rows) > 1:
        raise ServingError(INVALID, f"The inputs have different numbers of rows: {sorted(map(str, rows))}.")
    if rows == {0}:
        raise ServingError(INVALID, "The request holds no row.")


def check_names(given: set[str], inputs: Mapping[str, tf.TensorSpec], place: str = "") -> None:
    """Refuses names that are not those of the inputs; `place` is where they stand."""
    missing, unknown = sorted(set(inputs) - given), sorted(given - set(inputs))
    if missing or unknown:
        said = [f"missing: {', '.join(missing)}"] * bool(missing) + [f"unknown: {', '.join(unknown)}"] * bool(unknown)
        raise ServingError(INVALID, f"{place}The inputs are {', '.join(sorted(inputs))}; {'; '.join(said)}.")


def check_kind(name: str, kind: int, spec: tf.TensorSpec) -> None:
    """Refuses values of another kind, a number of TensorFlow's, than the input's."""
    if kind != spec.dtype.as_datatype_enum:
        known = types_pb2.DataType.values()
        told = tf.as_dtype(kind).name if kind in known and kind != types_pb2.DT_INVALID else f"kind {kind}"
        raise ServingError(INVALID, f'Input "{name}" is {spec.dtype.name}. Received: {told}')


def _shape(shape: object) -> str:
    return "(" + ", ".join("any" if size is None else str(size) for size in shape) + ")"  # type: ignore[attr-defined]


def _warm_up(path: Path, signatures: Mapping[str, Batcher]) -> None:
    """Answers the requests that the exporter wrote beside the model, so that the first caller need not wait."""
    if not path.exists():
        return
    for count, record in enumerate(tf.data.TFRecordDataset(str(path)), 1):
        if count > MAX_WARMUP_RECORDS:
            raise ValueError(f"{path.name} holds more than {MAX_WARMUP_RECORDS} records")
        request = prediction_log_pb2.PredictionLog.FromString(record.numpy()).predict_log.request
        batcher = signatures[request.model_spec.signature_name or "serving_default"]
        values = {name: tf.make_ndarray(value) for name, value in request.inputs.items()}
        for _ in range(2):  # the second makes the queue of this form
            batcher(values)
