"""The signatures of the language model: suggestions, text generation, scores, and single steps."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.config import PredictOptions
from shared.export.checks import require
from shared.export.signatures import make_signature
from shared.export.state_stamp import STAMP_SIZE, StateStamp
from shared.task import ExportSpec, Inputs, Predictions, Predictor
from tasks.next_word import completion, text_scores, tokenization
from tasks.next_word.config import TextConfig
from tasks.next_word.generation import MAX_LENGTH, MAX_PENALTY, MAX_TEMPERATURE, generate_token_ids
from tasks.next_word.model import Submodels, get_submodels

SUGGESTIONS = 5
"""Words per input that `lstm-suite predict` prints."""
MAX_SUGGESTIONS = 100
SCORING_BATCH_SIZE = 16
"""Texts per request when the words of a text are scored."""
PIECE_LENGTH, CONTEXT_LENGTH = 1000, 500
"""Words of a text whose probabilities one request gives, and words that the model reads before them."""
CHUNK_SIZE = 64
"""Words whose distributions over the vocabulary are in memory at once."""
EXAMPLES = ("The", "The value of the", "If the object is not a")


def export_spec(model: keras.Model, metadata: dict[str, Any]) -> ExportSpec:
    """Builds the signatures of the Keras model. Texts are strings of any bytes; each row is independent of the others.

    `serving_default` takes `text` `(batch,)` and `k` int32 `(batch,)`, from 1 to 100 or the size of the vocabulary. It returns the
    most probable next `words` and their `probabilities` float32 `(batch, max(k))`, "" and 0 after the k of a row.

    `complete` takes the same inputs. It returns the most probable `words` that begin like the last word of the text, and their
    `probabilities` among all words that do. A model of characters does not have it.

    `generate` takes `prompt`, `length` int32 from 1 to 1,000 words, `temperature` float32 from 0 (the most probable word) to 100,
    `top_k` int32 (0 for all words), `top_p` float32 in (0, 1], `repetition_penalty` float32 from 1 (none) to 100 and `seed` int32,
    `(batch,)` each. It returns `text` `(batch,)`, the continuation of the prompt.

    `score` takes `text` `(batch,)`. It returns `words` and the natural `log_probability` float32 of each, `(batch, words)`, "" and 0
    at padding, and `perplexity` float32 `(batch,)`, 1 for an empty text.

    `step` takes `word` `(batch,)`, as `score` returns them, and `state` float32 `(batch, state_size)`, zeros at the start; a text
    starts with the end of a line, "<eos>" or, for characters, a line feed. It returns `log_probabilities` of the next word `(batch,
    vocabulary_size)`: of padding, of the unknown word, and of the vocabulary in the metadata, in its order; and the next `state`.

    Values outside these ranges raise an error that names the input.
    """
    functions = SignatureFunctions(model, metadata)
    requests = example_requests(functions)
    signatures = {
        "serving_default": make_signature(functions.suggest, requests["serving_default"]),
        "generate": make_signature(functions.generate, requests["generate"]),
        "score": make_signature(functions.score, requests["score"]),
        "step": make_signature(StateStamp(model, metadata).step(functions.step), requests["step"], fixed=("state",)),
    }
    if functions.text.unit == "word":
        signatures["complete"] = make_signature(functions.complete, requests["serving_default"])
    return ExportSpec(model, signatures, metadata)


class SignatureFunctions:
    """The functions of the signatures, made of TensorFlow operations (see `export_spec`).

    Args:
        model: model from `tasks.next_word.model.SubmodelBuilder.full_model`.
        metadata: metadata of the model.
    """

    def __init__(self, model: keras.Model, metadata: Mapping[str, Any]) -> None:
        self.model, self.submodels, self.text = model, get_submodels(model), TextConfig(**metadata["text"])
        self.vocabulary = tf.constant(["", tokenization.SPECIAL_TOKENS[self.text.unit][0], *metadata["vocabulary"]])
        self.max_suggestions = max_suggestions(metadata)

    def _separate(self, text: tf.Tensor) -> tf.Tensor:
        return tokenization.separate_tokens(text, self.text.unit, self.text.pretokenized)

    def _token_ids(self, text: tf.Tensor) -> tf.Tensor:
        return tokenization.prepend_line_end(self.submodels.vectorization(self._separate(text)))

    def _next_word(self, separated: tf.Tensor) -> tf.Tensor:
        return tokenization.mask_special_tokens(self.model(separated))

    def _require_k(self, k: tf.Tensor) -> tf.Tensor:
        limit = self.max_suggestions
        return require(k, (k >= 1) & (k <= limit), f"k must be from 1 to {limit}")

    def suggest(self, **inputs: Any) -> dict[str, Any]:
        """Computes `serving_default`."""
        k, limit = self._require_k(inputs["k"]), self.max_suggestions
        log_probabilities = self._next_word(self._separate(inputs["text"]))
        values, token_ids = tf.math.top_k(log_probabilities, tf.minimum(tf.reduce_max(k), limit))
        mask = tf.range(tf.shape(values)[1])[None] < k[:, None]
        return {
            "words": tf.where(mask, tf.gather(self.vocabulary, token_ids), ""),
            "probabilities": tf.where(mask, tf.exp(values), 0.0),
        }

    def complete(self, **inputs: Any) -> dict[str, Any]:
        """Computes `complete`."""
        k = self._require_k(inputs["k"])
        return completion.complete(
            inputs["text"], self._separate, self._next_word, self.vocabulary, k, self.max_suggestions
        )

    def generate(self, **inputs: Any) -> dict[str, Any]:
        """Computes `generate`."""
        length, temperature, top_k, top_p = (inputs[name] for name in ("length", "temperature", "top_k", "top_p"))
        penalty = inputs["repetition_penalty"]
        ranges = {
            "length": ((length >= 1) & (length <= MAX_LENGTH), f"from 1 to {MAX_LENGTH}"),
            "temperature": ((temperature >= 0) & (temperature <= MAX_TEMPERATURE), f"from 0 to {MAX_TEMPERATURE}"),
            "top_k": (top_k >= 0, "0 or more"),
            "top_p": ((top_p > 0) & (top_p <= 1), "above 0 and at most 1"),
            "repetition_penalty": ((penalty >= 1) & (penalty <= MAX_PENALTY), f"from 1 to {MAX_PENALTY}"),
        }
        inputs |= {
            name: require(inputs[name], is_valid, f"{name} must be {description}")
            for name, (is_valid, description) in ranges.items()
        }
        prompt = tokenization.truncate_start(self._token_ids(inputs["prompt"]))
        words = tf.gather(self.vocabulary, generate_token_ids(self.submodels, prompt, inputs))
        return {"text": tokenization.join_tokens(words, self.text.unit, self.text.pretokenized)}

    def score(self, **inputs: Any) -> dict[str, Any]:
        """Computes `score`."""
        token_ids = self._token_ids(inputs["text"])
        token_ids = tf.pad(
            token_ids, [[0, 0], [0, tf.maximum(0, 2 - tf.shape(token_ids)[1])]]
        )  # if all texts are empty
        targets = token_ids[:, 1:]
        mask = targets != tokenization.PADDING_ID
        values = tf.where(mask, log_probabilities(self.submodels, token_ids[:, :-1], targets), 0.0)
        count = tf.maximum(tf.reduce_sum(tf.cast(mask, tf.float32), axis=1), 1.0)
        return {
            "words": tf.gather(self.vocabulary, targets),
            "log_probability": values,
            "perplexity": tf.exp(-tf.reduce_sum(values, axis=1) / count),
        }

    def step(self, **inputs: Any) -> dict[str, Any]:
        """Computes `step`."""
        token_ids = tf.cast(self.submodels.vectorization(inputs["word"]), tf.int32)[:, :1]
        token_ids = tf.pad(token_ids, [[0, 0], [0, 1]])[:, :1]  # if all words are empty
        token_ids = tf.where(token_ids == tokenization.PADDING_ID, tokenization.UNKNOWN_ID, token_ids)
        length = tf.ones_like(token_ids[:, 0])
        outputs = self.submodels.encoder({"token_ids": token_ids, "length": length, "state": inputs["state"]})
        return {"log_probabilities": self.submodels.head(outputs["hidden"])[:, 0], "state": outputs["state"]}


def max_suggestions(metadata: Mapping[str, Any]) -> int:
    """Returns the maximum of `k`: 100, or the number of words that can be suggested."""
    return min(MAX_SUGGESTIONS, len(metadata["vocabulary"]) - 1)


def example_requests(functions: SignatureFunctions) -> dict[str, dict[str, np.ndarray]]:
    """Returns an example request for each signature."""
    text = np.array([*EXAMPLES, "", "Spaces \u00e9 \n and an unknown word: qzxv. " * 20], object)
    count = len(text)
    state = np.zeros((count, functions.submodels.state_size + STAMP_SIZE), np.float32)
    word = np.array([tokenization.SPECIAL_TOKENS[functions.text.unit][1], "the", "of", "", "qzxv"], object)
    scored_text = np.array(["The value of the object"] * 2 + ["An object " * 2 + "."] * 2, object)
    return {
        "serving_default": {"text": text, "k": np.full(count, min(3, functions.max_suggestions), np.int32)},
        "generate": {
            "prompt": text,
            "length": np.array([12, 3, 7, 5, 1], np.int32),
            "temperature": np.array([0, 1, 0.7, 1, 1], np.float32),
            "top_k": np.array([0, 0, 40, 5, 1], np.int32),
            "top_p": np.array([1, 0.9, 1, 0.5, 1], np.float32),
            "repetition_penalty": np.array([1, 1, 1.5, 1.1, 1], np.float32),
            "seed": np.arange(count, dtype=np.int32),
        },
        "score": {"text": scored_text},
        "step": {"word": word, "state": state},
    }


def log_probabilities(submodels: Submodels, token_ids: tf.Tensor, targets: tf.Tensor) -> tf.Tensor:
    """Returns the natural logarithm of the probability of each target, float32 `(batch, time)`.

    It computes the distributions of `CHUNK_SIZE` time steps at once, which limits the memory.

    Args:
        submodels: submodels of the language model.
        token_ids: token ids before each target, int32 `(batch, time)`, padded on the right.
        targets: token ids, int32 `(batch, time)`.
    """
    batch_size, time = tf.shape(token_ids)[0], tf.shape(token_ids)[1]
    length = tf.reduce_sum(tf.cast(token_ids != tokenization.PADDING_ID, tf.int32), axis=1)
    state = tf.zeros((batch_size, submodels.state_size))
    padding = (-time) % CHUNK_SIZE
    hidden = submodels.encoder({"token_ids": token_ids, "length": length, "state": state})["hidden"]
    hidden, targets = tf.pad(hidden, [[0, 0], [0, padding], [0, 0]]), tf.pad(targets, [[0, 0], [0, padding]])
    chunks = tf.shape(targets)[1] // CHUNK_SIZE
    hidden = tf.transpose(tf.reshape(hidden, (batch_size, chunks, CHUNK_SIZE, hidden.shape[-1])), (1, 0, 2, 3))
    targets = tf.transpose(tf.reshape(targets, (batch_size, chunks, CHUNK_SIZE)), (1, 0, 2))
    values = tf.map_fn(
        lambda chunk: tf.gather(submodels.head(chunk[0]), chunk[1], batch_dims=2),
        (hidden, targets),
        fn_output_signature=tf.TensorSpec([None, CHUNK_SIZE], tf.float32),
        parallel_iterations=1,  # each iteration needs one distribution per word
    )
    return tf.reshape(tf.transpose(values, (1, 0, 2)), (batch_size, chunks * CHUNK_SIZE))[:, :time]


def predict_labelled(records: pd.DataFrame, metadata: dict[str, Any], predictor: Predictor) -> Predictions:
    """Returns the probability of each word of all texts, as one text, by the signature `score`.

    A request has `PIECE_LENGTH` words, after the `CONTEXT_LENGTH` words before them. The state does not continue from request to
    request, so the perplexity differs slightly from that of the training report.

    Args:
        records: column `text`.
        metadata: metadata of the model.
        predictor: calls `score`.

    Returns:
        `probability` float64 `(words,)`; the end of a line counts as a word.
    """
    text = TextConfig(**metadata["text"])
    stream = tokenization.encode_stream(records["text"].tolist(), metadata["vocabulary"], text)[1:]
    text_scores.notice_unknown(float(np.mean(stream == tokenization.UNKNOWN_ID)), text.unit)
    unknown = tokenization.SPECIAL_TOKENS["character"][0]  # no vocabulary contains it
    tokens = np.array(["", unknown, "\n", *metadata["vocabulary"][1:]], object)  # as they are written in a text
    separator = "" if text.unit == "character" else " "
    starts = list(range(0, len(stream), PIECE_LENGTH))
    rows: list[np.ndarray] = []
    for first in range(0, len(starts), SCORING_BATCH_SIZE):  # outputs are as long as the longest text of a request
        batch = starts[first : first + SCORING_BATCH_SIZE]
        pieces = [tokens[stream[max(0, start - CONTEXT_LENGTH) : start + PIECE_LENGTH]] for start in batch]
        outputs = predictor({"text": np.array([separator.join(piece).encode() for piece in pieces], object)})
        for row, start, piece in zip(outputs["log_probability"], batch, pieces, strict=True):
            rows.append(row[min(start, CONTEXT_LENGTH) : len(piece)])
    return {"probability": np.exp(np.concatenate(rows).astype(np.float64))}


def predict(
    texts: Sequence[str], metadata: dict[str, Any], predictor: Predictor, options: PredictOptions
) -> Predictions:
    """Returns the most probable next words after each text, and their probabilities; surrogate escapes become bytes."""
    k = min(SUGGESTIONS, max_suggestions(metadata))
    encoded = np.array([text.encode("utf-8", errors="surrogateescape") for text in texts], dtype=object)
    outputs = predictor({"text": encoded, "k": np.full(len(texts), k, np.int32)})
    words = [[word.decode() for word in row] for row in outputs["words"]]
    return {"words": np.array(words), "probabilities": outputs["probabilities"]}


def prediction_table(
    inputs: Inputs, predictions: Predictions, metadata: dict[str, Any], options: PredictOptions
) -> pd.DataFrame:
    """Returns the columns `token_1`, `probability_1`, `token_2` and so on, the most probable token first."""
    columns: dict[str, np.ndarray] = {}
    for k in range(predictions["words"].shape[1]):
        columns[f"token_{k + 1}"] = predictions["words"][:, k].astype(object)
        columns[f"probability_{k + 1}"] = predictions["probabilities"][:, k]
    return pd.DataFrame(columns)
