"""The recogniser on the test recordings, with a language model and without, beside the nearest recording of training."""

from __future__ import annotations

import time
from collections.abc import Sequence
from functools import partial
from itertools import product
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.evaluation import MIN_BLOCKS, Score, block_bootstrap_score
from shared.sources import Splits
from shared.task import Evaluation, TrainedModel
from tasks.speech import nearest, plots
from tasks.speech.batches import RecordingBatches
from tasks.speech.config import SpeechConfig
from tasks.speech.decoding import Fusion, best_texts
from tasks.speech.features import RATE
from tasks.speech.language import exported_opinion, ngram_opinion
from tasks.speech.model import steps_of
from tasks.speech.symbols import text_of

WORST = 10  # utterances that the card shows
CHOSEN = 200  # recordings of validation that choose the language model's weight
FEW = 30  # different texts that make a confusion table


def evaluate(trained_model: TrainedModel, splits: Splits, config: SpeechConfig) -> Evaluation:
    """Scores the exported model, with a language model besides, and the baseline by word and character error rate.

    Args:
        trained_model: from `tasks.speech.train.fit`.
        splits: from `tasks.speech.data.load`.
        config: the run's settings.
    """
    alphabet = str(trained_model.metadata["alphabet"])
    logs = log_probabilities(trained_model.model, splits.test)
    found = {"exported": [greedy(one, alphabet) for one in logs]}
    fusion = chosen_fusion(trained_model.model, splits, config, alphabet)
    found["language_model"] = best_texts(logs, alphabet, fusion, config.decoding.beam)
    started = time.monotonic()
    found["dtw_nearest_neighbor"] = nearest.texts_of(splits.train, splits.test)
    minutes = {"nearest recording": (time.monotonic() - started) / 60}
    said, speakers = splits.test["text"].tolist(), splits.test["speaker"].tolist()
    scores = [score for name, texts in found.items() for score in error_rates(name, said, texts, speakers)]
    shown = splits.test.iloc[int(np.argsort(splits.test["length"].to_numpy())[len(splits.test) // 2])]
    drawn: dict[str, Any] = {
        "spectrogram.png": partial(plots.spectrogram, trained_model.model, shown, alphabet, config.features)
    }
    if len(set(said)) <= FEW:
        drawn["confusion.png"] = partial(plots.confusion, said, found["exported"])
    return Evaluation(
        scores,
        output_description=(
            "`text` is what was said, `words` its words with `start` and `end` in seconds; `confidence` is the geometric mean of "
            "the likeliest symbols' probabilities."
        ),
        notes={
            "seconds of sound in test": float(splits.test["length"].sum() / RATE),
            "language model": {
                "weight": fusion.weight,
                "bonus": fusion.bonus,
                "known words alone": fusion.words is not None,
            },
            "minutes of the baselines": minutes,
            "speakers": by_speaker(said, found["exported"], speakers),
            "worst utterances": worst(said, found["exported"], splits.test["name"].tolist()),
        },
        plots=drawn,
    )


def log_probabilities(model: keras.Model, frame: pd.DataFrame) -> list[np.ndarray]:
    """Returns the log-probabilities of symbols of each recording, `(steps, symbols)`."""
    batches = RecordingBatches(frame, "", 16)
    order = np.argsort(batches.lengths, kind="stable")
    found: list[np.ndarray] = [np.zeros(0)] * len(frame)

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)])  # for all lengths one
    def logs_of(samples: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return model({"samples": samples, "length": length})

    for start in range(0, len(order), batches.batch_size):
        rows = order[start : start + batches.batch_size]
        samples, length, _, _ = batches.batch(rows)
        logs = logs_of(tf.constant(samples), tf.constant(length)).numpy()
        for row, one, count in zip(rows, logs, steps_of(length), strict=True):
            found[row] = np.asarray(one[:count])
    return found


def greedy(logs: np.ndarray, alphabet: str) -> str:
    """Returns the text of the likeliest symbol of each step."""
    return " ".join(text_of(logs.argmax(axis=-1).tolist(), alphabet).split())


def chosen_fusion(model: keras.Model, splits: Splits, config: SpeechConfig, alphabet: str) -> Fusion:
    """Returns the language model with the weight, the bonus and the words that err least on validation."""
    if config.decoding.language_model:
        opinion, words = exported_opinion(Path(config.decoding.language_model).expanduser())
    else:
        opinion, words = ngram_opinion(splits.train["text"].tolist(), config.decoding.order)
    kinds: dict[str, list[frozenset[str] | None]] = {"any": [None], "known": [words], "chosen": [None, words]}
    closed = kinds[config.decoding.words]
    some = splits.validation.sample(min(CHOSEN, len(splits.validation)), random_state=0)
    logs, said = log_probabilities(model, some), some["text"].tolist()
    settings = product(closed, config.decoding.weights, config.decoding.bonuses)
    candidates = [Fusion(opinion, weight, bonus, known) for known, weight, bonus in settings]
    found = [best_texts(logs, alphabet, fusion, config.decoding.beam) for fusion in candidates]
    errors = [word_errors(said, texts)[:, 0].sum() for texts in found]
    return candidates[int(np.argmin(errors))]


def word_errors(said: Sequence[str], heard: Sequence[str]) -> np.ndarray:
    """Returns wrong, missing and added words, and words, of each utterance, `(utterances, 2)`, by jiwer."""
    import jiwer

    rows = []
    for one, other in zip(said, heard, strict=True):
        found = jiwer.process_words(one, other)
        rows.append((found.substitutions + found.deletions + found.insertions, len(one.split())))
    return np.array(rows, np.float64)


def character_errors(said: Sequence[str], heard: Sequence[str]) -> np.ndarray:
    """The same of characters, blanks among them."""
    import jiwer

    rows = []
    for one, other in zip(said, heard, strict=True):
        found = jiwer.process_characters(one, other)
        rows.append((found.substitutions + found.deletions + found.insertions, len(one)))
    return np.array(rows, np.float64)


def error_rates(model: str, said: Sequence[str], heard: Sequence[str], speakers: Sequence[str]) -> list[Score]:
    """Returns word and character error rate, and the share of utterances without an error, with intervals over speakers, where
    there are four or more, and else over utterances."""
    codes = pd.factorize(np.asarray(speakers))[0] if len(set(speakers)) >= MIN_BLOCKS else np.arange(len(said))
    wrong = np.array([[one == other, 1] for one, other in zip(said, heard, strict=True)], np.float64)
    scores = []
    for metric, rows in (
        ("word_error_rate", word_errors(said, heard)),
        ("character_error_rate", character_errors(said, heard)),
        ("accuracy", wrong),
    ):
        sums = np.stack([np.bincount(codes, column) for column in rows.T], axis=1)
        scores.append(block_bootstrap_score(model, metric, sums, lambda s: s[..., 0] / s[..., 1], 1))
    return scores


def by_speaker(said: Sequence[str], heard: Sequence[str], speakers: Sequence[str]) -> dict[str, float]:
    """Returns the word error rate of each speaker."""
    rows = word_errors(said, heard)
    names = np.asarray(speakers)
    return {str(name): float(rows[names == name, 0].sum() / rows[names == name, 1].sum()) for name in np.unique(names)}


def worst(said: Sequence[str], heard: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the utterances with the most errors."""
    errors = word_errors(said, heard)[:, 0]
    order = np.argsort(-errors, kind="stable")[:WORST]
    return [
        {"recording": names[k], "said": said[k], "heard": heard[k], "errors": int(errors[k])}
        for k in order
        if errors[k]
    ]
