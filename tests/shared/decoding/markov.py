"""Step functions of a Markov chain over a few tokens, and the exhaustive search through its sequences."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import tensorflow as tf

END = 1
VOCABULARY_SIZE = 5


class MarkovChain:
    """A chain whose logits depend on the last token, the position and the row; its state shows what a beam search must reorder.

    Args:
        batch_size: number of rows, each with logits of its own.
        max_length: number of positions.
        scale: standard deviation of the logits.
        seed: seed of the logits.
    """

    def __init__(self, batch_size: int = 3, max_length: int = 4, scale: float = 1.5, seed: int = 0) -> None:
        shape = (batch_size, max_length + 1, VOCABULARY_SIZE, VOCABULARY_SIZE)
        self.tables = np.random.default_rng(seed).normal(0, scale, shape).astype(np.float32)
        self.tables[..., 0] = -1e9  # padding is impossible

    @property
    def logits(self) -> tf.Tensor:
        """Logits of the first token, after token 0."""
        return tf.constant(self.tables[:, 0, 0])

    @property
    def state(self) -> dict[str, tf.Tensor]:
        """State for the first step: the row, the position, and the sum of the tokens, as text."""
        rows = tf.range(len(self.tables))
        return {"row": rows, "position": tf.zeros_like(rows), "history": tf.fill([len(self.tables)], "")}

    def step(self, token_ids: tf.Tensor, state: dict[str, tf.Tensor]) -> tuple[tf.Tensor, dict[str, tf.Tensor]]:
        """Returns the logits after a token, and the next state."""
        position = state["position"] + 1
        indices = tf.stack([state["row"], tf.minimum(position, self.tables.shape[1] - 1), token_ids], axis=1)
        history = tf.strings.join([state["history"], tf.strings.as_string(token_ids)])
        return tf.gather_nd(self.tables, indices), {"row": state["row"], "position": position, "history": history}

    def log_probability(self, row: int, token_ids: Any) -> float:
        """Returns the sum of the log-probabilities of a sequence, with its end token if it has one, in float64."""
        total, previous = 0.0, 0
        for position, token_id in enumerate(token_ids):
            logits = self.tables[row, position, previous].astype(np.float64)
            total += logits[token_id] - np.log(np.sum(np.exp(logits - logits.max()))) - logits.max()
            previous = token_id
        return total

    def ended_sequences(self, row: int, max_length: int) -> dict[tuple[int, ...], float]:
        """Returns the log-probability of each sequence that ends within `max_length` tokens, its end token included."""
        others = range(END + 1, VOCABULARY_SIZE)
        return {
            tokens: self.log_probability(row, (*tokens, END))
            for length in range(max_length)
            for tokens in itertools.product(others, repeat=length)
        }
