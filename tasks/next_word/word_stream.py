"""Stream of the next-word task: `score` returns the probability of each word of a text, `step` that of every next word."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from shared.streams import Arrays, Predictors
from tasks.next_word import tokenization

WORDS = 9


@dataclasses.dataclass(frozen=True)
class WordStream:
    """Words of the vocabulary, one after the other."""

    predictors: Predictors
    vocabulary: tuple[str, ...]
    """Word of each token id."""
    words: tuple[str, ...]
    separator: str = " "
    """Text between two words; empty for characters."""

    @property
    def steps(self) -> int:
        """Number of words."""
        return len(self.words)

    def initial_state(self) -> Mapping[str, Any]:
        """Returns the state before the first word."""
        return self.predictors.zero_state(1, "state")

    def step(self, k: int, state: Mapping[str, Any]) -> tuple[Arrays, Mapping[str, Any]]:
        """Returns the log-probability of word k, and the state after the words before it."""
        previous = self.vocabulary[tokenization.END_ID] if k == 0 else self.words[k - 1]
        outputs = self.predictors.call["step"]({"word": np.array([previous.encode()], object), **state})
        value = outputs["log_probabilities"][0, self.vocabulary.index(self.words[k])]
        return {"log_probability": value}, {"state": outputs["state"]}

    def whole(self, k: int) -> Arrays:
        """Returns the log-probability of word k by `score`."""
        outputs = self.predictors.call["score"]({"text": np.array([self.separator.join(self.words).encode()], object)})
        return {"log_probability": outputs["log_probability"][0, k]}

    def with_other_future(self, k: int) -> WordStream:
        """Returns the stream with other words after k."""
        return dataclasses.replace(self, words=(*self.words[: k + 1], *self.words[k + 1 :][::-1], self.words[0]))


def build_stream(predictors: Predictors, metadata: Mapping[str, Any]) -> WordStream:
    """Returns a stream of random words of the vocabulary of a model."""
    unit = metadata["text"]["unit"]
    known = [word for word in metadata["vocabulary"] if word.isalpha()]
    words = tuple(known[k] for k in np.random.default_rng(0).integers(0, len(known), WORDS))
    vocabulary = ("", tokenization.SPECIAL_TOKENS[unit][0], *metadata["vocabulary"])
    return WordStream(predictors, vocabulary, words, " " if unit == "word" else "")
