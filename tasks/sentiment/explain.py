"""Contributions of the words of a text to its prediction, computed with `model.keras`.

They explain the logit of the predicted label minus the mean logit of the other labels; with two labels, this is the log-odds. If a text may
have several labels, they explain the logit of the most probable label. The baseline is a text of the same number
of unknown words. The LSTM gets integrated gradients (Sundararajan et al., 2017) over the embedding vectors.
The logit of an n-gram is divided equally among its words, which is exact because the n-gram model is linear.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.config import PredictOptions
from shared.data.word_contributions import contribution_table
from shared.json_values import printable
from shared.progress import report_progress
from shared.task import Inputs
from shared.text.alignment import Span, locate_tokens
from shared.text.vocabulary import UNKNOWN_ID

STEPS, REFINEMENTS = (
    64,
    3,
)  # steps from the baseline to the text, and how often they are adapted to the change of the logit
MAX_VECTORS = 8192  # embedding vectors in one batch


def explain(inputs: Inputs, model: keras.Model, metadata: dict[str, Any], options: PredictOptions) -> pd.DataFrame:
    """Returns the contributions of the words as columns (see `contribution_table`), one row per text.

    If a text may have several labels, `explained_label` is the first column; it is None for a text without words.

    Args:
        inputs: `records` are texts.
        model: the classifier, from `model.keras`.
        metadata: metadata of the model.
        options: options of `predict`.
    """
    is_multilabel = "thresholds" in metadata
    explainer = Explainer(model, is_multilabel)
    texts = [printable(text) for text in inputs.records]
    cells, labels = [], []
    for k, (text, (tokens, spans)) in enumerate(zip(texts, locate_tokens(texts), strict=True)):
        values, class_id = explainer.explain_tokens(tokens)
        cells.append(_words(text, spans, values))
        labels.append(None if class_id is None or not is_multilabel else metadata["labels"][class_id])
        report_progress((k + 1) / len(texts))
    table = contribution_table(cells)
    if is_multilabel:
        table.insert(0, "explained_label", pd.Series(labels, dtype=object))
    return table


def _words(text: str, spans: Sequence[Span], values: np.ndarray) -> list[dict[str, Any]]:
    """Returns the words of the user with the sums of the contributions of their tokens."""
    sums: dict[Span, float] = {}
    for span, value in zip(spans, values, strict=True):
        sums[span] = sums.get(span, 0.0) + float(value)
    return [{"word": text[a:b], "start": a, "contribution": round(value, 6)} for (a, b), value in sums.items()]


class Explainer:
    """Computes contributions with the submodels of a classifier.

    Args:
        classifier: from `model.build_classifier`.
        is_multilabel: True if a text may have several labels.
    """

    def __init__(self, classifier: keras.Model, is_multilabel: bool = False) -> None:
        self.is_multilabel = is_multilabel
        self.vocabulary = classifier.get_layer("tokenizer").get_layer("vocabulary")
        tokenizer, self.lstm = classifier.get_layer("tokenizer"), classifier.get_layer("lstm")
        self.ngrams: Any = (
            classifier.get_layer("ngrams") if "ngrams" in {layer.name for layer in classifier.layers} else None
        )
        self._hashes: Any = (
            None
            if self.ngrams is None
            else keras.Model(self.ngrams.input, _operation(self.ngrams, "concatenate").input)
        )
        self._limit_length = keras.Model(self.vocabulary.output, tokenizer.output)
        self._lstm_words = keras.Model(
            _operation(classifier, "get_item").input, _operation(classifier, "take_along_axis").output
        )
        weighted = [op.input for op in classifier.operations if op.name.startswith("multiply")]
        mixture = keras.Model(weighted, classifier.get_layer("probabilities").input)
        self.weights = [_factor(mixture, k) for k in range(len(weighted))]
        size = self.lstm.get_layer("ids_to_vectors").output.shape[-1]
        points, vector = tf.TensorSpec((None, None, size)), tf.TensorSpec((None,))
        self._logits = tf.function(self._path_logits, input_signature=[points, vector])
        self._gradients = tf.function(self._path_gradients, input_signature=[points, vector, vector])

    def explain_tokens(self, tokens: Sequence[str]) -> tuple[np.ndarray, int | None]:
        """Returns the contribution of each token to the explained label, float64 `(tokens,)`, and the class id of that label.

        Tokens that the model does not read have 0; the class id is None if it reads none. The sum of the contributions is the change of
        the logit from the baseline to the text.
        """
        result = np.zeros(len(tokens))
        if not tokens:
            return result, None
        rows = keras.ops.convert_to_numpy(self.vocabulary(tf.constant(list(tokens))))
        owners, columns = np.nonzero(rows)  # an apostrophe alone has no token id
        if not len(owners):
            return result, None
        order = np.arange(1, len(owners) + 1)
        retained = self._positions(self._limit_length, order)
        token_ids = rows[owners, columns].astype(np.int32)[retained]
        read = self._positions(self._lstm_words, np.arange(1, len(retained) + 1))
        direction = self._direction(token_ids, token_ids[read])
        values = np.zeros(len(retained))
        values[read] += self._integrate(token_ids[read], direction * self.weights[0])
        if self.ngrams is not None:
            values += self._ngram_contributions(token_ids, direction * self.weights[1])
        np.add.at(result, owners[retained], values)
        return result, int(np.argmax(direction))

    @staticmethod
    def _positions(model: keras.Model, numbers: np.ndarray) -> np.ndarray:
        """Returns which positions a truncation keeps; `numbers` are the positions from 1 on."""
        retained = keras.ops.convert_to_numpy(model(keras.ops.convert_to_tensor(numbers[None], model.inputs[0].dtype)))[
            0
        ]
        return retained[retained > 0] - 1

    def _direction(self, token_ids: np.ndarray, read_ids: np.ndarray) -> np.ndarray:
        """Returns the factors of the logits `(classes,)`: 1 for the explained label; for the others equal negative ones, or 0 if a text
        may have several labels."""
        logits = self.weights[0] * keras.ops.convert_to_numpy(self.lstm(read_ids[None]))[0]
        if self.ngrams is not None:
            logits = logits + self.weights[1] * keras.ops.convert_to_numpy(self.ngrams(token_ids[None]))[0]
        if self.is_multilabel:
            return np.eye(len(logits), dtype=np.float32)[np.argmax(logits)]
        direction = np.full(len(logits), -1.0 / (len(logits) - 1), np.float32)
        direction[np.argmax(logits)] = 1.0
        return direction

    def _integrate(self, token_ids: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Returns the integrated gradients of the LSTM, float64 `(time,)`.

        The steps are short where the logit changes fast. What remains of its change is divided by the magnitudes of the gradients, so that
        the sum is exact.
        """
        to_vectors = self.lstm.get_layer("ids_to_vectors")
        vectors, baseline = (
            keras.ops.convert_to_numpy(to_vectors(ids[None]))[0]
            for ids in (token_ids, np.full_like(token_ids, UNKNOWN_ID))
        )
        path = vectors - baseline
        edges = np.linspace(0.0, 1.0, STEPS + 1)
        for _ in range(REFINEMENTS):
            logits = self._logits_along(baseline, path, edges, direction)
            edges = _refine(edges, logits)
        middles, widths = (edges[1:] + edges[:-1]) / 2, np.diff(edges).astype(np.float32)
        gradients, first = np.zeros(path.shape), 0
        for points in _batches(baseline, path, middles):
            weights = widths[first : first + len(points)]
            gradients += self._gradients(points, weights, direction).numpy()
            first += len(points)
        values = (gradients * path).sum(axis=1)
        rest, magnitudes = logits[-1] - logits[0] - values.sum(), np.abs(values)
        return values + rest * (magnitudes / magnitudes.sum() if magnitudes.any() else 1.0 / len(values))

    def _logits_along(
        self, start: np.ndarray, path: np.ndarray, positions: np.ndarray, direction: np.ndarray
    ) -> np.ndarray:
        """Returns the explained logits at positions of a path, float64 `(positions,)`."""
        logits = [self._logits(points, direction).numpy() for points in _batches(start, path, positions)]
        return np.concatenate(logits).astype(np.float64)

    def _path_logits(self, points: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
        """Returns the explained logits at points `(points, time, embedding_size)`, `(points,)`."""
        mask = tf.ones(tf.shape(points)[:2], tf.bool)
        logits = self.lstm.get_layer("vectors_to_logits")([points, mask], training=False)
        return tf.linalg.matvec(logits, direction)

    def _path_gradients(self, points: tf.Tensor, weights: tf.Tensor, direction: tf.Tensor) -> tf.Tensor:
        """Returns the sum of the gradients at points, each with its weight, `(time, embedding_size)`."""
        with tf.GradientTape() as tape:
            tape.watch(points)
            score = tf.reduce_sum(self._path_logits(points, direction) * weights)
        return tf.reduce_sum(tape.gradient(score, points), axis=0)

    def _ngram_contributions(self, token_ids: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Returns the contributions of the words to the n-gram model, float64 `(time,)`."""
        return self._divide(token_ids, direction) - self._divide(np.full_like(token_ids, UNKNOWN_ID), direction)

    def _divide(self, token_ids: np.ndarray, direction: np.ndarray) -> np.ndarray:
        """Divides the logit of each n-gram equally among its occurrences, and that among its words."""
        table, bias = self.ngrams.get_layer("ngram_weights"), self.ngrams.get_layer("ngram_bias")
        hashed = self._hashes(keras.ops.convert_to_tensor(token_ids[None]))
        orders = hashed if isinstance(hashed, (list, tuple)) else [hashed]
        buckets = np.stack([keras.ops.convert_to_numpy(row)[0] for row in orders])  # (order, time)
        distinct, index, counts = np.unique(buckets, return_inverse=True, return_counts=True)
        logits = keras.ops.convert_to_numpy(table(distinct)) @ keras.ops.convert_to_numpy(bias.kernel) @ direction
        shares = np.where(buckets == 0, 0.0, (logits / counts)[index.reshape(buckets.shape)])
        values = np.zeros(len(token_ids))
        for k, row in enumerate(shares):
            for shift in range(min(k + 1, len(row))):
                values[shift:] += row[: len(row) - shift] / (k + 1)
        return values


def _refine(edges: np.ndarray, logits: np.ndarray) -> np.ndarray:
    """Returns as many steps of [0, 1], shorter ones where the logits at the edges change fast."""
    changes = np.abs(np.diff(logits))
    density = np.diff(edges) + changes / max(changes.sum(), np.finfo(float).tiny)
    cumulative = np.concatenate([[0.0], np.cumsum(density)])
    return np.interp(np.linspace(0.0, cumulative[-1], len(edges)), cumulative, edges)


def _batches(start: np.ndarray, path: np.ndarray, positions: np.ndarray) -> Iterator[np.ndarray]:
    """Yields points of a path, float32 `(points, time, embedding_size)`; positions are in [0, 1]."""
    size = max(1, MAX_VECTORS // len(path))
    for first in range(0, len(positions), size):
        yield (start + positions[first : first + size, None, None] * path).astype(np.float32)


def _operation(model: keras.Model, kind: str) -> Any:
    """Returns the first operation of a kind; its number at the end of the name depends on the other models of the process."""
    return next(op for op in model.operations if op.name.rstrip("_0123456789") == kind)


def _factor(mixture: keras.Model, index: int) -> float:
    """Returns the factor of the logits of a component in their mixture."""
    units = [np.full((1, width.shape[-1]), float(k == index), np.float32) for k, width in enumerate(mixture.inputs)]
    return float(keras.ops.convert_to_numpy(mixture(units))[0, 0])
