"""Trains the sentiment model, and declares the task."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import keras
import numpy as np
import scipy.sparse as sp

from shared.data.classes import class_ids
from shared.data.notices import add_notice
from shared.data.sequence_batches import SequenceBatches
from shared.data.sources import Splits
from shared.evaluation.calibration import calibrate
from shared.evaluation.classification import CLASSIFICATION_METRICS
from shared.task import Task, TrainedModel
from shared.text.embeddings import word_vectors
from shared.text.separation import separate_words
from shared.text.vocabulary import UNKNOWN_ID, tokenize
from shared.training import loop
from shared.training.adversarial import AdversarialTraining
from shared.training.checkpoints import History
from shared.training.losses import FocalCrossentropy, balanced_weights
from shared.training.pretraining import BPTT_LENGTH, pretrain
from tasks.sentiment import model, ngrams, serving
from tasks.sentiment.config import SentimentConfig
from tasks.sentiment.evaluate import plan_evaluation, score
from tasks.sentiment.explain import explain

VALIDATION_BATCH_SIZE = 128

Examples = tuple[list[np.ndarray], np.ndarray]
"""Token ids of each text `(length,)`, and class ids `(texts,)`."""


def train_model(config: SentimentConfig, splits: Splits, folder: Path) -> TrainedModel:
    """Trains the LSTM and the n-gram model, and calibrates their mixture on the validation split.

    Args:
        config: all options.
        splits: columns `text` and `label`; the test split is not used.
        folder: folder for logs and checkpoints.
    """
    classes = sorted(splits.train["label"].unique())
    tokenizer = model.build_tokenizer(splits.train["text"].tolist(), config)
    train_ids, validation_ids = (
        tokenize(tokenizer, frame["text"].tolist(), separate_words) for frame in (splits.train, splits.validation)
    )
    train = train_ids, class_ids(splits.train["label"], classes)
    validation = validation_ids, class_ids(splits.validation["label"], classes)
    lstm, history = _train_lstm(config, train, validation, len(classes), folder)
    truncated = model.truncate_sequences(validation_ids, config.text.sequence_length)
    logits = [np.concatenate([lstm.predict_on_batch(token_ids) for token_ids in _padded_batches(truncated)])]
    ngram_model = None
    if config.model.ngram_order:
        ngram_model, ngram_logits = _fit_ngram_model(config, train, validation, len(classes))
        logits.append(ngram_logits)
    weights = calibrate(logits, validation[1])
    build = partial(model.build_classifier, tokenizer, lstm, sequence_length=config.text.sequence_length)
    (lstm_weight,) = calibrate(logits[:1], validation[1])
    return TrainedModel(
        model=build(ngram_model, mixture_weights=(weights[0], weights[-1])),
        metadata={"labels": classes},
        history=history,
        components={"lstm": build(None, mixture_weights=(lstm_weight, 0.0))},
        notes={
            "mixture weights": {
                "lstm alone": lstm_weight,
                **dict(zip(("lstm", "ngrams")[: len(weights)], weights, strict=True)),
            }
        },
    )


def _train_lstm(
    config: SentimentConfig, train: Examples, validation: Examples, classes: int, folder: Path
) -> tuple[keras.Model, History]:
    """Returns the trained LSTM classifier, from token ids to logits."""
    vectors = None
    if config.model.pretrained_embeddings:
        vectors = word_vectors(
            train[0], config.text.vocabulary_size, config.model.embedding_size, seed=config.training.seed
        )
    with loop.precision(config.training.precision):
        submodels = model.LSTMSubmodels(config, classes, vectors)
        _pretrain(config, submodels, (train[0], validation[0]), folder / "pretraining")
        trained_model = submodels.full_model
        if config.training.adversarial_epsilon:
            trained_model = AdversarialTraining(
                submodels.ids_to_vectors, submodels.vectors_to_logits, config.training.adversarial_epsilon
            )
        history = loop.fit(
            trained_model,
            _training_batches(config, *train),
            _validation_batches(config, *validation).evaluation_batches(),
            config.training,
            folder,
            loss=_make_loss(config, train[1], classes),
            metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],
        )
    lstm = loop.in_float32(
        submodels.full_model, config.training.precision, lambda: model.LSTMSubmodels(config, classes).full_model
    )
    return lstm, history


def _make_loss(config: SentimentConfig, labels: np.ndarray, classes: int) -> keras.losses.Loss:
    if config.training.class_weights == "none" and not config.training.focal_gamma:
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    return FocalCrossentropy(_class_weights(config, labels, classes), config.training.focal_gamma)


def _class_weights(config: SentimentConfig, labels: np.ndarray, classes: int) -> np.ndarray | None:
    return balanced_weights(labels, classes) if config.training.class_weights == "balanced" else None


def _pretrain(
    config: SentimentConfig,
    submodels: model.LSTMSubmodels,
    texts: tuple[list[np.ndarray], list[np.ndarray]],
    folder: Path,
) -> None:
    """Trains the embedding and the LSTM stack as a language model of the training texts, if the options say so."""
    if not config.training.pretraining_epochs:
        return
    words = min(sum(map(len, sequences)) for sequences in texts)
    if words < BPTT_LENGTH:
        add_notice(
            f"The LSTM was not pre-trained: the training split and the validation split need at least {BPTT_LENGTH} words each, and one "
            f"of them has {words}."
        )
        return
    pretraining_config = dataclasses.replace(
        config.training,
        epochs=config.training.pretraining_epochs,
        batch_size=2 * config.training.batch_size,
        learning_rate=config.training.pretraining_learning_rate,
        weight_decay=0.0,
    )
    pretrain(
        submodels.embedding,
        submodels.vectors_to_states,
        config.lstm.bidirectional,
        texts,
        pretraining_config,
        folder,
    )


def _training_batches(config: SentimentConfig, sequences: list[np.ndarray], labels: np.ndarray) -> SequenceBatches:
    if not config.augment.crop_length:
        sequences = model.truncate_sequences(sequences, config.text.sequence_length)
    return SequenceBatches(
        sequences,
        labels,
        config.training.batch_size,
        seed=config.training.seed,
        crop_length=config.augment.crop_length,
        replacement_rate=config.augment.unknown_word_rate,
        replacement_id=UNKNOWN_ID,
    )


def _validation_batches(config: SentimentConfig, sequences: list[np.ndarray], labels: np.ndarray) -> SequenceBatches:
    truncated = model.truncate_sequences(sequences, config.text.sequence_length)
    return SequenceBatches(truncated, labels, VALIDATION_BATCH_SIZE)


def _fit_ngram_model(
    config: SentimentConfig, train: Examples, validation: Examples, classes: int
) -> tuple[keras.Model, np.ndarray]:
    """Returns the n-gram model, fitted to both splits, and logits of the validation texts `(texts, classes)`.

    The logits come from a model that was fitted to the training split only, so that the calibration is not biased.
    """
    order, buckets = config.model.ngram_order, ngrams.count_buckets(classes, config.model.ngram_buckets)
    train_features, validation_features = (
        ngrams.build_feature_matrix(_padded_batches(sequences), order, buckets) for sequences, _ in (train, validation)
    )
    regression = ngrams.NaiveBayesLogisticRegression(_class_weights(config, train[1], classes))
    regression.fit(train_features, train[1], validation_features, validation[1])
    logits = regression.logits(validation_features)
    regression.refit(sp.vstack([train_features, validation_features]), np.concatenate([train[1], validation[1]]))
    ngram_model = ngrams.build_ngram_model(classes, order, buckets)
    ngrams.copy_weights(regression, ngram_model)
    return ngram_model, logits


def _padded_batches(sequences: list[np.ndarray]) -> Iterator[np.ndarray]:
    """Yields int32 arrays `(batch, time)`, 0 for padding on the right."""
    for start in range(0, len(sequences), model.BATCH_SIZE):
        batch = sequences[start : start + model.BATCH_SIZE]
        token_ids = np.zeros((len(batch), max(map(len, batch))), np.int32)
        for row, sequence in zip(token_ids, batch, strict=True):
            row[: len(sequence)] = sequence
        yield token_ids


TASK = Task(
    name="sentiment",
    train=train_model,
    export_spec=serving.export_spec,
    predict=serving.predict,
    prediction_table=serving.prediction_table,
    predict_labelled=serving.predict_labelled,
    score=score,
    plan_evaluation=plan_evaluation,
    metrics=CLASSIFICATION_METRICS,
    primary_metric="accuracy",
    example_inputs=serving.EXAMPLES,
    explain=explain,
    limitations=(
        "The model knows only the kind of texts and the language that it was trained on. Evaluate it on your own labelled "
        "texts before you rely on it: `lstm-suite evaluate sentiment --data yours.csv`. The LSTM reads only the beginning and "
        "the end of long texts. The model does not recognize irony. It predicts a label for any text, even an empty one; the "
        "probability says how reliable the prediction is. `model.keras` alone splits a text only at whitespace and drops ASCII "
        "punctuation. The SavedModel reads any text; for `model.keras`, apply `separate_words` of `shared/text/separation.py` first."
    ),
)
