"""The language model's signatures: suggestions, text, scores, and one word more."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from shared.errors import DataError
from shared.evaluation import Score
from shared.pipelines import padded_indices
from shared.signatures import make_signature
from shared.task import ExportSpec, Predictor
from tasks.next_word import data, sampling, words
from tasks.next_word.config import NextWordConfig, TextConfig
from tasks.next_word.model import Submodels, get_submodels

SUGGESTIONS = 5  # words that `lstm-suite predict` asks for
MOST = 100  # words that may be asked for at once
HOTTEST = 100  # temperature: what is no word stays out of reach
JUDGED = 16  # texts that are scored at once
SPAN = 64  # words whose distributions are in memory at once
EXAMPLES = ("The", "The value of the", "If the object is not a")


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Gives the Keras model its signatures; texts are strings of any bytes, each row by itself.

    `serving_default`: `text` `(batch,)` and `k` int32 `(batch,)`, from 1 to 100 or the size of the vocabulary, to the likeliest
    next `words` and their `probabilities` float32 `(batch, largest k)`, "" and 0 beyond a row's own k.

    `generate`: `prompt`, `length` int32 from 1 to 1,000 words, `temperature` float32 from 0 (the likeliest word) to 100,
    `top_k` int32, 0 for all, `top_p` float32 in (0, 1], `seed` int32, `(batch,)` each, to the `text` that follows.

    `score`: `text` to `words`, `log_probability` float32 of each, natural, `(batch, words)`, "" and 0 at padding, and
    `perplexity` `(batch,)`, 1 of an empty text.

    `step`: `word` `(batch,)`, as `score` returns them, and `memory` float32 `(batch, token_ids)`, zeros at the beginning; a text
    begins with the end of a line, "<eos>" or, of characters, a line feed. To `log_probabilities` of the next word `(batch,
    token_ids)`: of padding, of the unknown word, and then of the vocabulary in `task.json`, in its order; and `memory`.

    What lies outside these ranges is refused with an error that names the input.
    """
    answers = Answers(model, metadata)
    requests = sample_requests(answers)
    return ExportSpec(
        model,
        {
            "serving_default": make_signature(answers.suggest, requests["serving_default"]),
            "generate": make_signature(answers.generate, requests["generate"]),
            "score": make_signature(answers.score, requests["score"]),
            "step": make_signature(answers.step, requests["step"], fixed=("state",)),
        },
        metadata,
    )


class Answers:
    """What the signatures answer, in the graph (see `export_spec`).

    Args:
        model: from `tasks.next_word.model.SubmodelBuilder.whole`.
        metadata: of the model.
    """

    def __init__(self, model: keras.Model, metadata: Mapping[str, Any]) -> None:
        self.model, self.parts, self.text = model, get_submodels(model), TextConfig(**metadata["text"])
        self.names = tf.constant(["", words.NAMES[self.text.unit][0], *metadata["vocabulary"]])
        self.most = most_of(metadata)

    def _numbers_of(self, given: tf.Tensor) -> tf.Tensor:
        apart = words.separated(given, self.text.unit, self.text.pretokenized)
        return words.from_line_start(self.parts.vectorization(apart))

    def suggest(self, **inputs: Any) -> dict[str, Any]:
        """Answers `serving_default`."""
        k = checked(inputs["k"], (inputs["k"] >= 1) & (inputs["k"] <= self.most), f"k must be from 1 to {self.most}")
        logs = self.model(words.separated(inputs["text"], self.text.unit, self.text.pretokenized))
        found, places = tf.math.top_k(sampling.speakable(logs), tf.minimum(tf.reduce_max(k), self.most))
        wanted = tf.range(tf.shape(found)[1])[None] < k[:, None]
        return {
            "words": tf.where(wanted, tf.gather(self.names, places), ""),
            "probabilities": tf.where(wanted, tf.exp(found), 0.0),
        }

    def generate(self, **inputs: Any) -> dict[str, Any]:
        """Answers `generate`."""
        limits = {
            "length": (
                (inputs["length"] >= 1) & (inputs["length"] <= sampling.LONGEST),
                f"from 1 to {sampling.LONGEST}",
            ),
            "temperature": (
                (inputs["temperature"] >= 0) & (inputs["temperature"] <= HOTTEST),
                f"from 0 to {HOTTEST}",
            ),
            "top_k": (inputs["top_k"] >= 0, "0 or more"),
            "top_p": ((inputs["top_p"] > 0) & (inputs["top_p"] <= 1), "above 0 and at most 1"),
        }
        inputs |= {name: checked(inputs[name], fine, f"{name} must be {how}") for name, (fine, how) in limits.items()}
        token_ids = words.tail(self._numbers_of(inputs["prompt"]))
        chosen = sampling.continued(self.parts, token_ids, inputs)
        return {"text": words.joined(tf.gather(self.names, chosen), self.text.unit, self.text.pretokenized)}

    def score(self, **inputs: Any) -> dict[str, Any]:
        """Answers `score`."""
        token_ids = self._numbers_of(inputs["text"])
        token_ids = tf.pad(token_ids, [[0, 0], [0, tf.maximum(0, 2 - tf.shape(token_ids)[1])]])  # where all are empty
        targets = token_ids[:, 1:]
        real = targets != words.PADDING
        logs = tf.where(real, log_probabilities(self.parts, token_ids[:, :-1], targets), 0.0)
        count = tf.maximum(tf.reduce_sum(tf.cast(real, tf.float32), axis=1), 1.0)
        return {
            "words": tf.gather(self.names, targets),
            "log_probability": logs,
            "perplexity": tf.exp(-tf.reduce_sum(logs, axis=1) / count),
        }

    def step(self, **inputs: Any) -> dict[str, Any]:
        """Answers `step`."""
        token_ids = tf.cast(self.parts.vectorization(inputs["word"]), tf.int32)[:, :1]
        token_ids = tf.pad(token_ids, [[0, 0], [0, 1]])[:, :1]  # where all are empty
        token_ids = tf.where(token_ids == words.PADDING, words.UNKNOWN, token_ids)
        length = tf.ones_like(token_ids[:, 0])
        after = self.parts.reader({"token_ids": token_ids, "length": length, "state": inputs["state"]})
        return {"log_probabilities": self.parts.head(after["hidden"])[:, 0], "state": after["state"]}


