"""Micro-batching: requests whose rows have the same shape run in one batch, by TensorFlow's own batching operation.

The operation waits for a moment, concatenates the rows of all requests, runs the signature once, and splits the outputs. Requests
that arrive together (`group_requests`, `run_batch`) are concatenated before they reach the operation.

Only requests with equal shapes after the first axis share a batch, and each such shape has its own queue. Texts therefore always
share a queue; recordings of different lengths run separately, so that no padding can change their outputs. A signature whose
outputs grow with the largest row of a batch is never batched: the shape of its outputs would reveal the other requests.
"""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from shared.export.signatures import has_fixed_row_shape

ShapeKey = tuple[tuple[int, ...], ...]
"""Shapes of all inputs of a request, without the first axis."""
QUEUE_IDS = itertools.count()
MAX_QUEUES = 16  # per signature; requests of further shapes run separately
MAX_COUNTED_SHAPES = 10_000


@dataclass(frozen=True)
class Batching:
    """Settings of micro-batching."""

    max_batch_size: int = 64
    """Maximum number of rows in a batch; a request with more rows runs separately."""
    timeout: float = 0.001
    """Seconds that a request waits for other requests."""
    num_threads: int = 2
    """Number of batches that run at the same time."""
    max_queued_batches: int = 100
    """Maximum number of batches that wait, for each shape; the server rejects further requests."""


