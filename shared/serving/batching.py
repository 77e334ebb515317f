"""Requests of one form are answered together, by TensorFlow's own batching operation.

The operation waits a moment for others, joins their rows, runs the signature once, and parts the answers. What one caller brings
at once (`parts`, `together`) is joined before it comes to the operation. Only what has the same shape behind the first axis
is joined, so each shape has a queue of its own: texts always share one, recordings of different lengths are asked by
themselves, which no padding can then disturb. A signature whose answers are as wide as the widest row needs is not joined at
all: a caller would see how wide its neighbours' are.
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

from shared.signatures import has_fixed_row_shape

Form = tuple[tuple[int, ...], ...]
NUMBERS = itertools.count()
FORMS = 16  # shapes of a signature that have a queue; others are asked by themselves
FORGOTTEN = 10_000  # shapes that are counted at most


@dataclass(frozen=True)
class Batching:
    """How requests are joined."""

    rows: int = 64
    """Most rows of a batch; a request of more is asked by itself."""
    wait: float = 0.001
    """Seconds that a request waits for others."""
    threads: int = 2
    """Batches that run at once."""
    queue: int = 100
    """Batches that wait, for each shape; beyond, requests are refused."""


class Batcher:
    """Answers requests to a signature of a loaded SavedModel, from many threads.

    Args:
        signature: of the SavedModel.
        batching: None for no joining.

    Attributes:
        joins: whether requests are joined.
    """

    def __init__(self, signature: Any, batching: Batching | None) -> None:
        self.signature, self.batching = signature, batching
        self.inputs: dict[str, tf.TensorSpec] = dict(signature.structured_input_signature[1])
        self.outputs: dict[str, tf.TensorSpec] = dict(signature.structured_outputs)
        rows = [spec.shape.rank for spec in (*self.inputs.values(), *self.outputs.values())]  # 0: it has none
        self.joins = (
            batching is not None and bool(self.inputs) and all(rows) and all(map(has_fixed_row_shape, self.outputs.values()))
        )
        self._queues: dict[Form, Callable[..., Any]] = {}
        self._making: set[Form] = set()
        self._seen: Counter[Form] = Counter()
        self._lock = threading.Lock()

    def __call__(self, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Returns the answers by the outputs' names.

        Args:
            request: arrays by the inputs' names, of the signature's kinds, equal in their first axis.

        Raises:
            tf.errors.OpError: the model refuses the request, or a queue is full.
        """
        tensors = self._tensors(request)
        queue = self._queue(tensors)
        if queue is None:
            return self._alone(tensors)
        try:
            return self._queued(queue, tensors)
        except (tf.errors.InvalidArgumentError, tf.errors.FailedPreconditionError):
            return self._alone(tensors)  # another row of the batch may be at fault, or the answers have no rows to part

    def parts(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[list[int]]:
        """Returns the numbers of requests that `together` asks as one: of one form, with no more rows than a batch has."""
        if self.batching is None or not self.joins:
            return [[k] for k in range(len(requests))]
        parts: list[list[int]] = []
        unfilled: dict[Form, tuple[list[int], int]] = {}
        for k, request in enumerate(requests):
            values = [request[name] for name in self.inputs]
            form, rows = tuple(value.shape[1:] for value in values), len(values[0])
            part, count = unfilled.get(form, ([], 0))
            if not part or count + rows > self.batching.rows:
                part, count = [], 0
                parts.append(part)
            part.append(k)
            unfilled[form] = part, count + rows
        return parts

    def together(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray] | tf.errors.OpError]:
        """Returns for each request its answers, or why the model refuses it.

        Args:
            requests: one of the `parts`.
        """
        if len(requests) == 1:
            try:
                return [self(requests[0])]
            except tf.errors.OpError as error:
                return [error]
        try:
            answers = self._joined(requests)
        except tf.errors.UnavailableError as error:  # the queue is full
            return [error] * len(requests)
        except tf.errors.OpError:  # one of them may be at fault: it is sought by halves
            answers = None
        if answers is None:
            half = len(requests) // 2
            return [*self.together(requests[:half]), *self.together(requests[half:])]
        return answers

    def _joined(self, requests: Sequence[Mapping[str, np.ndarray]]) -> list[Any] | None:
        """Returns the answers to each, asked as one; None where they cannot be parted."""
        tensors = self._tensors({name: np.concatenate([one[name] for one in requests]) for name in self.inputs})
        queue = self._queue(tensors)
        answers = self._alone(tensors) if queue is None else self._queued(queue, tensors)
        ends = np.cumsum([len(next(iter(one.values()))) for one in requests])
        if any(len(value) != ends[-1] for value in answers.values()):
            return None
        parted = {name: np.split(value, ends[:-1]) for name, value in answers.items()}
        return [{name: part[k] for name, part in parted.items()} for k in range(len(requests))]

    def _tensors(self, request: Mapping[str, np.ndarray]) -> dict[str, tf.Tensor]:
        return {name: tf.constant(request[name], spec.dtype) for name, spec in self.inputs.items()}

    def _queued(self, queue: Callable[..., Any], tensors: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        found = queue(*tensors.values())
        return {name: value.numpy() for name, value in zip(self.outputs, found, strict=True)}

    def _alone(self, tensors: Mapping[str, tf.Tensor]) -> dict[str, np.ndarray]:
        return {name: value.numpy() for name, value in self.signature(**tensors).items()}

    def _queue(self, tensors: Mapping[str, tf.Tensor]) -> Callable[..., Any] | None:
        """Returns the queue of requests of this form: from the second on, while there are not too many."""
        if self.batching is None or not self.joins:
            return None
        if not 0 < next(iter(tensors.values())).shape[0] <= self.batching.rows:
            return None
        form = tuple(tuple(value.shape[1:]) for value in tensors.values())
        with self._lock:
            if form in self._queues:
                return self._queues[form]
            if len(self._seen) > FORGOTTEN:
                self._seen.clear()
            self._seen[form] += 1
            if len(self._queues) + len(self._making) >= FORMS or self._seen[form] < 2 or form in self._making:
                return None
            self._making.add(form)
        made = self._made(form)  # takes a moment, in which others are asked by themselves
        with self._lock:
            self._making.discard(form)
            self._queues[form] = made
        return made

    def _made(self, form: Form) -> Callable[..., Any]:
        batching, names = self.batching, list(self.inputs)
        assert batching is not None
        specs = [
            tf.TensorSpec((None, *shape), self.inputs[name].dtype) for name, shape in zip(names, form, strict=True)
        ]

        @tf.function(autograph=False)
        def joined(*values: tf.Tensor) -> list[tf.Tensor]:
            found = self.signature(**dict(zip(names, values, strict=True)))
            return [found[name] for name in self.outputs]

        run = joined.get_concrete_function(*specs)

        @tf.function(input_signature=specs, autograph=False)
        def queued(*values: tf.Tensor) -> Any:
            return tf.raw_ops.BatchFunction(
                in_tensors=list(values),
                captured_tensors=run.captured_inputs,
                f=run,
                num_batch_threads=batching.threads,
                max_batch_size=batching.rows,
                batch_timeout_micros=int(1e6 * batching.wait),
                Tout=[spec.dtype for spec in self.outputs.values()],
                max_enqueued_batches=batching.queue,
                shared_name=f"joined_{batching}",  # all of the same settings share the threads, which nothing ever ends
                batching_queue=f"queue_{next(NUMBERS)}",  # and none a queue
            )

        return queued.get_concrete_function()
