"""The language model on the test text, beside n-grams, and mixed with them and with caches."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial

import numpy as np

from shared.evaluation import Score, block_bootstrap_score
from shared.kneser_ney import KneserNey
from shared.sources import Splits
from shared.task import Evaluation, TrainedModel
from tasks.next_word import adaptive, dynamic, plots
from tasks.next_word.config import NextWordConfig
from tasks.next_word.model import Submodels, get_submodels
from tasks.next_word.suggestions import TOP, Keyboard, judged
from tasks.next_word.words import END, PADDING, UNKNOWN, stream_of

CHUNK = 500  # words read at once
BLOCK = 200  # words that are drawn together for an interval: neighbours are no independent witnesses
NGRAMS = {"unigram": 1, "bigram": 2, "kneser_ney_5": 5}
BEST = "kneser_ney_5"
"""Of the n-grams, what is mixed with the LSTM."""


def evaluate(trained_model: TrainedModel, splits: Splits, config: NextWordConfig) -> Evaluation:
    """Scores the exported model, its mixtures and the baselines on the test text by the same metrics.

    `perplexity` is over the whole vocabulary, the state carried through the text and nothing learned from it;
    `perplexity_adaptive` that with caches of what came before, `perplexity_dynamic` that of a model which goes on learning from
    it, where that was asked for. `bits_per_character` where characters are predicted, else
    `top_1`, `top_3`, `top_5` and `keystrokes_saved` by a bar of three, over the words that are known.

    Args:
        trained_model: from `tasks.next_word.train.fit`.
        splits: from `tasks.next_word.data.load`.
        config: the run's settings.
    """
    parts = get_submodels(trained_model.model)
    names = parts.vocabulary
    streams = {
        name: stream_of(getattr(splits, name)["text"].tolist(), names[END:], config.text)
        for name in ("train", "validation", "test")
    }
    started = time.monotonic()
    ngrams = {name: KneserNey(streams["train"], len(names), END, order, PADDING) for name, order in NGRAMS.items()}
    minutes = {"n-grams": (time.monotonic() - started) / 60}
    read = {name: probabilities(parts, streams[name]) for name in ("validation", "test")}
    static = {name: {"exported": read[name][0]} for name in read}
    for split, found in static.items():
        found |= {name: ngram.probabilities(streams[split]) for name, ngram in ngrams.items()}
    adapted = _caches(read, streams)
    notes: dict[str, float] = {}
    if config.dynamic_evaluation:
        started = time.monotonic()
        rate = dynamic.best_rate(trained_model.model, streams["validation"])
        for split, found in adapted.items():
            found["dynamic evaluation"] = dynamic.probabilities(trained_model.model, streams[split], rate)
        minutes["dynamic evaluation"], notes["rate of dynamic evaluation"] = (time.monotonic() - started) / 60, rate
    combined, weights = _combined(static, adapted)
    scores = [
        score for (model, metric), p in combined.items() for score in likelihood(model, metric, p, config.text.unit)
    ]
    if config.text.unit == "word":
        scores += _useful(parts, read["test"][1], streams["test"], ngrams)
    return Evaluation(
        scores,
        output_description=(
            "`words` are the likeliest next words and `probabilities` theirs; the unknown word and the end of a line are "
            "never among them."
        ),
        notes={
            "vocabulary": len(names),
            "words unknown in test": float(np.mean(streams["test"] == UNKNOWN)),
            "weights of the mixtures": weights,
            "minutes of the baselines and of dynamic evaluation": minutes,
            **notes,
        },
        plots={
            "perplexity.png": partial(plots.perplexities, scores),
            "by_frequency.png": partial(
                plots.by_frequency, static["test"], streams["test"][1:], np.bincount(streams["train"])
            ),
        },
    )


def read_through(parts: Submodels, stream: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the states before each word of a stream but the first, float32 `(chunk, size)` at a time, the memory carried."""
    memory = np.zeros((1, parts.state_size), np.float32)
    for start in range(0, len(stream) - 1, CHUNK):
        token_ids = np.zeros((1, CHUNK), np.int32)
        given = stream[start : min(start + CHUNK, len(stream) - 1)]
        token_ids[0, : len(given)] = given
        length = np.array([len(given)], np.int32)
        after = parts.reader.predict_on_batch({"token_ids": token_ids, "length": length, "state": memory})
        memory = after["state"]
        yield after["hidden"][0, : len(given)]


