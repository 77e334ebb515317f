"""Streams for the contract test: the exported signatures of each task with `step`, called piece by piece and all at once.

A stream has `steps` pieces. `step(k, state)` returns the outputs for piece k and the next state; `whole(k)` returns the outputs for
the same piece by the signature that sees all pieces; `with_other_future(k)` is the stream with other pieces after k.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.contract.conftest import call_signature

Outputs = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class SequenceStream:
    """Stream of signatures whose inputs are `(rows, steps, …)` with a length (fraud, stock).

    Args:
        signatures: signatures of the exported version.
        request: request for `serving_default`.
        state_names: names of the state in the outputs of `step`, and in its request.
        has_output_per_step: whether `serving_default` returns outputs for every time step, or only for the last one.
    """

    signatures: Any
    request: Mapping[str, np.ndarray]
    state_names: Mapping[str, str]
    has_output_per_step: bool

    @property
    def steps(self) -> int:
        return int(self.request["length"].min())

    def initial_state(self) -> dict[str, np.ndarray]:
        example, rows = self.signatures["step"][1], len(self.request["length"])
        return {name: np.repeat(np.zeros_like(example[name][:1]), rows, axis=0) for name in self.state_names.values()}

    def step(self, k: int, state: Outputs) -> tuple[Outputs, Outputs]:
        values = {name: value[:, k] for name, value in self._values().items()}
        outputs = call_signature(self.signatures["step"][0], {**values, **state})
        next_state = {input_name: outputs[output_name] for output_name, input_name in self.state_names.items()}
        return self._without_state(outputs), next_state

    def whole(self, k: int) -> Outputs:
        length = self.request["length"]
        if not self.has_output_per_step:
            length = np.full_like(length, k + 1)
        outputs = call_signature(self.signatures["serving_default"][0], {**self.request, "length": length})
        values = self._without_state(outputs)
        return {name: value[:, k] if self.has_output_per_step else value for name, value in values.items()}

    def with_other_future(self, k: int) -> SequenceStream:
        request = {name: value.copy() for name, value in self.request.items()}
        for name in self._values():
            future = request[name][:, k + 1 :]
            request[name][:, k + 1 :] = future[:, ::-1] * 2 if future.dtype.kind == "f" else 1
        return dataclasses.replace(self, request=request)

    def _values(self) -> dict[str, np.ndarray]:
        return {name: value for name, value in self.request.items() if name != "length"}

    def _without_state(self, outputs: Outputs) -> dict[str, np.ndarray]:
        return {name: value for name, value in outputs.items() if name not in self.state_names}


@dataclasses.dataclass(frozen=True)
class WordStream:
    """Stream of the next-word task: `score` returns the probability of each word of a text, `step` that of every next word."""

    signatures: Any
    vocabulary: list[str]
    words: tuple[str, ...]

    @property
    def steps(self) -> int:
        return len(self.words)

    def initial_state(self) -> dict[str, np.ndarray]:
        return {"state": np.zeros_like(self.signatures["step"][1]["state"][:1])}

    def step(self, k: int, state: Outputs) -> tuple[Outputs, Outputs]:
        previous = "<eos>" if k == 0 else self.words[k - 1]
        request = {"word": np.array([previous.encode()], object), **state}
        outputs = call_signature(self.signatures["step"][0], request)
        value = outputs["log_probabilities"][0, self.vocabulary.index(self.words[k])]
        return {"log_probability": value}, {"state": outputs["state"]}

    def whole(self, k: int) -> Outputs:
        request = {"text": np.array([" ".join(self.words).encode()], object)}
        outputs = call_signature(self.signatures["score"][0], request)
        assert outputs["words"][0, k].decode() == self.words[k]
        return {"log_probability": outputs["log_probability"][0, k]}

    def with_other_future(self, k: int) -> WordStream:
        return dataclasses.replace(self, words=(*self.words[: k + 1], *self.words[k + 1 :][::-1], self.words[0]))


@dataclasses.dataclass(frozen=True)
class AudioStream:
    """Stream of the speech task's `streaming` preset: the transcript up to a chunk, by steps and by the whole recording."""

    signatures: Any
    samples: np.ndarray
    chunk: int = 1600

    @property
    def steps(self) -> int:
        return -(-len(self.samples) // self.chunk)

    def initial_state(self) -> dict[str, Any]:
        return {"state": np.zeros_like(self.signatures["step"][1]["state"][:1]), "text": ""}

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Outputs, Mapping[str, Any]]:
        chunk = self.samples[k * self.chunk : (k + 1) * self.chunk]
        request = {
            "samples": chunk[None],
            "length": np.array([len(chunk)], np.int32),
            "last": np.array([k + 1 == self.steps]),
            "state": state["state"],
        }
        outputs = call_signature(self.signatures["step"][0], request)
        text = state["text"] + outputs["text"][0].decode()
        return {"text": np.array(text)}, {"state": outputs["state"], "text": text}

    def whole(self, k: int) -> Outputs:
        """The transcript of the whole recording, cut where the transcript of the chunks up to k ends."""
        state: Mapping[str, Any] = self.initial_state()
        for previous in range(k + 1):
            _, state = self.step(previous, state)
        request = {"samples": self.samples[None], "length": np.array([len(self.samples)], np.int32)}
        text = call_signature(self.signatures["serving_default"][0], request)["text"][0].decode()
        return {"text": np.array(text if k + 1 == self.steps else text[: len(state["text"])])}

    def with_other_future(self, k: int) -> AudioStream:
        start = (k + 1) * self.chunk
        samples = np.concatenate([self.samples[:start], self.samples[start:][::-1]])
        return dataclasses.replace(self, samples=samples)


def _longest_row(signatures: Any) -> dict[str, np.ndarray]:
    request = signatures["serving_default"][1]
    row = int(np.argmax(request["length"]))
    return {name: value[row : row + 1] for name, value in request.items()}


def _fraud(trained: Any, signatures: Any, folder: Path) -> SequenceStream:
    state_names = {"card_state": "card_state", "card_time": "card_time"}
    return SequenceStream(signatures, _longest_row(signatures), state_names, has_output_per_step=True)


def _stock(trained: Any, signatures: Any, folder: Path) -> SequenceStream:
    return SequenceStream(signatures, _longest_row(signatures), {"state": "state"}, has_output_per_step=False)


def _next_word(trained: Any, signatures: Any, folder: Path) -> WordStream:
    vocabulary = list(trained.run.trained_model.metadata["vocabulary"])
    known = [word for word in vocabulary if word.isalpha()]
    words = tuple(known[k] for k in np.random.default_rng(0).integers(0, len(known), 9))
    return WordStream(signatures, ["", "<unk>", *vocabulary], words)


def _speech(trained: Any, signatures: Any, folder: Path) -> AudioStream:
    """The sample's model is bidirectional, so this stream uses an untrained unidirectional model whose weights are random enough to
    give long transcripts."""
    from shared.export import publishing
    from tests.contract.conftest import load_signatures
    from tests.tasks.speech.conftest import ALPHABET, STREAMING, babble, randomized

    metadata = {**trained.run.trained_model.metadata, "alphabet": ALPHABET}
    export_spec = trained.task.export_spec(randomized(STREAMING).full_model(), metadata)
    publishing.write(export_spec, folder / "1")
    return AudioStream(load_signatures(export_spec, folder / "1"), babble(15_000))


STREAMS: dict[str, Callable[[Any, Any, Path], Any]] = {
    "fraud": _fraud,
    "next_word": _next_word,
    "speech": _speech,
    "stock": _stock,
}
"""By task: function from a trained task, its signatures and a folder to a stream."""
