"""Stream of the speech task: the transcript up to a chunk of audio, by steps and by the whole recording."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.streams import Arrays, Predictors
from tasks.speech.timing import SAMPLE_RATE

CHUNK_SIZE = SAMPLE_RATE // 10
NOISE_SECONDS = 2


@dataclasses.dataclass(frozen=True)
class AudioStream:
    """Chunks of a recording."""

    predictors: Predictors
    samples: np.ndarray
    """Float32 `(samples,)` in [-1, 1]."""

    @property
    def steps(self) -> int:
        """Number of chunks."""
        return -(-len(self.samples) // CHUNK_SIZE)

    def initial_state(self) -> Mapping[str, Any]:
        """Returns the state before the first chunk."""
        return {**self.predictors.zero_state(1, "state"), "text": ""}

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Arrays, Mapping[str, Any]]:
        """Returns the transcript up to chunk k, and the next state."""
        chunk = self.samples[k * CHUNK_SIZE : (k + 1) * CHUNK_SIZE]
        request = {
            "samples": chunk[None],
            "length": np.array([len(chunk)], np.int32),
            "last": np.array([k + 1 == self.steps]),
            "state": state["state"],
        }
        outputs = self.predictors.call["step"](request)
        text = state["text"] + outputs["text"][0].decode()
        return {"text": np.array(text)}, {"state": outputs["state"], "text": text}

    def whole(self, k: int) -> Arrays:
        """Returns the transcript of the whole recording, cut where the transcript up to chunk k ends."""
        state: Mapping[str, Any] = self.initial_state()
        for previous in range(k + 1):
            _, state = self.step(previous, state)
        request = {"samples": self.samples[None], "length": np.array([len(self.samples)], np.int32)}
        text = self.predictors.call["serving_default"](request)["text"][0].decode()
        return {"text": np.array(text if k + 1 == self.steps else text[: len(state["text"])])}

    def with_other_future(self, k: int) -> AudioStream:
        """Returns the stream with other chunks after k."""
        start = (k + 1) * CHUNK_SIZE
        samples = np.concatenate([self.samples[:start], self.samples[start:][::-1]])
        return dataclasses.replace(self, samples=samples)


def build_stream(predictors: Predictors, metadata: Mapping[str, Any]) -> AudioStream:
    """Returns a stream of noise; the alphabet does not matter."""
    noise = np.random.default_rng(0).normal(0, 0.1, NOISE_SECONDS * SAMPLE_RATE)
    return AudioStream(predictors, noise.astype(np.float32))
