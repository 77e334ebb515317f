"""Evaluation of the language model on the test split, with n-gram models as baselines, caches and mixtures."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np

from shared.data.sources import Splits
from shared.evaluation.metric import Metric, Score
from shared.evaluation.scoring import block_bootstrap_score
from shared.task import Evaluation, TrainedModel
from shared.text.kneser_ney import KneserNey
from tasks.next_word import cache, dynamic_evaluation, plots
from tasks.next_word.config import NextWordConfig
from tasks.next_word.keyboard import TOP_K, Keyboard, typing_statistics
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
NGRAM_ORDERS = {"unigram": 1, "bigram": 2, "kneser_ney_5": 5}
BEST_NGRAM = "kneser_ney_5"
"""The n-gram model in the mixtures."""
CONTINUOUS_CACHE, UNIGRAM_CACHE, DYNAMIC = "continuous cache", "unigram cache", "dynamic evaluation"

Probabilities = Mapping[str, np.ndarray]
"""Probabilities of the words of a split `(words,)`, by model."""


def evaluate(trained_model: TrainedModel, splits: Splits, config: NextWordConfig) -> Evaluation:
    """Scores the exported model, its mixtures and the baselines on the test split with the same metrics.

    `perplexity` is over the whole vocabulary; the state continues through the text, and nothing is learned from it.
    `perplexity_adaptive` adds caches of the preceding words. `perplexity_dynamic` is that of dynamic evaluation, with
    `--evaluation.dynamic`. `bits_per_character` applies to characters; `top_1`, `top_3`, `top_5` and `keystrokes_saved`, with three
    suggestions, apply to the words of the vocabulary.

    Args:
        trained_model: from `tasks.next_word.train.train_model`.
        splits: from `tasks.next_word.data.load`.
        config: options of the run.
    """
    submodels = get_submodels(trained_model.model)
    vocabulary = submodels.vocabulary
    streams = {
        name: encode_stream(getattr(splits, name)["text"].tolist(), vocabulary[END_ID:], config.text)
        for name in ("train", "validation", "test")
    }
    started = time.monotonic()
    ngrams = {
        name: KneserNey(streams["train"], len(vocabulary), END_ID, order, PADDING_ID)
        for name, order in NGRAM_ORDERS.items()
    }
    minutes = {"n-grams": (time.monotonic() - started) / 60}
    outputs = {name: probabilities(submodels, streams[name]) for name in ("validation", "test")}
    static = {name: {"exported": values} for name, (values, _) in outputs.items()}
    for split, by_model in static.items():
        by_model |= {name: ngram.probabilities(streams[split]) for name, ngram in ngrams.items()}
    adaptive = _cache_probabilities(outputs, streams)
    notes: dict[str, float] = {}
    if config.evaluation.dynamic:
        started = time.monotonic()
        rate = dynamic_evaluation.choose_learning_rate(trained_model.model, streams["validation"])
        for split, by_model in adaptive.items():
            by_model[DYNAMIC] = dynamic_evaluation.probabilities(trained_model.model, streams[split], rate)
        minutes[DYNAMIC] = (time.monotonic() - started) / 60
        notes["learning rate of dynamic evaluation"] = rate
    test_probabilities, weights = _mix_models(static, adaptive)
    scores = [
        score
        for (model, metric), values in test_probabilities.items()
        for score in perplexity_scores(model, metric, values, config.text.unit)
    ]
    if config.text.unit == "word":
        scores += _typing_scores(submodels, outputs["test"][1], streams["test"], ngrams)
    return Evaluation(
        scores,
        output_description=(
            "`words` are the most probable next words, and `probabilities` are their probabilities; the unknown word and the end "
            "of a line are never among them."
        ),
        notes={
            "vocabulary size": len(vocabulary),
            "fraction of unknown words in the test split": float(np.mean(streams["test"] == UNKNOWN_ID)),
            "mixture weights": weights,
            "minutes of the baselines and of dynamic evaluation": minutes,
            **notes,
        },
        plots={
            "perplexity.png": partial(
                plots.perplexities, scores, [m for m in METRICS if m.name.startswith("perplexity")]
            ),
            "by_frequency.png": partial(
                plots.perplexity_by_frequency, static["test"], streams["test"][1:], np.bincount(streams["train"])
            ),
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


def _cache_probabilities(
    outputs: Mapping[str, tuple[np.ndarray, np.ndarray]], streams: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the probabilities by the two caches, by split."""
    model, hidden = outputs["validation"]
    sharpness = cache.choose_sharpness(hidden, streams["validation"][1:], model)
    return {
        name: {
            CONTINUOUS_CACHE: cache.continuous_cache(states, streams[name][1:], sharpness),
            UNIGRAM_CACHE: cache.unigram_cache(streams[name][1:]),
        }
        for name, (_, states) in outputs.items()
    }


def _mix_models(
    static: Mapping[str, Probabilities], adaptive: Mapping[str, Probabilities]
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, dict[str, float]]]:
    """Returns the test probabilities of all models and mixtures, by model and metric, and the weights of the mixtures.

    The validation split sets the weights.
    """
    mixtures: dict[tuple[str, str], tuple[str, ...]] = {
        ("exported", "perplexity_adaptive"): ("exported", CONTINUOUS_CACHE),
        (BEST_NGRAM, "perplexity_adaptive"): (BEST_NGRAM, UNIGRAM_CACHE),
        ("mixture", "perplexity"): ("exported", BEST_NGRAM),
        ("mixture", "perplexity_adaptive"): ("exported", BEST_NGRAM, CONTINUOUS_CACHE, UNIGRAM_CACHE),
    }
    result = {(name, "perplexity"): values for name, values in static["test"].items()}
    if DYNAMIC in adaptive["test"]:
        result["exported", "perplexity_dynamic"] = adaptive["test"][DYNAMIC]
        mixtures["mixture", "perplexity_dynamic"] = (*mixtures["mixture", "perplexity_adaptive"], DYNAMIC)
    all_weights = {}
    for key, names in mixtures.items():
        members = {split: [{**static[split], **adaptive[split]}[name] for name in names] for split in static}
        weights = cache.fit_mixture_weights(members["validation"])
        result[key] = cache.mix(members["test"], weights)
        all_weights[" ".join(key)] = dict(zip(names, map(float, weights), strict=True))
    return result, all_weights


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
        "exported": (_log_probabilities(submodels, states[start : start + CHUNK_SIZE]) for start in starts),
        **{name: ngrams[name].distributions(stream) for name in ("unigram", BEST_NGRAM)},
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
