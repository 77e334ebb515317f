"""Streams: a sequence given to `step` piece by piece, and to the signature that takes all pieces at once.

The contract test of a task with `step` compares both, and checks that later pieces change no earlier output.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np

Arrays = Mapping[str, np.ndarray]
Request = Mapping[str, np.ndarray]


class Stream(Protocol):
    """A sequence of `steps` pieces."""

    @property
    def steps(self) -> int:
        """Number of pieces, at least 3."""

    def initial_state(self) -> Mapping[str, Any]:
        """Returns the state before the first piece."""

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Arrays, Mapping[str, Any]]:
        """Returns the outputs for piece k, and the next state."""

    def whole(self, k: int) -> Arrays:
        """Returns the outputs for piece k by the signature that takes all pieces."""

    def with_other_future(self, k: int) -> Stream:
        """Returns the stream with other pieces after k."""


@dataclasses.dataclass(frozen=True)
class Predictors:
    """The signatures of an exported model, with an example request for each."""

    call: Mapping[str, Callable[[Request], Arrays]]
    examples: Mapping[str, Request]

    def zero_state(self, rows: int, *names: str) -> dict[str, np.ndarray]:
        """Returns the initial state of `step`, zeros `(rows, …)`, by the names of its inputs."""
        example = self.examples["step"]
        return {name: np.repeat(np.zeros_like(example[name][:1]), rows, axis=0) for name in names}


@dataclasses.dataclass(frozen=True)
class VersionPredictor:
    """Calls one signature of an exported version in batches; a task whose predictions need several finds the others here."""

    predictors: Predictors
    """All signatures. The examples have zeros, and 1 for each axis of any length."""
    name: str
    """Signature that a call uses."""
    digest: str
    """Changes whenever the weights or the metadata of the model change."""
    model: Any
    """The loaded SavedModel; a signature alone does not keep its variables alive."""

    def __call__(self, request: Request) -> Arrays:
        """Returns the outputs of the signature."""
        return self.predictors.call[self.name](request)


@dataclasses.dataclass(frozen=True)
class SequenceStream:
    """Stream of signatures whose inputs are `(rows, steps, …)` with a length.

    The inputs of `step` have the same names, without the axis of steps; its state has the same names in inputs and outputs.
    """

    predictors: Predictors
    request: Request
    """Request for `serving_default`."""
    state_names: tuple[str, ...]
    has_output_per_step: bool
    """True if `serving_default` returns outputs for every step, False if only for the last one."""

    @classmethod
    def of_example(
        cls, predictors: Predictors, state_names: tuple[str, ...], has_output_per_step: bool
    ) -> SequenceStream:
        """Returns the stream of the row with the maximum length in the example request."""
        examples = predictors.examples["serving_default"]
        row = int(np.argmax(examples["length"]))
        request = {name: value[row : row + 1] for name, value in examples.items()}
        return cls(predictors, request, state_names, has_output_per_step)

    @property
    def steps(self) -> int:
        """Number of pieces."""
        return int(self.request["length"].min())

    def initial_state(self) -> Mapping[str, Any]:
        """Returns the state before the first piece."""
        return self.predictors.zero_state(len(self.request["length"]), *self.state_names)

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Arrays, Mapping[str, Any]]:
        """Returns the outputs for piece k, and the next state."""
        values = {name: value[:, k] for name, value in self._values().items()}
        outputs = self.predictors.call["step"]({**values, **state})
        return self._without_state(outputs), {name: outputs[name] for name in self.state_names}

    def whole(self, k: int) -> Arrays:
        """Returns the outputs for piece k by `serving_default`."""
        length = self.request["length"]
        if not self.has_output_per_step:
            length = np.full_like(length, k + 1)
        outputs = self.predictors.call["serving_default"]({**self.request, "length": length})
        values = self._without_state(outputs)
        return {name: value[:, k] if self.has_output_per_step else value for name, value in values.items()}

    def with_other_future(self, k: int) -> SequenceStream:
        """Returns the stream with other pieces after k."""
        request = {name: value.copy() for name, value in self.request.items()}
        for name in self._values():
            request[name][:, k + 1 :] = _changed(request[name][:, k + 1 :])
        return dataclasses.replace(self, request=request)

    def _values(self) -> dict[str, np.ndarray]:
        return {name: value for name, value in self.request.items() if name != "length"}

    def _without_state(self, outputs: Arrays) -> dict[str, np.ndarray]:
        return {name: value for name, value in outputs.items() if name not in self.state_names}


def _changed(values: np.ndarray) -> np.ndarray:
    """Returns other values of the same type: numbers doubled in reverse order, integers 1, texts with a mark."""
    if values.dtype.kind == "f":
        return values[:, ::-1] * 2
    if values.dtype.kind in "OSU":
        return np.array([[f"{value}!" for value in row] for row in values], object).reshape(values.shape)
    return np.ones_like(values)
