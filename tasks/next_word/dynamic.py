"""Dynamic evaluation (Krause, Kahembwe, Murray & Renals, 2018): a model that goes on learning from the text it is judged on.

Each stretch is judged first and learned from after, by a step of gradient descent; between the steps the weights are drawn
back to where they began, so that what was read long ago fades. The model itself is left alone: a copy learns.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops

from tasks.next_word.model import copied

STRETCH = 20  # words judged before they are learned from
RATES = (0.1, 0.3, 1.0)  # of learning; validation chooses
BACK = 0.002  # share of the way back to the first weights, after each stretch
CLIP = 1.0  # greatest norm of a gradient
TRIED = 10_000  # words of validation that choose


class Learner(keras.Model):
    """A copy of a language model that judges a stretch and learns from it.

    Args:
        model: what is copied (see `tasks.next_word.model.SubmodelBuilder.whole`).
        rate: of learning, above 0.
        back: share of the way back to the first weights after each stretch, in [0, 1).
    """

    def __init__(self, model: keras.Model, rate: float, back: float = BACK) -> None:
        super().__init__(name="learner")
        own = copied(model)
        self.reader, self.head, self.back = own.reader, own.head, back
        self.memory = np.zeros((1, own.state_size), np.float32)
        self.first = [ops.copy(weight.value) for weight in self.trainable_weights]
        optimizer = keras.optimizers.SGD(rate, global_clipnorm=CLIP)
        self.compile(optimizer=optimizer, loss={"logs": _doubt, "state": None})

    def call(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """From `token_ids` int32 `(1, time + 1)`, `length` int32 `(1,)` and `memory` to `logs`, the log-probability of each word
        but the first `(1, time)`, and `memory` after the last but one."""
        token_ids = inputs["token_ids"]
        read = {"token_ids": token_ids[:, :-1], "length": inputs["length"], "state": inputs["state"]}
        after = self.reader(read)
        found = ops.take_along_axis(self.head(after["hidden"]), ops.expand_dims(token_ids[:, 1:], -1), axis=-1)
        return {"logs": found[..., 0], "state": after["state"]}

    def judge(self, token_ids: np.ndarray) -> np.ndarray:
        """Returns the log-probability of each word but the first, `(words,)`, and learns from them.

        Args:
            token_ids: the word before, and at most `STRETCH` words.
        """
        count = len(token_ids) - 1
        padded = np.zeros((1, STRETCH + 1), np.int32)  # one shape for all, so that nothing is traced anew
        padded[0, : len(token_ids)] = token_ids
        real = (np.arange(STRETCH) < count).astype(np.float32)[None]
        inputs = {"token_ids": padded, "length": np.array([count], np.int32), "state": self.memory}
        answer = self.predict_on_batch(inputs)
        self.train_on_batch(inputs, {"logs": real / count})
        for weight, first in zip(self.trainable_weights, self.first, strict=True):
            weight.assign(weight + self.back * (first - weight))
        self.memory = answer["state"]
        return np.asarray(answer["logs"][0, :count])


def _doubt(shares: Any, logs: Any) -> Any:
    """Returns the mean negative log likelihood of a stretch, by each word's share of it `(1, time)`."""
    return -ops.sum(shares * logs, axis=-1)


def probabilities(model: keras.Model, stream: np.ndarray, rate: float) -> np.ndarray:
    """Returns the probability of each word of a stream but the first by a model that learns as it reads, `(words,)`."""
    learner = Learner(model, rate)
    starts = range(0, len(stream) - 1, STRETCH)
    found = [learner.judge(stream[start : start + STRETCH + 1]) for start in starts]
    return np.exp(np.concatenate(found).astype(np.float64))


def best_rate(model: keras.Model, stream: np.ndarray) -> float:
    """Returns the rate of learning that makes the beginning of a stream most likely."""
    part = stream[:TRIED]
    with np.errstate(divide="ignore"):
        likelihood = {rate: np.mean(np.log(probabilities(model, part, rate))) for rate in RATES}
    likelihood = {rate: value for rate, value in likelihood.items() if np.isfinite(value)} or {RATES[0]: 0.0}
    return max(likelihood, key=lambda rate: likelihood[rate])
