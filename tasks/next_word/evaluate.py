"""Evaluation of the language model on the test split, with n-gram models as baselines, caches and mixtures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import Any

import numpy as np
import pandas as pd

from shared.data.sources import Splits
from shared.evaluation.metric import Metric, Score
from shared.evaluation.scoring import block_bootstrap_score
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from shared.text.kneser_ney import KneserNey
from tasks.next_word import dynamic_evaluation, plots
from tasks.next_word.config import NextWordConfig
from tasks.next_word.keyboard import TOP_K, Keyboard, typing_statistics
from tasks.next_word.mixtures import BEST_NGRAM, DYNAMIC, MIXTURE, cache_probabilities, mix_models
from tasks.next_word.model import Submodels, get_submodels
from tasks.next_word.tokenization import END_ID, PADDING_ID, UNKNOWN_ID, encode_stream

METRICS = (
    Metric("perplexity", "perplexity", higher_is_better=False, decimals=2),
    Metric("perplexity_adaptive", "perplexity with cache", higher_is_better=False, decimals=2),
    Metric("perplexity_dynamic", "perplexity with dynamic evaluation", higher_is_better=False, decimals=2),
    Metric("bits_per_character", "bits per character", higher_is_better=False),
    Metric("top_{k}", "top {k}"),
    Metric("keystrokes_saved", "keystrokes saved"),
)
CHUNK_SIZE = 500
"""Words that the model reads at once."""
BLOCK_SIZE = 200
"""Consecutive words that the bootstrap samples together, because neighboring words depend on each other."""
NGRAM_ORDERS = {"unigram": 1, "bigram": 2, BEST_NGRAM: 5}


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the probabilities of the words of a text by any model (see `perplexity_scores`).

    Args:
        records: the texts; the predictions already belong to their words.
        predictions: `probability` float `(words,)`.
        metadata: `text`, whose `unit` is "word" or "character".
    """
    return perplexity_scores(EXPORTED, "perplexity", predictions["probability"], metadata["text"]["unit"])


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: NextWordConfig) -> EvaluationPlan:
    """Plans the evaluation: the state continues through the test split, beside n-gram models, caches and mixtures.

    `perplexity` is over the whole vocabulary; nothing is learned from the text. `perplexity_adaptive` adds caches of the preceding
    words. `perplexity_dynamic` is that of dynamic evaluation, with `--evaluation.dynamic`. `bits_per_character` applies to characters;
    `top_1`, `top_3`, `top_5` and `keystrokes_saved`, with three suggestions, apply to the words of the vocabulary.

    Args:
        trained_model: from `tasks.next_word.train.train_model`.
        splits: from `tasks.next_word.data.load`.
        config: options of the run.
    """
    comparison = Comparison(trained_model, splits, config)
    return EvaluationPlan(
        describe=comparison.describe,
        exact_predictions=lambda: {"probability": comparison.outputs["test"][0]},
        baselines={name: partial(comparison.predict_ngrams, name) for name in NGRAM_ORDERS},
        components={MIXTURE: lambda: {"probability": comparison.mixtures[0][MIXTURE, "perplexity"]}},
        extra_scores=comparison.extra_scores,
    )


