"""How each task with a `step` is asked, one piece at a time and all at once, by its exported signatures.

A stream has `steps` pieces. `step(k, state)` gives the answers to piece k and the state after it; `whole(k)` gives the answers to the
same piece by the signature that sees all pieces; `otherwise(k)` is the stream whose pieces behind k are others.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from tests.contract.conftest import answer

Answers = Mapping[str, np.ndarray]


@dataclasses.dataclass(frozen=True)
class Rows:
    """Of signatures whose inputs are rows of time steps, `(rows, steps, …)`, and a length (fraud, stock).

    Args:
        signatures: of the exported version.
        request: for `serving_default`.
        state: the state's names in `step`'s request, by their names in its answers.
        each: whether `serving_default` answers for each time step; else for the last one alone, and what is behind it is padding.
    """

    signatures: Any
    request: Mapping[str, np.ndarray]
    state: Mapping[str, str]
    each: bool

    @property
    def steps(self) -> int:
        return int(self.request["length"].min())

    def first(self) -> dict[str, np.ndarray]:
        given, rows = self.signatures["step"][1], len(self.request["length"])
        return {name: np.repeat(np.zeros_like(given[name][:1]), rows, axis=0) for name in self.state.values()}

    def step(self, k: int, state: Answers) -> tuple[Answers, Answers]:
        values = {name: value[:, k] for name, value in self._values().items()}
        found = answer(self.signatures["step"][0], {**values, **state})
        after = {asked: found[told] for told, asked in self.state.items()}
        return {name: value for name, value in found.items() if name not in self.state}, after

    def whole(self, k: int) -> Answers:
        length = self.request["length"] if self.each else np.full_like(self.request["length"], k + 1)
        found = answer(self.signatures["serving_default"][0], {**self.request, "length": length})
        return {name: value[:, k] if self.each else value for name, value in found.items() if name not in self.state}

    def otherwise(self, k: int) -> Rows:
        other = {name: value.copy() for name, value in self.request.items()}
        for name in self._values():
            other[name][:, k + 1 :] = other[name][:, k + 1 :][:, ::-1] * 2 if other[name].dtype.kind == "f" else 1
        return dataclasses.replace(self, request=other)

    def _values(self) -> dict[str, np.ndarray]:
        return {name: value for name, value in self.request.items() if name != "length"}


@dataclasses.dataclass(frozen=True)
class Words:
    """Of the next-word task: `score` tells how likely each word of a text was, `step` how likely each word is next."""

    signatures: Any
    vocabulary: list[str]
    words: tuple[str, ...]

    @property
    def steps(self) -> int:
        return len(self.words)

    def first(self) -> dict[str, np.ndarray]:
        return {"state": np.zeros_like(self.signatures["step"][1]["state"][:1])}

    def step(self, k: int, state: Answers) -> tuple[Answers, Answers]:
        before = "<eos>" if k == 0 else self.words[k - 1]
        found = answer(self.signatures["step"][0], {"word": np.array([before.encode()], object), **state})
        told = found["log_probabilities"][0, self.vocabulary.index(self.words[k])]
        return {"log_probability": told}, {"state": found["state"]}

    def whole(self, k: int) -> Answers:
        found = answer(self.signatures["score"][0], {"text": np.array([" ".join(self.words).encode()], object)})
        assert found["words"][0, k].decode() == self.words[k]
        return {"log_probability": found["log_probability"][0, k]}

    def otherwise(self, k: int) -> Words:
        return dataclasses.replace(self, words=(*self.words[: k + 1], *self.words[k + 1 :][::-1], self.words[0]))


@dataclasses.dataclass(frozen=True)
class Sound:
    """Of the speech task's `streaming` preset: what has been written up to a piece, by its steps and by the whole recording."""

    signatures: Any
    samples: np.ndarray
    piece: int = 1600

    @property
    def steps(self) -> int:
        return -(-len(self.samples) // self.piece)

    def first(self) -> dict[str, Any]:
        return {"state": np.zeros_like(self.signatures["step"][1]["state"][:1]), "text": ""}

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Answers, Mapping[str, Any]]:
        piece = self.samples[k * self.piece : (k + 1) * self.piece]
        request = {
            "samples": piece[None],
            "length": np.array([len(piece)], np.int32),
            "last": np.array([k + 1 == self.steps]),
            "state": state["state"],
        }
        found = answer(self.signatures["step"][0], request)
        text = state["text"] + found["text"][0].decode()
        return {"text": np.array(text)}, {"state": found["state"], "text": text}

    def whole(self, k: int) -> Answers:
        """The whole recording's text, as far as the pieces up to k have it."""
        state: Mapping[str, Any] = self.first()
        for before in range(k + 1):
            _, state = self.step(before, state)
        request = {"samples": self.samples[None], "length": np.array([len(self.samples)], np.int32)}
        text = answer(self.signatures["serving_default"][0], request)["text"][0].decode()
        return {"text": np.array(text if k + 1 == self.steps else text[: len(state["text"])])}

    def otherwise(self, k: int) -> Sound:
        behind = (k + 1) * self.piece
        return dataclasses.replace(self, samples=np.concatenate([self.samples[:behind], self.samples[behind:][::-1]]))


def _longest(signatures: Any) -> dict[str, np.ndarray]:
    request = signatures["serving_default"][1]
    row = int(np.argmax(request["length"]))
    return {name: value[row : row + 1] for name, value in request.items()}


def _fraud(trained: Any, signatures: Any, folder: Path) -> Rows:
    state = {"card_state": "card_state", "card_time": "card_time"}
    return Rows(signatures, _longest(signatures), state, each=True)


def _stock(trained: Any, signatures: Any, folder: Path) -> Rows:
    return Rows(signatures, _longest(signatures), {"state": "state"}, each=False)


def _next_word(trained: Any, signatures: Any, folder: Path) -> Words:
    vocabulary = list(trained.run.trained_model.metadata["vocabulary"])
    known = [word for word in vocabulary if word.isalpha()]
    return Words(
        signatures,
        ["", "<unk>", *vocabulary],
        tuple(known[k] for k in np.random.default_rng(0).integers(0, len(known), 9)),
    )


def _speech(trained: Any, signatures: Any, folder: Path) -> Sound:
    """The sample's model hears whole utterances: the stream is that of an untrained one of one direction, whose weights are stirred
    so that it says much."""
    from shared import export
    from tests.contract.conftest import signatures_of
    from tests.tasks.speech.conftest import ALPHABET, STREAMING, babble, stirred

    metadata = {**trained.run.trained_model.metadata, "alphabet": ALPHABET}
    export_spec = trained.task.export_spec(stirred(STREAMING).whole(), metadata)
    export.write(export_spec, folder / "1")
    return Sound(signatures_of(export_spec, folder / "1"), babble(15_000))


STREAMS: dict[str, Callable[[Any, Any, Path], Any]] = {
    "fraud": _fraud,
    "next_word": _next_word,
    "speech": _speech,
    "stock": _stock,
}
"""By task: from a trained task, its signatures and a folder to a stream."""
