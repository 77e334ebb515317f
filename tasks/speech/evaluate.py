"""Scores the model, with and without a language model, and the DTW baseline on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.data.sources import Splits
from shared.evaluation.classification import ACCURACY
from shared.evaluation.metric import Metric, Score
from shared.evaluation.scoring import MIN_BLOCKS, block_bootstrap_score
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from tasks.speech import dtw_nearest_neighbor, plots
from tasks.speech.batches import iterate_recordings, pad_rows
from tasks.speech.config import SpeechConfig
from tasks.speech.decoder import load_decoder
from tasks.speech.timing import SAMPLE_RATE, count_steps
from tasks.speech.transcription import SIGNATURE, transcribe_all

Runner = Callable[[np.ndarray, np.ndarray], np.ndarray]

METRICS = (
    Metric("word_error_rate", "word error rate", unit="%", higher_is_better=False, decimals=2),
    Metric("character_error_rate", "character error rate", unit="%", higher_is_better=False, decimals=2),
    ACCURACY,
)
BATCH_SIZE = 16
MAX_WORST_RECORDINGS = 10  # in the report
MAX_CONFUSION_TEXTS = 30  # with more distinct texts, there is no confusion matrix


def score(records: pd.DataFrame, predictions: Predictions, metadata: Mapping[str, Any]) -> list[Score]:
    """Scores the transcripts of any model (see `score_texts`).

    Args:
        records: columns `text` and `speaker`, such as the test split.
        predictions: `text`, strings `(recordings,)`.
        metadata: metadata of the model.
    """
    return score_texts(EXPORTED, records["text"].tolist(), list(predictions["text"]), records["speaker"].tolist())


def plan_evaluation(trained_model: TrainedModel, splits: Splits, config: SpeechConfig) -> EvaluationPlan:
    """Plans the evaluation: the model without its language model, and the DTW baseline.

    Args:
        trained_model: from `tasks.speech.train.train_model`.
        splits: from `tasks.speech.data.load`.
        config: options of the run.
    """
    model, metadata = trained_model.model, trained_model.metadata

    def predict_greedily() -> Predictions:
        predictor = partial(_predict_log_probabilities, build_runner(model))
        recordings = ([samples] for samples in iterate_recordings(splits.test))
        transcripts = transcribe_all(predictor, recordings, load_decoder(metadata, uses_language_model=False))
        return _as_predictions([transcript.text for transcript in transcripts])

    def predict_baseline() -> Predictions:
        return _as_predictions(dtw_nearest_neighbor.predict_texts(splits.train, splits.test))

    def describe_all(predictions: Mapping[str, Predictions], scores: Sequence[Score]) -> Description:
        drawings = _plots(model, splits.test, predictions[EXPORTED]["text"], str(metadata["alphabet"]), config)
        return describe(splits.test, predictions[EXPORTED]["text"], metadata["language_model"], drawings)

    return EvaluationPlan(
        describe=describe_all,
        components={"greedy": predict_greedily},
        baselines={"dtw_nearest_neighbor": predict_baseline},
    )


def describe(
    test: pd.DataFrame,
    hypotheses: Sequence[str],
    language_model: Mapping[str, Any],
    drawings: Mapping[str, Callable[[Path], None]],
) -> Description:
    """Describes the outputs, the language model, and the errors of the exported model.

    Args:
        test: the test split.
        hypotheses: transcripts of the exported model, `(recordings,)`.
        language_model: settings of the language model, from the metadata.
        drawings: plots by file name.
    """
    references = test["text"].tolist()
    return Description(
        output_description=(
            "`text` is the transcript, `words` are its words with their `start` and `end` in seconds, and `word_confidence` estimates the "
            "probability that each of them was said. `confidence` is the geometric mean of these; without words, the probability that "
            "nothing was said. The scores of `exported` are those of `lstm-suite predict` with the language model; `greedy` is what "
            "`serving_default` returns."
        ),
        notes={
            "seconds of audio in the test split": float(test["length"].sum() / SAMPLE_RATE),
            "language model": {
                "weight": language_model["weight"],
                "word bonus": language_model["word_bonus"],
                "closed vocabulary": language_model["is_closed"],
            },
            "word error rate by speaker": word_error_rate_by_speaker(references, hypotheses, test["speaker"].tolist()),
            "recordings with the most errors": find_worst(references, hypotheses, test["name"].tolist()),
        },
        plots=drawings,
    )


def _as_predictions(texts: Sequence[str]) -> Predictions:
    return {"text": np.array(texts, object)}


def _plots(
    model: keras.Model, test: pd.DataFrame, predictions: Sequence[str], alphabet: str, config: SpeechConfig
) -> dict[str, Callable[[Path], None]]:
    """Returns the plots of the report: the spectrogram of the recording with the median length, and a confusion matrix if there are
    few distinct texts."""
    median = test.iloc[int(np.argsort(test["length"].to_numpy())[len(test) // 2])]
    drawings: dict[str, Callable[[Path], None]] = {
        "spectrogram.png": partial(plots.plot_spectrogram, model, median, alphabet, config.features)
    }
    references = test["text"].tolist()
    if len(set(references)) <= MAX_CONFUSION_TEXTS:
        drawings["confusion.png"] = partial(plots.plot_confusion, references, predictions)
    return drawings


def _predict_log_probabilities(run: Runner, request: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Returns the output of the signature `log_probabilities`, before it is exported."""
    return {SIGNATURE: run(request["samples"], request["length"])}