def probabilities(parts: Submodels, stream: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns the probability of each word of a stream but the first `(words,)`, and the states before it `(words, size)`."""
    found: list[np.ndarray] = []
    states: list[np.ndarray] = []
    start = 1
    for hidden in read_through(parts, stream):
        logs = _log_probabilities(parts, hidden)
        found.append(np.exp(logs[np.arange(len(hidden)), stream[start : start + len(hidden)]].astype(np.float64)))
        states.append(hidden)
        start += len(hidden)
    return np.concatenate(found), np.concatenate(states)


def _log_probabilities(parts: Submodels, hidden: np.ndarray) -> np.ndarray:
    padded = np.zeros((1, CHUNK, hidden.shape[1]), np.float32)  # one shape for all, so that nothing is traced anew
    padded[0, : len(hidden)] = hidden
    return np.asarray(parts.head.predict_on_batch(padded))[0, : len(hidden)]


def _caches(
    read: Mapping[str, tuple[np.ndarray, np.ndarray]], streams: Mapping[str, np.ndarray]
) -> dict[str, dict[str, np.ndarray]]:
    """Returns the probabilities by the caches, by split."""
    model, hidden = read["validation"]
    sharpness = adaptive.sharpest(hidden, streams["validation"][1:], model)
    return {
        name: {
            "neural cache": adaptive.neural_cache(states, streams[name][1:], sharpness),
            "unigram cache": adaptive.unigram_cache(streams[name][1:]),
        }
        for name, (_, states) in read.items()
    }


def _combined(
    static: Mapping[str, Mapping[str, np.ndarray]], adapted: Mapping[str, Mapping[str, np.ndarray]]
) -> tuple[dict[tuple[str, str], np.ndarray], dict[str, dict[str, float]]]:
    """Returns the test probabilities of all models and mixtures, and the mixtures' weights."""
    mixtures: dict[tuple[str, str], tuple[str, ...]] = {
        ("exported", "perplexity_adaptive"): ("exported", "neural cache"),
        (BEST, "perplexity_adaptive"): (BEST, "unigram cache"),
        ("mixture", "perplexity"): ("exported", BEST),
        ("mixture", "perplexity_adaptive"): ("exported", BEST, "neural cache", "unigram cache"),
    }
    found = {(name, "perplexity"): p for name, p in static["test"].items()}
    if (learning := "dynamic evaluation") in adapted["test"]:
        found["exported", "perplexity_dynamic"] = adapted["test"][learning]
        mixtures["mixture", "perplexity_dynamic"] = (*mixtures["mixture", "perplexity_adaptive"], learning)
    weights = {}
    for key, members in mixtures.items():
        given = {split: [{**static[split], **adapted[split]}[name] for name in members] for split in static}
        chosen = adaptive.weights_of(given["validation"])
        found[key] = adaptive.mixed(given["test"], chosen)
        weights[" ".join(key)] = dict(zip(members, map(float, chosen), strict=True))
    return found, weights


def likelihood(model: str, metric: str, found: np.ndarray, unit: str) -> list[Score]:
    """Returns the perplexity, of characters the bits of each besides, of the probabilities given to what came, `(words,)`."""
    blocks = np.arange(len(found)) // BLOCK
    sums = np.stack([np.bincount(blocks, -np.log(np.maximum(found, plots.TINY))), np.bincount(blocks)], axis=1)
    scores = [block_bootstrap_score(model, metric, sums, lambda s: np.exp(s[..., 0] / s[..., 1]), 1)]
    if unit == "character" and metric == "perplexity":
        scores.append(
            block_bootstrap_score(model, "bits_per_character", sums, lambda s: s[..., 0] / s[..., 1] / np.log(2.0), 1)
        )
    return scores


def _useful(parts: Submodels, states: np.ndarray, stream: np.ndarray, ngrams: Mapping[str, KneserNey]) -> list[Score]:
    keyboard = Keyboard(parts.vocabulary)
    starts = range(0, len(states), CHUNK)
    tables: dict[str, Iterable[np.ndarray]] = {
        "exported": (_log_probabilities(parts, states[start : start + CHUNK]) for start in starts),
        **{name: ngrams[name].distributions(stream) for name in ("unigram", BEST)},
    }
    scores = []
    for name, table in tables.items():
        found, start = [], 1
        for likelihoods in table:
            found.append(judged(likelihoods, stream[start : start + len(likelihoods)], keyboard))
            start += len(likelihoods)
        scores += usefulness(name, np.concatenate(found))
    return scores


def usefulness(model: str, found: np.ndarray) -> list[Score]:
    """Returns the scores of `tasks.next_word.suggestions.judged`."""
    blocks = np.arange(len(found)) // BLOCK
    sums = np.stack([np.bincount(blocks, column) for column in found.T], axis=1)

    def share(k: int) -> Callable[[np.ndarray], np.ndarray]:
        return lambda s: s[..., k] / np.where(s[..., -1] > 0, s[..., -1], np.nan)

    scores = [block_bootstrap_score(model, f"top_{n}", sums, share(k), 1) for k, n in enumerate(TOP)]

    def saved(s: np.ndarray) -> np.ndarray:
        return np.asarray(1 - s[..., -3] / np.where(s[..., -2] > 0, s[..., -2], np.nan))

    return [*scores, block_bootstrap_score(model, "keystrokes_saved", sums, saved, 1)]