class Batcher:
    """Runs requests for one signature of a loaded SavedModel. It is thread-safe.

    Args:
        signature: signature of the SavedModel.
        batching: settings of micro-batching; None runs each request separately.

    Attributes:
        is_batched: whether requests may share a batch.
    """

    def __init__(self, signature: Any, batching: Batching | None) -> None:
        self.signature, self.batching = signature, batching
        self.inputs: dict[str, tf.TensorSpec] = dict(signature.structured_input_signature[1])
        self.outputs: dict[str, tf.TensorSpec] = dict(signature.structured_outputs)
        ranks = [spec.shape.rank for spec in (*self.inputs.values(), *self.outputs.values())]  # 0: no batch axis
        self.is_batched = (
            batching is not None
            and bool(self.inputs)
            and all(ranks)
            and all(map(has_fixed_row_shape, self.outputs.values()))
        )
        self._queues: dict[ShapeKey, Callable[..., Any]] = {}
        self._invalid_shapes: set[ShapeKey] = set()
        self._queues_in_progress: set[ShapeKey] = set()
        self._request_counts: Counter[ShapeKey] = Counter()
        self._lock = threading.Lock()

    def __call__(self, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the outputs by name.

        Args:
            request: arrays by input name, with the dtypes of the signature and equal sizes of the first axis.

        Raises:
            tf.errors.OpError: the model rejects the request, or a queue is full.
        """
        tensors = self._to_tensors(request)
        queue = self._get_queue(tensors)
        if queue is None:
            return self._run_directly(tensors)
        try:
            return self._run_queued(queue, tensors)
        except (tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError):
            # Another request of the batch may be invalid, or the outputs have no rows and cannot be split.
            return self._run_directly(tensors)

    def group_requests(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[list[int]]:
        """Groups requests for `run_batch`: the requests of a group have one shape key and together fit in one batch.

        Returns:
            The indices of the requests of each group.
        """
        if self.batching is None or not self.is_batched:
            return [[k] for k in range(len(requests))]
        groups: list[list[int]] = []
        open_groups: dict[ShapeKey, tuple[list[int], int]] = {}
        for k, request in enumerate(requests):
            values = [request[name] for name in self.inputs]
            shape_key, rows = tuple(value.shape[1:] for value in values), len(values[0])
            group, count = open_groups.get(shape_key, ([], 0))
            if not group or count + rows > self.batching.max_batch_size:
                group, count = [], 0
                groups.append(group)
            group.append(k)
            open_groups[shape_key] = group, count + rows
        return groups

    def run_batch(
        self, requests: Sequence[Mapping[str, np.ndarray]]
    ) -> list[dict[str, np.ndarray] | tf.errors.OpError]:
        """Returns, for each request, the outputs by name, or the error of the model.

        Args:
            requests: the requests of one group of `group_requests`.
        """
        if len(requests) == 1:
            try:
                return [self(requests[0])]
            except tf.errors.OpError as error:
                return [error]
        try:
            outputs = self._run_concatenated(requests)
        except tf.errors.UnavailableError as error:  # the queue is full
            return [error] * len(requests)
        except tf.errors.OpError:  # some request may be invalid: bisection finds it
            outputs = None
        if outputs is None:
            half = len(requests) // 2
            return [*self.run_batch(requests[:half]), *self.run_batch(requests[half:])]
        return outputs

    def _run_concatenated(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[Any] | None:
        """Runs all requests as one; returns the outputs of each, or None if the outputs cannot be split by rows."""
        tensors = self._to_tensors({name: np.concatenate([one[name] for one in requests]) for name in self.inputs})
        queue = self._get_queue(tensors)
        outputs = self._run_directly(tensors) if queue is None else self._run_queued(queue, tensors)
        ends = np.cumsum([len(next(iter(one.values()))) for one in requests])
        if any(len(value) != ends[-1] for value in outputs.values()):
            return None
        pieces = {name: np.split(value, ends[:-1]) for name, value in outputs.items()}
        return [{name: piece[k] for name, piece in pieces.items()} for k in range(len(requests))]

    def _to_tensors(self, request: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
        return {name: tf.constant(request[name], spec.dtype) for name, spec in self.inputs.items()}

    def _run_queued(self, queue: Callable[..., Any], tensors: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        outputs = queue(*tensors.values())
        return {name: value.numpy() for name, value in zip(self.outputs, outputs, strict=True)}

    def _run_directly(self, tensors: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in self.signature(**tensors).items()}

    def _get_queue(self, tensors: Mapping[str, tf.Tensor]) -> Callable[..., Any] | None:
        """Returns the queue for the shape of this request, or None.

        A shape gets a queue at its second request, as long as there are fewer than `MAX_QUEUES`.
        """
        if self.batching is None or not self.is_batched:
            return None
        if not 0 < next(iter(tensors.values())).shape[0] <= self.batching.max_batch_size:
            return None
        shape_key = tuple(tuple(value.shape[1:]) for value in tensors.values())
        with self._lock:
            if shape_key in self._queues:
                return self._queues[shape_key]
            if len(self._request_counts) > MAX_COUNTED_SHAPES:
                self._request_counts.clear()
                self._invalid_shapes.clear()
            self._request_counts[shape_key] += 1
            if (
                len(self._queues) + len(self._queues_in_progress) >= MAX_QUEUES
                or self._request_counts[shape_key] < 2
                or shape_key in self._queues_in_progress
                or shape_key in self._invalid_shapes
            ):
                return None
            self._queues_in_progress.add(shape_key)
        try:
            queue = self._build_queue(shape_key)  # takes some time; meanwhile, other requests run separately
        except ValueError:  # requests of this shape are invalid: without a queue, they get the error of the model
            queue = None
        with self._lock:
            self._queues_in_progress.discard(shape_key)
            if queue is None:
                self._invalid_shapes.add(shape_key)
            else:
                self._queues[shape_key] = queue
        return queue

    def _build_queue(self, shape_key: ShapeKey) -> Callable[..., Any]:
        batching, names = self.batching, list(self.inputs)
        assert batching is not None
        specs = [
            tf.TensorSpec((None, *shape), self.inputs[name].dtype) for name, shape in zip(names, shape_key, strict=True)
        ]

        @tf.function(autograph=False)
        def run_signature(*values: tf.Tensor) -> list[tf.Tensor]:
            outputs = self.signature(**dict(zip(names, values, strict=True)))
            return [outputs[name] for name in self.outputs]

        function = run_signature.get_concrete_function(*specs)

        @tf.function(input_signature=specs, autograph=False)
        def run_in_batch(*values: tf.Tensor) -> Any:
            return tf.raw_ops.BatchFunction(
                in_tensors=list(values),
                captured_tensors=function.captured_inputs,
                f=function,
                num_batch_threads=batching.num_threads,
                max_batch_size=batching.max_batch_size,
                batch_timeout_micros=int(1e6 * batching.timeout),
                Tout=[spec.dtype for spec in self.outputs.values()],
                max_enqueued_batches=batching.max_queued_batches,
                shared_name=f"batching_{batching}",  # equal settings share their threads, which TensorFlow never ends
                batching_queue=f"queue_{next(QUEUE_IDS)}",  # but each queue is separate
            )

        return run_in_batch.get_concrete_function()
