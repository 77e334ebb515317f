"""Scores the model, with and without a language model, and the DTW baseline on the test split."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from shared.data.sources import Splits
from shared.decoding.ctc_beam_search import beam_search_all, select_fusion
from shared.decoding.language_model_fusion import Fusion, LanguageModelScore, list_candidates
from shared.decoding.word_language_models import build_ngram_model, load_exported_model
from shared.evaluation.classification import ACCURACY
from shared.evaluation.metric import Metric, Score
from shared.evaluation.scoring import MIN_BLOCKS, block_bootstrap_score
from shared.task import EXPORTED, Description, EvaluationPlan, Predictions, TrainedModel
from tasks.speech import dtw_nearest_neighbor, plots
from tasks.speech.batches import RecordingBatches
from tasks.speech.config import SpeechConfig
from tasks.speech.timing import SAMPLE_RATE, count_steps

METRICS = (
    Metric("word_error_rate", "word error rate", unit="%", higher_is_better=False, decimals=2),
    Metric("character_error_rate", "character error rate", unit="%", higher_is_better=False, decimals=2),
    ACCURACY,
)
BATCH_SIZE = 16
MAX_WORST_RECORDINGS = 10  # in the report
MAX_TUNING_RECORDINGS = 200  # of the validation split, for the settings of the language model
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
    """Plans the evaluation: the beam search of the model with a language model, and the DTW baseline.

    Args:
        trained_model: from `tasks.speech.train.train_model`.
        splits: from `tasks.speech.data.load`.
        config: options of the run.
    """
    model, alphabet = trained_model.model, str(trained_model.metadata["alphabet"])

    @cache
    def fusion() -> Fusion:
        return tune_fusion(model, splits, config, alphabet)

    def predict_with_language_model() -> Predictions:
        log_probabilities = compute_log_probabilities(model, splits.test)
        return _as_predictions(beam_search_all(log_probabilities, alphabet, config.decoding.beam_width, fusion()))

    def predict_baseline() -> Predictions:
        return _as_predictions(dtw_nearest_neighbor.predict_texts(splits.train, splits.test))

    def describe_all(predictions: Mapping[str, Predictions], scores: Sequence[Score]) -> Description:
        drawings = _plots(model, splits.test, predictions[EXPORTED]["text"], alphabet, config)
        return describe(splits.test, predictions[EXPORTED]["text"], fusion(), drawings)

    return EvaluationPlan(
        describe=describe_all,
        components={"language_model": predict_with_language_model},
        baselines={"dtw_nearest_neighbor": predict_baseline},
    )


def describe(
    test: pd.DataFrame, hypotheses: Sequence[str], fusion: Fusion, drawings: Mapping[str, Callable[[Path], None]]
) -> Description:
    """Describes the outputs, the language model, and the errors of the exported model.

    Args:
        test: the test split.
        hypotheses: transcripts of the exported model, `(recordings,)`.
        fusion: the language model of the component `language_model`.
        drawings: plots by file name.
    """
    references = test["text"].tolist()
    return Description(
        output_description=(
            "`text` is the transcript, `words` are its words with their `start` and `end` in seconds; `confidence` is the geometric "
            "mean of the probabilities of the most probable symbols."
        ),
        notes={
            "seconds of audio in the test split": float(test["length"].sum() / SAMPLE_RATE),
            "language model": {
                "weight": fusion.weight,
                "word bonus": fusion.bonus,
                "closed vocabulary": fusion.vocabulary is not None,
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


def compute_log_probabilities(model: keras.Model, frame: pd.DataFrame) -> list[np.ndarray]:
    """Returns the log-probabilities of the symbols for each recording of a split, float32 `(steps, symbols)`."""
    batches = RecordingBatches(frame, "", BATCH_SIZE)
    order = np.argsort(batches.lengths, kind="stable")
    results: list[np.ndarray] = [np.zeros(0)] * len(frame)

    @tf.function(
        input_signature=[tf.TensorSpec([None, None]), tf.TensorSpec([None], tf.int32)]
    )  # one graph for all lengths
    def run(samples: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
        return model({"samples": samples, "length": length})

    for start in range(0, len(order), BATCH_SIZE):
        rows = order[start : start + BATCH_SIZE]
        samples, length, _, _ = batches.batch(rows)
        log_probabilities = run(tf.constant(samples), tf.constant(length)).numpy()
        for row, recording, steps in zip(rows, log_probabilities, count_steps(length), strict=True):
            results[row] = np.asarray(recording[:steps])
    return results


def tune_fusion(model: keras.Model, splits: Splits, config: SpeechConfig, alphabet: str) -> Fusion:
    """Returns the language model with the weight, word bonus and vocabulary that give the fewest word errors on the validation
    split."""
    decoding = config.decoding
    if decoding.language_model:
        score, known_words = load_language_model(decoding.language_model)
    else:
        score, known_words = build_ngram_model(splits.train["text"].tolist(), decoding.language_model_order)
    vocabularies: dict[str, list[frozenset[str] | None]] = {
        "open": [None],
        "closed": [known_words],
        "auto": [None, known_words],
    }
    candidates = list_candidates(
        score, vocabularies[decoding.vocabulary], decoding.language_model_weights, decoding.word_bonuses
    )
    recordings = splits.validation.sample(min(MAX_TUNING_RECORDINGS, len(splits.validation)), random_state=0)
    references = recordings["text"].tolist()
    return select_fusion(
        candidates,
        compute_log_probabilities(model, recordings),
        alphabet,
        decoding.beam_width,
        lambda texts: float(count_word_errors(references, texts)[:, 0].sum()),
    )


def load_language_model(folder: str) -> tuple[LanguageModelScore, frozenset[str]]:
    """Returns the score function and the vocabulary of the exported version that `--decoding.language-model` names.

    Raises:
        DataError: the folder is not an exported next-word model, or the model predicts characters.
    """
    return load_exported_model(Path(folder).expanduser(), task="next_word")


def count_word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns the word errors (substitutions, deletions and insertions, by jiwer) and the words of each reference, float64
    `(recordings, 2)`."""
    import jiwer

    rows = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        measures = jiwer.process_words(reference, hypothesis)
        errors = measures.substitutions + measures.deletions + measures.insertions
        rows.append((errors, len(reference.split())))
    return np.array(rows, np.float64)


def count_character_errors(references: Sequence[str], hypotheses: Sequence[str]) -> np.ndarray:
    """Returns the character errors and the characters of each reference, spaces included, float64 `(recordings, 2)`."""
    import jiwer

    rows = []
    for reference, hypothesis in zip(references, hypotheses, strict=True):
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