class Comparison:
    """The model, the n-gram models and their mixtures on the validation and test split; everything is computed once.

    Args:
        trained_model: from `tasks.next_word.train.train_model`.
        splits: from `tasks.next_word.data.load`.
        config: options of the run.

    Attributes:
        submodels: submodels of the trained model.
        streams: token ids of each split, `(words + 1,)`.
        notes: values for the report that are known so far.
    """

    def __init__(self, trained_model: TrainedModel, splits: Splits, config: NextWordConfig) -> None:
        self.model, self.config = trained_model.model, config
        self.submodels = get_submodels(trained_model.model)
        self.streams = {
            name: encode_stream(getattr(splits, name)["text"].tolist(), self.submodels.vocabulary[END_ID:], config.text)
            for name in ("train", "validation", "test")
        }
        self.notes: dict[str, float] = {}
        self._ngrams: dict[str, KneserNey] = {}

    @cached_property
    def outputs(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Results of `probabilities`, by split."""
        return {name: probabilities(self.submodels, self.streams[name]) for name in ("validation", "test")}

    def ngram(self, name: str) -> KneserNey:
        """Returns an n-gram model of the training split by its name in `NGRAM_ORDERS`."""
        if name not in self._ngrams:
            size, order = len(self.submodels.vocabulary), NGRAM_ORDERS[name]
            self._ngrams[name] = KneserNey(self.streams["train"], size, END_ID, order, PADDING_ID)
        return self._ngrams[name]

    def predict_ngrams(self, name: str) -> Predictions:
        """Returns the predictions of an n-gram model for the test split."""
        return {"probability": self.ngram(name).probabilities(self.streams["test"])}

    @cached_property
    def mixtures(self) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, dict[str, float]]]:
        """Test probabilities of the mixtures by model and metric, and their weights (see `mix_models`)."""
        adaptive = cache_probabilities(self.outputs, self.streams)
        if self.config.evaluation.dynamic:
            started = time.monotonic()
            rate = dynamic_evaluation.choose_learning_rate(self.model, self.streams["validation"])
            for split, by_model in adaptive.items():
                by_model[DYNAMIC] = dynamic_evaluation.probabilities(self.model, self.streams[split], rate)
            self.notes["learning rate of dynamic evaluation"] = rate
            self.notes["minutes of dynamic evaluation"] = (time.monotonic() - started) / 60
        ngram = self.ngram(BEST_NGRAM)
        static = {
            split: {EXPORTED: values, BEST_NGRAM: ngram.probabilities(self.streams[split])}
            for split, (values, _) in self.outputs.items()
        }
        return mix_models(static, adaptive)

    def extra_scores(self, predictions: Mapping[str, Predictions]) -> list[Score]:
        """Returns the perplexities with caches and with dynamic evaluation, and the scores of suggestions for a keyboard."""
        unit = self.config.text.unit
        scores = [
            score
            for (model, metric), values in self.mixtures[0].items()
            if metric != "perplexity"
            for score in perplexity_scores(model, metric, values, unit)
        ]
        if unit == "word":
            ngrams = {name: self.ngram(name) for name in ("unigram", BEST_NGRAM)}
            scores += _typing_scores(self.submodels, self.outputs["test"][1], self.streams["test"], ngrams)
        return scores

    def describe(self, predictions: Mapping[str, Predictions], scores: Sequence[Score]) -> Description:
        """Describes the outputs, the vocabulary and the mixtures, with plots of the perplexities."""
        static = {name: predictions[name]["probability"] for name in (EXPORTED, *NGRAM_ORDERS)}
        targets, counts = self.streams["test"][1:], np.bincount(self.streams["train"])
        perplexities = [m for m in METRICS if m.name.startswith("perplexity")]
        return Description(
            output_description=(
                "`words` are the most probable next words, and `probabilities` are their probabilities; the unknown word and the end "
                "of a line are never among them."
            ),
            notes={
                "vocabulary size": len(self.submodels.vocabulary),
                "fraction of unknown words in the test split": float(np.mean(self.streams["test"] == UNKNOWN_ID)),
                "mixture weights": self.mixtures[1],
                **self.notes,
            },
            plots={
                "perplexity.png": partial(plots.perplexities, scores, perplexities),
                "by_frequency.png": partial(plots.perplexity_by_frequency, static, targets, counts),
            },
        )


def iterate_hidden(submodels: Submodels, stream: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the outputs of the encoder before each token of a stream but the first, float32 `(chunk, size)` at a time.

    The state continues from chunk to chunk.
    """
    state = np.zeros((1, submodels.state_size), np.float32)
    for start in range(0, len(stream) - 1, CHUNK_SIZE):
        chunk = stream[start : min(start + CHUNK_SIZE, len(stream) - 1)]
        token_ids = np.zeros((1, CHUNK_SIZE), np.int32)
        token_ids[0, : len(chunk)] = chunk
        length = np.array([len(chunk)], np.int32)
        outputs = submodels.encoder.predict_on_batch({"token_ids": token_ids, "length": length, "state": state})
        state = outputs["state"]
        yield outputs["hidden"][0, : len(chunk)]


def probabilities(submodels: Submodels, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probability of each token of a stream but the first, and the outputs of the encoder before it.

    Returns:
        float64 array `(tokens - 1,)` and float32 array `(tokens - 1, size)`.
    """
    values: list[np.ndarray] = []
    states: list[np.ndarray] = []
    start = 1
    for hidden in iterate_hidden(submodels, stream):
        rows = _log_probabilities(submodels, hidden)
        targets = stream[start : start + len(hidden)]
        values.append(np.exp(rows[np.arange(len(hidden)), targets].astype(np.float64)))
        states.append(hidden)
        start += len(hidden)
    return np.concatenate(values), np.concatenate(states)


def _log_probabilities(submodels: Submodels, hidden: np.ndarray) -> np.ndarray:
    """Returns log-probabilities `(words, vocabulary_size)` from outputs of the encoder `(words, size)`."""
    padded = np.zeros((1, CHUNK_SIZE, hidden.shape[1]), np.float32)  # one shape for all chunks avoids retracing
    padded[0, : len(hidden)] = hidden
    return np.asarray(submodels.head.predict_on_batch(padded))[0, : len(hidden)]


def perplexity_scores(model: str, metric: str, values: np.ndarray, unit: str) -> list[Score]:
    """Returns the perplexity, and for characters also the bits per character, from the probabilities of a text `(words,)`.

    Args:
        model: name in the results.
        metric: name in the results, such as "perplexity"; other perplexities have no bits per character.
        values: probability of each word, `(words,)`.
        unit: "word" or "character".
    """
    blocks = np.arange(len(values)) // BLOCK_SIZE
    losses = -np.log(np.maximum(values, plots.MIN_PROBABILITY))
    sums = np.stack([np.bincount(blocks, losses), np.bincount(blocks)], axis=1)
    scores = [block_bootstrap_score(model, metric, sums, lambda s: np.exp(s[..., 0] / s[..., 1]), 1)]
    if unit == "character" and metric == "perplexity":
        scores.append(
            block_bootstrap_score(model, "bits_per_character", sums, lambda s: s[..., 0] / s[..., 1] / np.log(2.0), 1)
        )
    return scores


def _typing_scores(
    submodels: Submodels, states: np.ndarray, stream: np.ndarray, ngrams: Mapping[str, KneserNey]
) -> list[Score]:
    keyboard = Keyboard(submodels.vocabulary)
    starts = range(0, len(states), CHUNK_SIZE)
    distributions: dict[str, Iterable[np.ndarray]] = {
        EXPORTED: (_log_probabilities(submodels, states[start : start + CHUNK_SIZE]) for start in starts),
        **{name: ngram.distributions(stream) for name, ngram in ngrams.items()},
    }
    scores = []
    for name, chunks in distributions.items():
        statistics, start = [], 1
        for chunk in chunks:
            statistics.append(typing_statistics(chunk, stream[start : start + len(chunk)], keyboard))
            start += len(chunk)
        scores += typing_scores(name, np.concatenate(statistics))
    return scores


def typing_scores(model: str, statistics: np.ndarray) -> list[Score]:
    """Returns the top-k accuracies and the keystrokes saved, from `tasks.next_word.keyboard.typing_statistics`."""
    blocks = np.arange(len(statistics)) // BLOCK_SIZE
    sums = np.stack([np.bincount(blocks, column) for column in statistics.T], axis=1)

    def fraction(column: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda s: s[..., column] / np.where(s[..., -1] > 0, s[..., -1], np.nan)

    scores = [block_bootstrap_score(model, f"top_{k}", sums, fraction(column), 1) for column, k in enumerate(TOP_K)]

    def keystrokes_saved(s: np.ndarray) -> np.ndarray:
        return np.asarray(1 - s[..., -3] / np.where(s[..., -2] > 0, s[..., -2], np.nan))

    return [*scores, block_bootstrap_score(model, "keystrokes_saved", sums, keystrokes_saved, 1)]