def build_runner(model: keras.Model) -> Runner:
    """Returns a function from `samples` and `length` to the log-probabilities `(batch, steps, symbols)` of a model, with one graph for
    all lengths."""

    @tf.function(input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)])
    def run(samples: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return model({"samples": samples, "length": length})

    return lambda samples, length: run(tf.constant(samples), tf.constant(length)).numpy()


def compute_log_probabilities(model: keras.Model, recordings: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Returns the log-probabilities of the symbols for each recording, float32 `(steps, symbols)`.

    Args:
        model: from the `full_model` of a `tasks.speech.model.SubmodelBuilder`.
        recordings: samples of each recording, float32 `(samples,)`.
    """
    run, order = build_runner(model), np.argsort([len(samples) for samples in recordings], kind="stable")
    results: list[np.ndarray] = [np.zeros(0)] * len(recordings)
    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        samples, length = pad_rows([recordings[row] for row in rows], np.float32)
        for row, values, steps in zip(rows, run(samples, length), count_steps(length), strict=True):
            results[row] = values[:steps]
    return results


def count_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns the word errors (substitutions, deletions and insertions, by jiwer) and the words of each reference, float64
    `(recordings, 2)`."""
    import jiwer

    rows = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        if not reference:
            rows.append((len(hypothesis.split()), 0))
            continue
        measures = jiwer.process_words(reference, hypothesis)
        errors = measures.substitutions + measures.deletions + measures.insertions
        rows.append((errors, len(reference.split())))
    return np.array(rows, np.float64)


def count_character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns the character errors and the characters of each reference, spaces included, float64 `(recordings, 2)`."""
    import jiwer

    rows = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        if not reference:
            rows.append((len(hypothesis), 0))
            continue
        measures = jiwer.process_characters(reference, hypothesis)
        rows.append((measures.substitutions + measures.deletions + measures.insertions, len(reference)))
    return np.array(rows, np.float64)


def score_texts(
    model: str, references: Sequence[str], hypotheses: Sequence[str], speakers: Sequence[str]
) -> list[Score]:
    """Returns word error rate, character error rate, and accuracy, the fraction of the recordings without an error.

    The confidence intervals resample the speakers if there are at least four, or else the recordings.

    Args:
        model: name of the model in the results.
        references: correct texts.
        hypotheses: predicted texts.
        speakers: speaker of each recording, "" if unknown.
    """
    has_speakers = len(set(speakers)) >= MIN_BLOCKS
    blocks = pd.factorize(np.asarray(speakers))[0] if has_speakers else np.arange(len(references))
    is_correct = [[reference == hypothesis, 1] for reference, hypothesis in zip(references, hypotheses, strict=True)]
    scores = []
    for metric, rows in (
        ("word_error_rate", count_word_errors(references, hypotheses)),
        ("character_error_rate", count_character_errors(references, hypotheses)),
        ("accuracy", np.array(is_correct, np.float64)),
    ):
        sums = np.stack([np.bincount(blocks, column) for column in rows.T], axis=1)
        scores.append(block_bootstrap_score(model, metric, sums, lambda s: s[..., 0] / np.maximum(s[..., 1], 1), 1))
    return scores


def word_error_rate_by_speaker(
    references: Sequence[str], hypotheses: Sequence[str], speakers: Sequence[str]
) -> dict[str, float]:
    """Returns the word error rate of each speaker."""
    rows = count_word_errors(references, hypotheses)
    names = np.asarray(speakers)
    return {
        str(name): float(rows[names == name, 0].sum() / max(1, rows[names == name, 1].sum()))
        for name in np.unique(names)
    }


def find_worst(references: Sequence[str], hypotheses: Sequence[str], names: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the recordings with the most word errors, the worst first."""
    errors = count_word_errors(references, hypotheses)[:, 0]
    order = np.argsort(-errors, kind="stable")[:MAX_WORST_RECORDINGS]
    return [
        {"recording": names[k], "reference": references[k], "hypothesis": hypotheses[k], "errors": int(errors[k])}
        for k in order
        if errors[k]
    ]