def most_of(metadata: Mapping[str, Any]) -> int:
    """Returns how many words may be asked for at once."""
    return min(MOST, len(metadata["vocabulary"]) - 1)


def sample_requests(answers: Answers) -> dict[str, dict[str, np.ndarray]]:
    """Returns a request that shows the form of each signature."""
    example = np.array([*EXAMPLES, "", "Blanks \u00e9 \n and a word nobody knows: qzxv. " * 20], object)
    count = len(example)
    memory = np.zeros((count, answers.parts.state_size), np.float32)
    one = np.array([words.NAMES[answers.text.unit][1], "the", "of", "", "qzxv"], object)
    drawn = {
        "prompt": example,
        "length": np.array([12, 3, 7, 5, 1], np.int32),
        "temperature": np.array([0, 1, 0.7, 1, 1], np.float32),
        "top_k": np.array([0, 0, 40, 5, 1], np.int32),
        "top_p": np.array([1, 0.9, 1, 0.5, 1], np.float32),
        "seed": np.arange(count, dtype=np.int32),
    }
    scored = ["The value of the object"] * 2 + ["An object " * 2 + "."] * 2
    return {
        "serving_default": {"text": example, "k": np.full(count, min(3, answers.most), np.int32)},
        "generate": drawn,
        "score": {"text": np.array(scored, object)},
        "step": {"word": one, "state": memory},
    }


def checked(value: tf.Tensor, fine: tf.Tensor, message: str) -> tf.Tensor:
    """Returns the value where all of it is fine; else the request is refused with the message."""
    with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(fine), [message, value])]):
        return tf.identity(value)


def log_probabilities(parts: Submodels, token_ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the natural logarithm of each target's probability, float32 `(batch, words)`, `SPAN` words at a time."""
    length = tf.reduce_sum(tf.cast(token_ids != words.PADDING, tf.int32), axis=1)
    memory = tf.zeros((tf.shape(token_ids)[0], parts.state_size))
    short = (-tf.shape(token_ids)[1]) % SPAN
    hidden = parts.reader({"token_ids": token_ids, "length": length, "state": memory})["hidden"]
    hidden, padded = tf.pad(hidden, [[0, 0], [0, short], [0, 0]]), tf.pad(targets, [[0, 0], [0, short]])
    spans = tf.shape(padded)[1] // SPAN
    rows = tf.shape(token_ids)[0]
    hidden = tf.transpose(tf.reshape(hidden, (rows, spans, SPAN, hidden.shape[-1])), (1, 0, 2, 3))
    wanted = tf.transpose(tf.reshape(padded, (rows, spans, SPAN)), (1, 0, 2))
    found = tf.map_fn(
        lambda pair: tf.gather(parts.head(pair[0]), pair[1], batch_dims=2),
        (hidden, wanted),
        fn_output_signature=tf.TensorSpec([None, SPAN], tf.float32),
        parallel_iterations=1,  # each takes a distribution a word
    )
    return tf.reshape(tf.transpose(found, (1, 0, 2)), (rows, spans * SPAN))[:, : tf.shape(targets)[1]]


def score_file(config: NextWordConfig, source: str, metadata: dict[str, Any], call: Predictor) -> list[Score]:
    """Scores an exported model on a text file, a folder of such, or the texts of a table, in parts of a thousand words.

    Raises:
        DataError: the file cannot be used.
    """
    from tasks.next_word.evaluate import likelihood

    if config.dynamic_evaluation:
        raise DataError("--dynamic-evaluation is part of a training run's report. Leave it out.")
    text = TextConfig(**metadata["text"])
    frame, _ = data.read(config, source)
    stream = words.stream_of(frame["text"].tolist(), metadata["vocabulary"], text)[1:]
    names = np.array(["", words.NAMES["character"][0], "\n", *metadata["vocabulary"][1:]], object)  # as a text has them
    starts = np.arange(0, len(stream), words.LONGEST)
    places, real = padded_indices(starts, np.minimum(words.LONGEST, len(stream) - starts))
    between = "" if text.unit == "character" else " "
    parts = [between.join(names[stream[row[kept]]]) for row, kept in zip(places, real, strict=True)]
    logs: list[np.ndarray] = []
    for start in range(0, len(parts), JUDGED):  # answers are as wide as the longest text of their call
        found = call({"text": np.array([part.encode() for part in parts[start : start + JUDGED]], object)})
        counts = real[start : start + JUDGED].sum(axis=1)
        logs += [row[:count] for row, count in zip(found["log_probability"], counts, strict=True)]
    return likelihood("exported", "perplexity", np.exp(np.concatenate(logs).astype(np.float64)), text.unit)


def predict(lines: Sequence[str], metadata: dict[str, Any], call: Predictor) -> Mapping[str, np.ndarray]:
    """Returns the likeliest next words after each line, and their probabilities."""
    k = min(SUGGESTIONS, most_of(metadata))
    text = np.array([line.encode("utf-8", errors="surrogateescape") for line in lines], dtype=object)
    found = call({"text": text, "k": np.full(len(lines), k, np.int32)})
    told = [[word.decode() for word in row] for row in found["words"]]
    return {"words": np.array(told), "probabilities": found["probabilities"]}
